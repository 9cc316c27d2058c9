"""Ground-truth masks: which pixels of a picture belong to the object."""
