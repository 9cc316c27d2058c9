"""Pictures: decoding with guards, galleries, and the way into a model's input frame."""
