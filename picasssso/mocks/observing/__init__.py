"""Observing mock galaxies: surveys, point-spread functions, noise, other sources."""

from picasssso.mocks.observing.observe import ObservedGalaxies, observe
from picasssso.mocks.observing.surveys import SURVEYS, Survey, get_survey

__all__ = ["SURVEYS", "ObservedGalaxies", "Survey", "get_survey", "observe"]
