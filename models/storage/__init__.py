"""Bytes of checkpoints: containers, zip and legacy files, shards, folders."""
