"""The operator's commands, a file for each kind: parse, call, print."""
