"""The supervisor: what is loaded, what is wanted, and the healing between the two."""
