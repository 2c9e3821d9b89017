"""What `/metrics` says beyond the workers' own, and how it is gathered."""
