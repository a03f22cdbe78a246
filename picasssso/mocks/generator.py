"""Galaxies, light and observation in one: images with their truth, by number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from picasssso.mocks.galaxies.procedural import ProceduralGalaxies
from picasssso.mocks.galaxy_maps import Galaxies
from picasssso.mocks.light import LightTable
from picasssso.mocks.model_error import ModelErrors
from picasssso.mocks.observing.observe import observe
from picasssso.mocks.observing.observed import ObservedGalaxies, join_observed
from picasssso.mocks.observing.surveys import Survey

#: Galaxies made at once hold about this many pixels.
_CHUNK_PIXELS = 180_000
_CHUNK_PIXELS_CUDA = 8_000_000


class MockGenerator:
    """Generates observed galaxies with their truth; galaxy k of a seed is always the same.

    Parameters
    ----------
    seed : int, optional
        The seed, of galaxies, errors and noise.
    survey : str or Survey, optional
        Observing conditions: a survey known to `Survey.preset`.
    bands : sequence of str, optional
        Filter names; all bands of the survey if not given.
    n_pixels : int, optional
        Pixels along each side of the images.
    margin : int, optional
        Additional pixels around the image, for light scattered into it by the PSF.
    model_error : float, optional
        Standard deviation in mag of the smooth errors of the stellar spectra
        (``picasssso.mocks.model_error``), like the differences between stellar grids; 0 for none.
    table : LightTable, optional
        A table of light to use; built if not given, which takes a few seconds.
    truth_at_psf : bool, optional
        Whether to return also the truth at the resolution of the images.
    observing : dict, optional
        Further arguments of `picasssso.mocks.observe`.
    **population
        Arguments of `ProceduralGalaxies`, such as ``widen`` and ``link_structure``.

    Examples
    --------
    >>> from picasssso.mocks import MockGenerator
    >>> generator = MockGenerator(seed=3, survey="paper_field", n_pixels=32)
    >>> mocks = generator.draw(range(2))
    >>> mocks.flux.shape, sorted(mocks.truth.properties())[0]
    (torch.Size([2, 5, 32, 32]), 'attenuation_v')
    """

    def __init__(
        self,
        seed: int = 0,
        *,
        survey: str | Survey = "sdss",
        bands: Sequence[str] | None = None,
        n_pixels: int = 64,
        margin: int = 4,
        model_error: float = 0.1,
        table: LightTable | None = None,
        truth_at_psf: bool = True,
        observing: dict[str, Any] | None = None,
        **population: Any,
    ) -> None:
        self.galaxies = ProceduralGalaxies(
            seed, survey=survey, n_pixels=n_pixels, margin=margin, **population
        )
        self.survey = self.galaxies.survey
        self.bands = self.survey.bands if bands is None else tuple(bands)
        if table is None:
            table = LightTable.build(self.bands, self.galaxies.redshift_range)
        self.table = table
        self.model_error = model_error
        self.truth_at_psf = truth_at_psf
        self.observing = dict(observing or {})

    def draw(self, index: Sequence[int] | np.ndarray | range) -> ObservedGalaxies:
        """Return observed galaxies.

        Parameters
        ----------
        index : sequence of int
            Their numbers.

        Returns
        -------
        ObservedGalaxies
            Images and truth.
        """
        numbers = np.atleast_1d(np.asarray(index))
        side = self.galaxies.n_pixels + 2 * self.galaxies.margin
        # Arrays near a processor's cache are worked on faster, but each piece costs a little.
        on_cpu = self.galaxies._resolved_device().type == "cpu"
        step = max(1, (_CHUNK_PIXELS if on_cpu else _CHUNK_PIXELS_CUDA) // side**2)
        with torch.no_grad():
            parameters = self.galaxies.parameters(numbers)
            chunks = [
                self._observe(galaxies)
                for galaxies in self.galaxies._render_chunks(numbers, parameters, step)
            ]
        return join_observed(chunks)

    def _observe(self, galaxies: Galaxies) -> ObservedGalaxies:
        assert galaxies.index is not None
        errors = ModelErrors.draw(
            self.galaxies.seed,
            galaxies.index.cpu().numpy(),
            color=self.model_error,
            level=0.75 * self.model_error,
        ).in_worlds(
            galaxies.parameters["world_mass_to_light"], galaxies.parameters["world_young_light"]
        )
        light = self.table.light(galaxies, errors)
        return observe(
            galaxies,
            light,
            self.bands,
            self.survey,
            seed=self.galaxies.seed,
            margin=self.galaxies.margin,
            truth_at_psf=self.truth_at_psf,
            **self.observing,
        )
