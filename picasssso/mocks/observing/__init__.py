"""Observing mock galaxies: surveys, point-spread functions, noise, other sources."""
