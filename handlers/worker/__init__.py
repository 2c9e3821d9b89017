"""The worker process: its settings, start, fork server, TorchServe's loop, metrics files."""
