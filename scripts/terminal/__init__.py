"""What the commands print: tables, steps, progress."""
