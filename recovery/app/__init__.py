"""The composition root: the only room that knows the settings and all the others."""
