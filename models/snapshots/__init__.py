"""Architecture modules by the digest of their code: what they consist of, and how a kept copy is imported."""
