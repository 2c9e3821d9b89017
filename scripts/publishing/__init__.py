"""A checkpoint becomes a version: read, proved, described, stored."""
