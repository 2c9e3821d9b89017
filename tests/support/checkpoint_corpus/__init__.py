"""Checkpoints as people and libraries write them, made anew by the libraries themselves, always with the same contents.

`tests` reads them, and so does `python -m benchmarks.reading`; `reference.json` says what each holds.
"""
