"""The posterior of pixels over a library of models, streamed: the public face."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from copy import copy
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from picasssso._core.threads import map_calmly, run_calmly
from picasssso.estimators._grid_posterior.bright import (
    ModelTables,
    Search,
    fit_bright,
    fit_doubtful,
    summarize,
)
from picasssso.estimators._grid_posterior.faint import NodeTables, fit_faint, look
from picasssso.estimators._grid_posterior.model_arrays import (
    checked,
    checked_models,
    to_float64,
    which_count,
)
from picasssso.estimators._grid_posterior.pixel_fits import (
    BITS,
    Block,
    Draws,
    Pixels,
    draw_members,
    draw_rows,
    prepare_pixels,
)
from picasssso.estimators._grid_posterior.response import Shift, is_far, shifted, shifted_bands
from picasssso.estimators._grid_posterior.result_arrays import Results, Scratch
from picasssso.estimators._grid_posterior.sorted_library import (
    CELL_SIZE,
    BinShift,
    SortedLibrary,
    bound_cells,
    make_bins,
    make_cells,
)
from picasssso.exceptions import InvalidInputError, PicassssoWarning
from picasssso.maps.arrays import PERCENTILES

if TYPE_CHECKING:
    from picasssso.estimators._grid_posterior.fused import FusedTables

#: Signal-to-noise ratio of the amplitude below which nodes stand for the models.
_FAINT = 4.0

#: Above this one too much of the truth lies in the last digits of single precision.
_SHARP = 64.0

#: Up to this one the variance of the amplitude is taken model by model.
_EXACT_WIDTH = 12.0

#: Nodes are also good enough above it where the logarithm of the likelihood changes by
#: less than this per radian, and where so large a part of the models contributes.
_SMOOTH = 12.0
_LEAST_SHARE = 0.06

#: Nodes cannot describe likelihoods much sharper than those of a good fit.
_WORST_FAINT_CHI2 = 25.0
_MOST_NEGATIVE = -6.0


@dataclass(frozen=True)
class PosteriorSummary:
    """What the posterior of each pixel says.

    ``percentiles``: names to tensors of shape (5, n_pixel), float32: the points of
    `picasssso.maps.arrays.PERCENTILES`, of amplitudes above zero; ``mean``: names to tensors of
    shape (n_pixel,), float32; ``samples``: names to tensors of shape (n_samples, n_pixel),
    float32; the k-th of all properties belong together; ``moves``: how means change with each of
    the shifts, to first order: names to tensors of shape (n_shift, n_pixel), float32.
    """

    percentiles: Mapping[str, torch.Tensor]
    mean: Mapping[str, torch.Tensor]
    chi2: torch.Tensor
    reduced_chi2: torch.Tensor
    signal_to_noise: torch.Tensor
    n_bands: torch.Tensor
    n_effective: torch.Tensor
    edge_probability: torch.Tensor
    samples: Mapping[str, torch.Tensor] | None = None
    moves: Mapping[str, torch.Tensor] | None = None


class GridPosterior:
    """The exact posterior of pixels over a library of models.

    The likelihood of a model m with fluxes ``a * m`` is Gaussian, and its amplitude a is
    integrated analytically. The prior counts every model of the library the same at the
    same brightness, and is flat in brightness (the model's flux over the errors), which
    for a given model is flat in linear mass. A model's weight is then
    exp(-chi2_min / 2), chi2_min at its best amplitude a = N / D with N = sum(w f m) and
    D = sum(w m^2). Percentiles take only amplitudes above zero; means and samples, which
    sums over pixels are made of, take those of either sign.

    Pixels are fitted in one of three ways, chosen by the pixel alone:

    - **bright**: models that are so much less likely than the best that together they
      hold less than about 1e-5 of the posterior have no weight. Whole cells of models are
      ruled out by exact bounds and the rest are summed one by one, in single precision,
      or in double precision above a signal-to-noise ratio of 64.
    - **faint** (amplitude below about 5 times its error): all models matter, and the
      likelihood is interpolated between 1024 nodes in flux space.
    - **doubtful** (no model fits, or negative fluxes are significant): all models, slowly.

    Nothing of size pixels x models is kept beyond a few pixels at a time. On CUDA, where
    Triton is installed, bright pixels without samples are summed in one kernel, which writes
    nothing of that size at all.

    ``amplitude_scaled``: names of properties to their values for an amplitude of one, shape
    (n_model,), not negative (stellar mass, star formation rate); ``intensive``: names of
    properties to values that do not depend on the amplitude, shape (n_model,) (age, metallicity,
    attenuation); ``edge``: which models lie at the prior's edge; ``used``: which ones count; all
    if not given.
    """

    def __init__(
        self,
        model_flux: Any,
        *,
        amplitude_scaled: Mapping[str, Any],
        intensive: Mapping[str, Any],
        edge: Any = None,
        used: Any = None,
        error_floor: Any = 0.0,
        device: str | torch.device | None = None,
        memory_budget: float | None = None,
    ) -> None:
        flux, scaled, constant, floor = checked_models(
            model_flux, amplitude_scaled, intensive, error_floor
        )
        marked = torch.zeros(len(flux), dtype=torch.float64)
        if edge is not None:
            marked = checked("edge", edge, len(flux), True)
        if device is None:
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self._device = torch.device(device)
        self._scaled, self._intensive = tuple(scaled), tuple(constant)
        self._n_bands = flux.shape[1]
        self._error_floor = floor.expand(self._n_bands).to(self._device)
        if memory_budget is None:
            memory_budget = 512e6
            if self._device.type == "cuda":
                memory_budget = 0.1 * torch.cuda.get_device_properties(self._device).total_memory
        self._memory_budget = float(memory_budget)
        with torch.no_grad():
            library = SortedLibrary.build(
                flux, scaled, constant, marked, which_count(used, len(flux))
            )
            cells, supercells = make_cells(library, CELL_SIZE), make_cells(library, 8 * CELL_SIZE)
            self._nodes = NodeTables(library, self._device)
            coarse, fine = make_bins(library, 768, 0.02), make_bins(library, 2048, 0.002)
            self._bins = fine.values
            tile, width = (1 << 15, 1024) if self._device.type == "cuda" else (4096, 32)
            self._single, self._double = (
                ModelTables(
                    library,
                    cells,
                    supercells,
                    bins,
                    dtype=dtype,
                    tile=tile,
                    width=width,
                    device=self._device,
                )
                for bins, dtype in ((coarse, torch.float32), (fine, torch.float64))
            )
            self._sorted, self._cells = library, (cells, supercells)
            self._library = library.to(self._device)
            self._fused: FusedTables | None = self._make_fused()

    @torch.no_grad()
    def moved(
        self,
        model_flux: Any,
        *,
        amplitude_scaled: Mapping[str, Any],
        intensive: Mapping[str, Any],
        used: Any = None,
        error_floor: Any,
    ) -> GridPosterior:
        """Return the posterior over the same models, whose light has changed a little.

        Models keep their neighbors and their bins, which take long to find: with those of a
        redshift nearby sums over models are as exact, and nodes as good. The arguments are those
        of the class, and not checked again.
        """
        scaled, constant = (
            {name: to_float64(values) for name, values in properties.items()}
            for properties in (amplitude_scaled, intensive)
        )
        new = copy(self)
        new._error_floor = to_float64(error_floor).expand(self._n_bands).to(self._device)
        flux = to_float64(model_flux)
        library = self._sorted.filled(flux, scaled, constant, which_count(used, len(flux)))
        new._sorted = library
        shift = BinShift(self._bins, library.values)
        new._library = library.to(self._device)
        cells, supercells = (bound_cells(library, old.nearest) for old in self._cells)
        new._cells = cells, supercells
        new._nodes = self._nodes.moved(library, shift)
        new._single = self._single.moved(library, cells, supercells, shift)
        new._double = self._double.moved(library, cells, supercells, shift)
        if self._fused is not None:
            new._fused = type(self._fused)(new._library, new._single)
        return new

    def _make_fused(self) -> FusedTables | None:
        """Return the tables of the fused sums, where those can be used."""
        if self._device.type != "cuda" or importlib.util.find_spec("triton") is None:
            return None
        from picasssso.estimators._grid_posterior.fused import (
            MOST_BANDS,
            FusedTables,
            likelihood_levels,
        )

        if self._n_bands > MOST_BANDS:
            return None
        self._fused = FusedTables(self._library, self._single)
        ones = torch.ones(1, self._n_bands, dtype=torch.float64, device=self._device)
        try:
            pixel = prepare_pixels(ones, 100 * ones, torch.zeros_like(ones[0]))
            half = torch.full((1,), 0.5, device=self._device)
            self._nodes.fused = likelihood_levels
            with torch.cuda.device(self._device) if ones.is_cuda else nullcontext():
                self._fit_fused(pixel, half, _Kind.BRIGHT)
                fit_faint(self._nodes, pixel, half)
        # Triton compiles for the device at hand, with the system's compiler, and raises
        # whatever either of them does.
        except Exception as error:
            warnings.warn(
                f"Triton cannot compile here ({type(error).__name__}: {error}): the SED fit goes "
                "on without it, more slowly. It needs a C compiler and Python's headers.",
                PicassssoWarning,
                stacklevel=2,
            )
            self._nodes.fused = None
            return None
        return self._fused

    @property
    def n_models(self) -> int:
        """Number of models (int)."""
        return self._library.n_models

    @property
    def device(self) -> torch.device:
        """Where it computes (device)."""
        return self._device

    def __repr__(self) -> str:
        return (
            f"<GridPosterior of {self.n_models} models in {self._n_bands} bands, "
            f"{', '.join(self._scaled + self._intensive)}, on {self._device}>"
        )

    def evaluate(
        self,
        flux: Any,
        inverse_variance: Any,
        *,
        n_samples: int = 0,
        seed: int = 0,
        pixel_index: Any = None,
        shifts: Sequence[Shift] = (),
    ) -> PosteriorSummary:
        """Fit pixels.

        ``flux, inverse_variance``: of shape (n_pixel, n_band); ``n_samples``: joint samples per
        pixel; ``pixel_index``: numbers of the pixels in the whole image, which the samples
        depend on; 0, 1, 2 ... if not given; ``shifts``: small ones that all pixels may share.
        """
        shape = tuple(np.shape(flux))
        if len(shape) != 2 or shape[1] != self._n_bands or np.shape(inverse_variance) != shape:
            raise InvalidInputError(
                f"Pixels have fluxes of shape {shape} and inverse variances of shape "
                f"{tuple(np.shape(inverse_variance))}: expected (n_pixel, {self._n_bands}) twice."
            )
        index = np.arange(shape[0]) if pixel_index is None else np.asarray(pixel_index)
        if index.shape != shape[:1]:
            raise InvalidInputError(
                f"pixel_index has shape {index.shape}: expected ({shape[0]},)."
            )
        if self._device.type == "cpu":
            return run_calmly(
                self._evaluate, flux, inverse_variance, n_samples, seed, index, shifts
            )
        # Triton starts its kernels on the current device.
        with torch.cuda.device(self._device):
            return self._evaluate(flux, inverse_variance, n_samples, seed, index, shifts)

    @torch.no_grad()
    def _evaluate(
        self,
        flux: Any,
        inverse_variance: Any,
        n_samples: int,
        seed: int,
        index: np.ndarray,
        shifts: Sequence[Shift],
    ) -> PosteriorSummary:
        device, names = self._device, self._scaled + self._intensive
        scratch = Scratch()
        parts = []
        # At least once, for the shapes of nothing.
        for start in range(0, max(len(index), 1), self._batch_size):
            part = slice(start, start + self._batch_size)
            fluxes, weights = (to_float64(t[part]).to(device) for t in (flux, inverse_variance))
            pixels = prepare_pixels(fluxes, weights, self._error_floor)
            number = torch.as_tensor(index[part].astype(np.int64), device=device)
            draws = Draws(n_samples, seed, number) if n_samples else None
            planes = self._evaluate_batch(pixels, draws, shifts, scratch)
            for shift, moves in zip(shifts, planes[4].unbind(1), strict=True):
                some = is_far(pixels, shift).nonzero()[:, 0]
                if len(some):
                    far = prepare_pixels(
                        *shifted(fluxes[some], weights[some], shift), self._error_floor
                    )
                    means = self._evaluate_batch(far, None, (), scratch)[1]
                    some = some.cpu()
                    moves[:, some] = means - planes[1][:, some]
            parts.append(planes)
        percentiles, means, scalars, samples, moves, n_bands = (
            torch.cat(planes, -1) for planes in zip(*parts, strict=True)
        )
        chi2, reduced_chi2, signal_to_noise, n_effective, edge = scalars

        def named(table: torch.Tensor) -> dict[str, torch.Tensor]:
            return dict(zip(names, table, strict=True))

        return PosteriorSummary(
            percentiles=named(percentiles),
            mean=named(means),
            chi2=chi2,
            reduced_chi2=reduced_chi2,
            signal_to_noise=signal_to_noise,
            n_bands=n_bands,
            n_effective=n_effective,
            edge_probability=edge,
            samples=named(samples) if n_samples else None,
            moves=named(moves) if shifts else None,
        )

    def _evaluate_batch(
        self, pixels: Pixels, draws: Draws | None, shifts: Sequence[Shift], scratch: Scratch
    ) -> tuple[torch.Tensor, ...]:
        """Return all planes of `Results` and numbers of bands, on the CPU."""
        kinds, node = self._classify(pixels)
        # Pixels of similar colors together need fewer models.
        order = torch.argsort(node, stable=True)
        n_samples = 0 if draws is None else draws.n_samples
        results = Results(self._library, self._error_floor, len(pixels), n_samples, shifts)
        bands = shifted_bands(shifts)
        probabilities = torch.tensor(PERCENTILES, dtype=torch.float64, device=self._device) / 100

        @torch.no_grad()
        def fit(job: _Job) -> tuple[Block, torch.Tensor | None]:
            some = pixels.select(job.pixels)
            wanted = None if draws is None else draws.select(job.pixels)
            node_of = node[job.pixels]
            return self._fit(job.kind, some, node_of, probabilities, wanted, bands, scratch)

        def jobs(kinds_wanted: Sequence[_Kind]) -> list[_Job]:
            return [
                _Job(kind, some)
                for kind in kinds_wanted
                if len(chosen := order[kinds[order] == kind])
                for some in chosen.split(self._chunk_size(kind, n_samples, bool(bands)))
            ]

        # Those that take much memory one after the other.
        frugal = jobs([kind for kind in _Kind if kind is not _Kind.DOUBTFUL])
        doubtful = jobs([_Kind.DOUBTFUL])
        fits = map_calmly(fit, frugal) if self._device.type == "cpu" else map(fit, frugal)
        for all_jobs, found in ((frugal, fits), (doubtful, map(fit, doubtful))):
            for job, (block, slots) in zip(all_jobs, found, strict=True):
                results.store(job.pixels, block, pixels.select(job.pixels))
                if draws is not None and slots is not None:
                    results.store_samples(job.pixels, slots, pixels, draws)
        # Each percentile is looked for by itself. Between the few models of a narrow posterior
        # the search may end a little short, and neighbors in the wrong order.
        return (
            results.percentiles.cpu().sort(dim=1).values,
            results.means.cpu(),
            results.scalars.cpu(),
            results.samples.cpu(),
            results.moves.cpu(),
            pixels.n_bands.cpu(),
        )

    def _fit(
        self,
        kind: _Kind,
        pixels: Pixels,
        node: torch.Tensor,
        probabilities: torch.Tensor,
        draws: Draws | None,
        bands: tuple[int, ...],
        scratch: Scratch,
    ) -> tuple[Block, torch.Tensor | None]:
        """Return results of pixels of one kind, and the slots of their samples."""
        if kind is _Kind.FAINT:
            return self._fit_faint(pixels, node, probabilities, draws, bands)
        if kind is _Kind.DOUBTFUL:
            return fit_doubtful(self._double, pixels, probabilities, draws=draws, bands=bands)
        # The fused sums have neither samples nor what says how means move.
        plain = draws is None and not bands
        if self._fused is not None and kind is not _Kind.SHARP and plain:
            return self._fit_fused(pixels, probabilities, kind), None
        tables = self._double if kind is _Kind.SHARP else self._single
        return fit_bright(
            tables,
            pixels,
            probabilities,
            space=scratch.take(tables),
            exact_width=kind is _Kind.MODERATE,
            search=_SEARCH[kind],
            draws=draws,
            bands=bands,
        )

    @property
    def _batch_size(self) -> int:
        """How many pixels are sorted together."""
        return 1 << 20 if self._device.type == "cuda" else 1 << 15

    def _chunk_size(self, kind: _Kind, n_samples: int, shifted: bool) -> int:
        """Return how many pixels share what is looked up in the library."""
        if kind is _Kind.DOUBTFUL:
            return max(int(self._memory_budget / (128 * self._library.n_slots)), 1)
        largest, needed = 256, 0.0
        if kind is _Kind.FAINT:
            # Every sample is drawn from the members of a node.
            needed += 24.0 * n_samples * self._nodes.members.shape[1] * self._n_bands
        if self._device.type == "cuda":
            # As many as fit, to hide the start of kernels.
            fused = self._fused is not None and not n_samples and not shifted
            largest = 1 << 16 if kind is _Kind.FAINT or fused else 4096
            needed += _CUDA_BYTES[kind]
        fitting = int(self._memory_budget / max(needed, 1.0))
        # A power of two, so that few shapes are met.
        return min(largest, 1 << max(fitting.bit_length() - 1, 4))

    def _classify(self, pixels: Pixels) -> tuple[torch.Tensor, torch.Tensor]:
        """Return each pixel's kind (0: no data) and best node."""
        step = 1 << 14 if self._device.type == "cuda" else 128
        parts = [slice(start, start + step) for start in range(0, max(len(pixels), 1), step)]
        seen = torch.no_grad()(lambda part: look(self._nodes, pixels.select(part)))
        looks = map_calmly(seen, parts) if self._device.type == "cpu" else map(seen, parts)
        best, worst, node, share = (torch.cat(t) for t in zip(*looks, strict=True))
        chi2 = pixels.power / BITS - best.clamp(min=0).double().square()
        sharpness = best * chi2.clamp(min=4).sqrt()
        smooth = (sharpness < _SMOOTH) & (share > _LEAST_SHARE)
        kinds = torch.full_like(node, _Kind.BRIGHT)
        kinds[best > _SHARP] = _Kind.SHARP
        kinds[best < _EXACT_WIDTH] = _Kind.MODERATE
        kinds[smooth | (best < _FAINT)] = _Kind.FAINT
        # Hardly described by any model, or as well by negative amplitudes.
        strange = (best < _FAINT) & ((worst < _MOST_NEGATIVE) | (chi2 > _WORST_FAINT_CHI2))
        kinds[strange | ((best >= _FAINT) & (best + worst < 3))] = _Kind.DOUBTFUL
        kinds[pixels.n_bands == 0] = 0
        return kinds, node

    def _fit_fused(self, pixels: Pixels, probabilities: torch.Tensor, kind: _Kind) -> Block:
        from picasssso.estimators._grid_posterior.fused import sum_models

        assert self._fused is not None
        # The last pixel is repeated to fill the last block.
        n_pixels, step = len(pixels), self._fused.pixels
        filled = torch.arange(-(-n_pixels // step) * step, device=self._device)
        filled = filled.clamp_(max=n_pixels - 1)
        sums = sum_models(self._fused, self._single, pixels.select(filled))
        block = summarize(self._single, [sums], probabilities, True, _SEARCH[kind])
        return block.head(n_pixels)

    def _fit_faint(
        self,
        pixels: Pixels,
        node: torch.Tensor,
        probabilities: torch.Tensor,
        draws: Draws | None,
        bands: tuple[int, ...],
    ) -> tuple[Block, torch.Tensor | None]:
        library = self._library
        block, weight = fit_faint(self._nodes, pixels, probabilities, bands)
        members = self._nodes.members[node]
        models = library.flux[members]
        product = torch.einsum("pnb,bp->pn", models, pixels.weighted_flux)
        norm = torch.einsum("pnb,bp->pn", models.square(), pixels.weight)
        improvement = (product.clamp(min=0).square() / norm).amax(1)
        slots = None
        if draws is not None:
            nodes = draw_rows(weight, draws)
            slots = draw_members(
                library.flux, self._nodes.members[nodes], library.count, pixels, draws
            )
        return replace(block, improvement=improvement), slots


class _Kind(IntEnum):
    """How a pixel is fitted."""

    FAINT = 1
    MODERATE = 2
    BRIGHT = 3
    SHARP = 4
    DOUBTFUL = 5


#: Bins are 0.02 dex wide, or 0.002 dex for sharp posteriors, whose likelihoods are so
#: narrow that Newton's method may meet steps.
_SEARCH = {
    _Kind.MODERATE: Search(window=96, n_iterations=4),
    _Kind.BRIGHT: Search(window=24, n_iterations=4),
    _Kind.SHARP: Search(window=48, n_iterations=12),
}


#: Working memory per pixel on CUDA (sharp pixels: the tables of their models, in double).
_CUDA_BYTES = {
    _Kind.FAINT: 200e3,
    _Kind.MODERATE: 100e3,
    _Kind.BRIGHT: 100e3,
    _Kind.SHARP: 800e3,
}


@dataclass(frozen=True)
class _Job:
    """Pixels, by number, that are fitted together."""

    kind: _Kind
    pixels: torch.Tensor
