"""One file a screen: widgets in, an engine call, figures out."""
