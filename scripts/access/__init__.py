"""Who may come in by the front: its certificate, its clients' keys, and what each of them may send."""
