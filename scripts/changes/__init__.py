"""Changes to what is served, one at a time: swap, retire, settings, apply."""
