"""Procedural galaxies, drawn from published relations, with structure tied to physics."""

from picasssso.mocks.galaxies.procedural import ProceduralGalaxies

__all__ = ["ProceduralGalaxies"]
