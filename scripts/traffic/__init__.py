"""How requests ended: told by the front, counted, written down."""
