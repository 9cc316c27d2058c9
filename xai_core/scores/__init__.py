"""Scores: pure functions of arrays first, each wrapped by a class that says what it yields; one family a file."""
