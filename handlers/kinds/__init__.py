"""What each kind of named input and output does: one file a kind, and those that people register."""
