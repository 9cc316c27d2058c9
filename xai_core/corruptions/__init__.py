"""Corruptions of the uint8 input frame: each seeded, chained in the order chosen."""
