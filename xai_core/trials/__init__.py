"""Experiments that train networks of their own, or change a copy of the user's: what studies ask for beside maps."""
