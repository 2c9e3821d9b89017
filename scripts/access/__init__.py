"""Who gets in: by the front, with its certificate, keys and limits; and to what is for this machine alone."""
