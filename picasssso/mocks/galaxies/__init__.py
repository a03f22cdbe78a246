"""Procedural galaxies, drawn from published relations, with structure tied to physics."""
