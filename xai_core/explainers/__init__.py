"""Explainers: each turns a `Run` into an `Attribution`; one family a file."""
