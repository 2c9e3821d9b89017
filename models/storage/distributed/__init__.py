"""Folders of torch.distributed.checkpoint: what they say of themselves, and their tensors put together."""
