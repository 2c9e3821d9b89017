"""Other people's files: where their tensors are, and by what names."""
