"""Loops that numba compiles; nothing here is loaded before it is needed."""
