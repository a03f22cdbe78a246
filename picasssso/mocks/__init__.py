"""Mock galaxies with a known truth: described, painted with light, and observed.

`ProceduralGalaxies` draws galaxies from recipes; `LightTable` gives their light in any
bands from `picasssso.sps`; `observe` makes images of it as a survey would. All of it is
torch on batches, on a CPU or CUDA; once a table is built, torch and numpy are all it needs.
`MockGenerator` does the three in one, and `GeneratedPairs` gives them in pairs with their truth.
"""

from picasssso.mocks.galaxies.procedural import ProceduralGalaxies
from picasssso.mocks.generated_pairs import GeneratedPairs
from picasssso.mocks.generator import MockGenerator
from picasssso.mocks.illustris import read_illustris_maps
from picasssso.mocks.observing.observe import observe
from picasssso.mocks.observing.surveys import Survey
from picasssso.mocks.particles.snapshots import read_particles

__all__ = [
    "GeneratedPairs",
    "MockGenerator",
    "ProceduralGalaxies",
    "Survey",
    "observe",
    "read_illustris_maps",
    "read_particles",
]
