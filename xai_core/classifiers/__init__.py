"""Classifiers: model cards, their weights, and networks prepared for explanation."""
