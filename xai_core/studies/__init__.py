"""Experiments over many pictures: what they compute, how they go on after a stop, and what they say."""
