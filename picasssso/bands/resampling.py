"""Resampling to another pixel grid with the reproject package.

Every method of `reproject` is linear, so a part of an image is resampled by a sparse matrix
of weights. `resampling_weights` finds that matrix by reprojecting combs: images of isolated
ones, so far apart that no output pixel sees two. Flux, masks, variances, PSF and the
correlation of the noise then all follow from the same weights:

- Weights W average surface brightness; their sum over a row is the part of the output pixel
  that lies on the input image. Only valid pixels v count, so the flux of output pixel j is
  A_j sum_i(W_ji v_i f_i / A_i) / c_j with solid angles A and c_j = sum_i(W_ji v_i). Where c_j
  is below one half, the pixel is masked.
- Variances are propagated with squared weights. Output pixels then share noise; what that
  does to sums over apertures is computed from the same weights at the image's center, and
  recorded as noise scaling.
- The PSF is broadened by the second moment of the weights.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from operator import index
from typing import Any, Self, TypeVar

import astropy.units as u
import numpy as np
import numpy.typing as npt
from astropy.io import fits
from astropy.nddata import NDData, StdDevUncertainty
from astropy.wcs import WCS
from scipy.sparse import coo_array, csr_array, kron

from picasssso._core.blocks import count_blocks, iterate_blocks
from picasssso._core.safe_files import allocate
from picasssso._core.solid_angles import pixel_solid_angles
from picasssso.bands.band_record import BandRecord
from picasssso.bands.flux_units import FluxScale
from picasssso.bands.noise_scaling import NoiseScaling
from picasssso.bands.pixels import SAME_GRID, grid_offset, shift_wcs, slice_wcs
from picasssso.bands.stack import BandStack
from picasssso.exceptions import InvalidInputError, InvalidTypeError

Images = TypeVar("Images", bound=BandStack)
Slices = tuple[slice, slice]

#: Methods of resampling, as the functions of reproject are called.
METHODS = ("exact", "adaptive", "interp")
#: Part of an output pixel that has to lie on valid input pixels.
MIN_COVERAGE = 0.5
#: Numbers in the stack of combs of one block.
_STACK_SIZE = 4e6
#: Side of the patch from which the correlation of the noise is computed.
_PATCH = 32
#: Width of adaptive's sample region, in the larger of input and output pixels.
_ADAPTIVE_WIDTH = 4


@dataclass(frozen=True)
class Weights:
    """Weights of output over input pixels; rows sum to the part on the input, at ``x, y``."""

    matrix: Any
    x: npt.NDArray[np.float64]
    y: npt.NDArray[np.float64]


def _pixel_positions(
    wcs_in: WCS, wcs_out: WCS, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return where positions of the output grid lie in the input grid."""
    from astropy.wcs.utils import pixel_to_pixel

    with warnings.catch_warnings():
        # Far outside the image SIP polynomials cannot be inverted, and need not be.
        warnings.simplefilter("ignore")
        return pixel_to_pixel(wcs_out, wcs_in, x, y)


def _corner_grid(shape: tuple[int, int]) -> tuple[Any, Any]:
    y, x = np.meshgrid(*(np.arange(side + 1) - 0.5 for side in shape), indexing="ij")
    return x, y


def _reach(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], method: str) -> float:
    """Return how far, in input pixels, an output pixel's weights lie from its center at most."""
    extents = []
    for plane in (x, y):
        corners = np.stack([plane[:-1, :-1], plane[:-1, 1:], plane[1:, :-1], plane[1:, 1:]])
        extents.append(np.ptp(corners, axis=0))
    widths = np.stack(extents)
    widths = widths[:, np.isfinite(widths).all(axis=0)]
    widest = float(widths.max()) if widths.size else 1.0
    if method == "exact":
        return widest / 2 + 0.5
    if method == "interp":
        return 1.0
    return _ADAPTIVE_WIDTH / 2 * np.sqrt(2) * max(1.0, widest)


def resampling_weights(
    wcs_in: WCS, shape_in: tuple[int, int], wcs_out: WCS, shape_out: tuple[int, int], method: str
) -> Weights:
    """Return the weights with which a method of reproject averages surface brightness."""
    x, y = _pixel_positions(wcs_in, wcs_out, *_corner_grid(shape_out))
    reach = _reach(x, y, method)
    rows_out, columns_out = np.indices(shape_out, dtype=float)
    x, y = (p.ravel() for p in _pixel_positions(wcs_in, wcs_out, columns_out, rows_out))
    # Two ones of a comb are farther apart than the weights of any output pixel reach.
    step = int(2 * reach + 0.2) + 1
    combs = np.zeros((step * step, *shape_in))
    offsets = [(dy, dx) for dy in range(step) for dx in range(step)]
    for comb, (dy, dx) in zip(combs, offsets, strict=True):
        comb[dy::step, dx::step] = 1.0
    values, coverage = _reproject(combs, wcs_in, wcs_out, shape_out, method)
    values = np.nan_to_num(values * coverage).reshape(len(offsets), -1)
    rows, columns, weights = [], [], []
    for value, (dy, dx) in zip(values, offsets, strict=True):
        # The one that an output pixel sees is the nearest of this comb.
        (row,) = np.nonzero((np.abs(value) > 1e-9) & np.isfinite(x) & np.isfinite(y))
        column_x = dx + step * np.rint((x[row] - dx) / step).astype(int)
        column_y = dy + step * np.rint((y[row] - dy) / step).astype(int)
        inside = (0 <= column_x) & (column_x < shape_in[1])
        inside &= (0 <= column_y) & (column_y < shape_in[0])
        rows.append(row[inside])
        columns.append((column_y * shape_in[1] + column_x)[inside])
        weights.append(value[row][inside])
    matrix = coo_array(
        (np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns))),
        shape=(shape_out[0] * shape_out[1], shape_in[0] * shape_in[1]),
    )
    return Weights(matrix.tocsr(), x, y)


def _reproject(
    planes: npt.NDArray[np.float64],
    wcs_in: WCS,
    wcs_out: WCS,
    shape_out: tuple[int, int],
    method: str,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return resampled planes, and the part of each output pixel that they cover."""
    import reproject

    shape = (len(planes), *shape_out)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as for positions
        if method == "exact":
            return reproject.reproject_exact((planes, wcs_in), wcs_out, shape_out=shape)
        if method == "interp":
            return reproject.reproject_interp((planes, wcs_in), wcs_out, shape_out=shape)
        # Zeros beyond the edge: the sum of the weights is then the part on the image.
        return reproject.reproject_adaptive(
            (planes, wcs_in),
            wcs_out,
            shape_out=shape,
            kernel="gaussian",
            sample_region_width=_ADAPTIVE_WIDTH,
            boundary_mode="constant",
            boundary_fill_value=0.0,
        )


# ---- what follows from the weights at the center -------------------------------------------


@dataclass(frozen=True)
class LocalResampling:
    """What resampling does to noise and PSF, from the weights around one position.

    ``area_ratio``: input pixels in the area of an output pixel; ``blur``: added variance of the
    PSF along an axis, in input pixels squared.
    """

    area_ratio: float
    noise_scaling: NoiseScaling
    blur: float


def _needed(
    wcs_in: WCS, wcs_out: WCS, shape_out: tuple[int, int], method: str
) -> list[tuple[int, int]] | None:
    """Return the rows and columns (start, stop) of the unbounded input that an output needs."""
    x, y = _pixel_positions(wcs_in, wcs_out, *_corner_grid(shape_out))
    finite = np.isfinite(x) & np.isfinite(y)
    if not finite.any():
        return None
    margin = _reach(x, y, method) + 1
    return [
        (int(np.floor(p.min() - margin)), int(np.ceil(p.max() + margin)) + 1)
        for p in (y[finite], x[finite])
    ]


def local_resampling(
    wcs_in: WCS, wcs_out: WCS, shape_out: tuple[int, int], method: str
) -> LocalResampling:
    """Return what resampling does to noise and PSF at the center of the output image.

    Both grids are continued beyond their images, so that small images serve as well. The
    variance of sums over squares of k x k output pixels is sum_i (sum_j T_ji)^2 for white
    input noise with the weights T of fluxes; its ratio to sum_ji T_ji^2 is tabulated up to
    16 x 16, and extrapolated to 10^6 pixels as the edges of larger squares matter less.
    """
    corner = [(side - _PATCH) // 2 for side in shape_out]
    patch_out, patch_shape = shift_wcs(wcs_out, corner[1], corner[0]), (_PATCH, _PATCH)
    needed = _needed(wcs_in, patch_out, patch_shape, method)
    if needed is None:
        raise InvalidInputError(
            "reproject_to: found that the center of the new grid is nowhere on the old one, "
            "expected grids that overlap. Check the WCS."
        )
    (y0, y1), (x0, x1) = needed
    patch_in, shape_in = shift_wcs(wcs_in, x0, y0), (y1 - y0, x1 - x0)
    weights = resampling_weights(patch_in, shape_in, patch_out, patch_shape, method)
    ratio = float(
        np.median(pixel_solid_angles(patch_out, patch_shape))
        / np.median(pixel_solid_angles(patch_in, shape_in))
    )
    flux_weights = weights.matrix * ratio
    pixel_variance = np.asarray(flux_weights.power(2).sum(axis=1)).ravel()
    n_pixels, inflation = [1.0], [1.0]
    for side in (2, 3, 4, 6, 8, 12, 16):
        # Sums along one axis of the patch; squares are the product of two.
        starts = np.arange(0, _PATCH - side + 1, max(1, side // 2))
        offset = np.arange(_PATCH) - starts[:, None]
        sums = csr_array(((0 <= offset) & (offset < side)).astype(float))
        squares = kron(sums, sums, format="csr")
        variance = (squares @ flux_weights).power(2).sum()
        n_pixels.append(float(side**2))
        inflation.append(float(variance / (squares @ pixel_variance).sum()))
    # The edge of a square matters as 1 / side: that gives the limit of large ones.
    sides = np.sqrt(n_pixels[-2:])
    limit = (sides[1] * inflation[-1] - sides[0] * inflation[-2]) / (sides[1] - sides[0])
    n_pixels.append(1e6)
    inflation.append(float(limit))
    input_y, input_x = np.divmod(np.arange(weights.matrix.shape[1]), shape_in[1])
    entries = weights.matrix.tocoo()
    row, column = entries.coords
    distance2 = (input_x[column] - weights.x[row]) ** 2 + (input_y[column] - weights.y[row]) ** 2
    blur = float(np.sum(entries.data * distance2) / np.sum(entries.data) / 2)
    # Rounding must not make independent pixels look correlated.
    inflation = [1.0 if abs(value - 1) < 1e-6 else value for value in inflation]
    return LocalResampling(ratio, NoiseScaling(n_pixels, inflation), max(blur, 0.0))


def _resample_kernel(
    kernel: npt.NDArray[np.float64],
    wcs_in: WCS,
    wcs_out: WCS,
    shape_out: tuple[int, int],
    method: str,
    area_ratio: float,
) -> npt.NDArray[np.float64]:
    """Return a PSF kernel on the new pixels, centered on a pixel.

    What resampling does depends on where in an input pixel a star lies: the mean of four
    places, a quarter of a pixel from the center along each axis.
    """
    from scipy.ndimage import shift

    x0, y0 = (shape_out[1] - 1) / 2, (shape_out[0] - 1) / 2
    (x_in,), (y_in,) = _pixel_positions(wcs_in, wcs_out, np.array([x0]), np.array([y0]))
    framed = np.pad(kernel, 1)
    height, width = framed.shape
    side = int(np.ceil(np.hypot(height, width) / np.sqrt(area_ratio))) // 2 * 2 + 3
    found = np.zeros((side, side))
    for dy, dx in ((-0.25, -0.25), (-0.25, 0.25), (0.25, -0.25), (0.25, 0.25)):
        weights = resampling_weights(
            shift_wcs(wcs_in, x_in - dx - (width - 1) / 2, y_in - dy - (height - 1) / 2),
            framed.shape,
            shift_wcs(wcs_out, x0 - (side - 1) / 2, y0 - (side - 1) / 2),
            (side, side),
            method,
        )
        found += (weights.matrix @ shift(framed, (dy, dx), order=3).ravel()).reshape(side, side)
    return found


# ---- images --------------------------------------------------------------------------------


def _target(wcs: Any, shape: Any) -> tuple[WCS, tuple[int, int]]:
    """Return the new grid and its shape, checked."""
    if isinstance(wcs, fits.Header):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            wcs = WCS(wcs)
    if not isinstance(wcs, WCS) or wcs.naxis != 2 or not wcs.has_celestial:
        raise InvalidTypeError(
            f"reproject_to: found {wcs!r}, expected an astropy.wcs.WCS with two celestial axes, "
            "or a header that describes one."
        )
    shape = wcs.array_shape if shape is None else shape
    if shape is None:
        raise InvalidInputError(
            "reproject_to: found a WCS without the size of the image, expected shape=(y, x)."
        )
    try:
        height, width = (index(side) for side in shape)
    except (TypeError, ValueError):
        height = width = 0
    if min(height, width) < 1:
        raise InvalidInputError(f"reproject_to: found shape={shape!r}, expected (y, x) in pixels.")
    return wcs, (height, width)


def reproject_images(
    images: Images, wcs: Any, shape: Any, method: str, progress: bool | None, folder: Any
) -> Images:
    """Resample images to another grid; see `BandImages.reproject_to`."""
    if method not in METHODS:
        raise InvalidInputError(
            f"reproject_to: found method={method!r}, expected one of {', '.join(METHODS)}."
        )
    if images._wcs is None:
        raise InvalidInputError(
            "reproject_to: found images without WCS, expected one: it is not known where their "
            "pixels are. Give the CCDData a wcs."
        )
    target, shape = _target(wcs, shape)
    if shape == images.shape and grid_offset(target, images._wcs, shape)[0] < SAME_GRID:
        return images
    local = local_resampling(images._wcs, target, shape, method)
    planes, numbers = _resample(images, target, shape, method, local, progress, folder)
    return images.with_planes(
        planes, **numbers, **_resampled_slots(images, target, shape, method, local)
    )


@dataclass(frozen=True)
class _Plane:
    """One band of the output, filled block by block, in its own unit."""

    data: npt.NDArray[np.float32]
    sigma: npt.NDArray[np.float32] | None
    mask: npt.NDArray[np.bool_]
    scale: FluxScale
    unit: u.UnitBase
    inflation: float

    @classmethod
    def of(cls, record: BandRecord, shape: tuple[int, int], inflation: float, folder: Any) -> Self:
        linear = record.scale.softening is None  # asinh magnitudes become nmgy
        return cls(
            allocate(shape, np.float32, folder),
            None if record.uncertainty is None else allocate(shape, np.float32, folder),
            allocate(shape, bool, folder),
            record.scale if linear else FluxScale(1.0),
            record.unit if linear else u.nmgy,
            inflation,
        )

    def fill(
        self,
        block: Slices,
        weights: Any,
        flux: npt.NDArray[Any],
        inverse_variance: npt.NDArray[Any],
        area_in: npt.NDArray[Any],
        area: npt.NDArray[Any],
    ) -> None:
        """Resample a block; flux and its precision are those of the input pixels."""
        valid = (inverse_variance != 0).ravel()
        coverage = (weights @ valid.astype(float)).reshape(area.shape)
        good = coverage >= MIN_COVERAGE - 1e-9
        brightness = np.where(valid, (flux / area_in).ravel(), 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            factor = self.scale.factor * (area if self.scale.per_area else 1.0)
            scale = np.where(good, area / coverage / factor, np.nan)
            variance = np.where(valid, 1 / (inverse_variance * area_in**2).ravel(), 0.0)
        self.data[block] = (weights @ brightness).reshape(area.shape) * scale
        self.mask[block] = ~good
        if self.sigma is not None:
            squared = (weights.power(2) @ variance).reshape(area.shape)
            self.sigma[block] = np.sqrt(squared * self.inflation) * scale


def _resample(
    images: BandStack,
    wcs: WCS,
    shape: tuple[int, int],
    method: str,
    local: LocalResampling,
    progress: bool | None,
    folder: Any,
) -> tuple[dict[str, NDData], dict[str, Any]]:
    """Resample all bands, block by block; return them, and bins and labels."""
    planes = {}
    for band, record in images._records.items():
        # Correlation among the input pixels of one output pixel adds to its variance.
        scaling = images.noise_scaling[band]
        inflation = float(scaling(max(local.area_ratio, 1.0)) / scaling(1.0))
        planes[band] = _Plane.of(record, shape, inflation, folder)
    numbers: dict[str, Any] = {}
    for name, source, nothing in (("bins", images.bins, -1), ("labels", images.labels, 0)):
        numbers[name] = None if source is None else allocate(shape, source.dtype, folder)
        if source is not None:
            numbers[name][...] = nothing
    for block in _blocks(shape, method, local.area_ratio, progress):
        wcs_block = slice_wcs(wcs, block)
        area = pixel_solid_angles(wcs_block, wcs_block.array_shape)
        needed = _needed(images._wcs, wcs_block, area.shape, method) or [(0, 0), (0, 0)]
        rows, columns = (
            slice(max(start, 0), min(stop, side))
            for (start, stop), side in zip(needed, images.shape, strict=True)
        )
        region = rows, columns
        if any(part.stop <= part.start for part in region):
            for plane in planes.values():
                plane.data[block], plane.mask[block] = np.nan, True
            continue
        wcs_region = slice_wcs(images._wcs, region)
        shape_region = wcs_region.array_shape
        found, pixel = _nearest(wcs_region, shape_region, wcs_block, area.shape)
        for name, output in numbers.items():
            if output is not None:
                output[block][found] = getattr(images, name)[region].ravel()[pixel]
        if images.bins is None:
            weights = resampling_weights(
                wcs_region, shape_region, wcs_block, area.shape, method
            ).matrix
        else:
            # A blend of two bins would be the flux of neither.
            ones = (np.ones(len(pixel)), (np.flatnonzero(found), pixel))
            weights = csr_array(ones, shape=(found.size, np.prod(shape_region)))
        area_in = pixel_solid_angles(wcs_region, shape_region)
        for band, plane in planes.items():
            flux, inverse_variance = images.to_arrays(region, bands=(band,))
            plane.fill(block, weights, flux[0], inverse_variance[0], area_in, area)
    if all(plane.mask.all() for plane in planes.values()):
        raise InvalidInputError(
            f"reproject_to: found no overlap of the new grid with valid pixels of "
            f"{', '.join(planes)}, expected some. "
            "Check the WCS and the shape."
        )
    found_images = {}
    for band, plane in planes.items():
        sigma = None if plane.sigma is None else StdDevUncertainty(plane.sigma, copy=False)
        found_images[band] = NDData(
            plane.data, unit=plane.unit, uncertainty=sigma, mask=plane.mask, wcs=wcs
        )
    return found_images, numbers


def _blocks(
    shape: tuple[int, int], method: str, area_ratio: float, progress: bool | None
) -> Iterable[Slices]:
    """Cut the output so that the combs of a block stay small; with a progress bar."""
    scale = np.sqrt(area_ratio)
    reach = {"exact": scale * np.sqrt(2) / 2 + 0.5, "interp": 1.0}.get(
        method, _ADAPTIVE_WIDTH / 2 * np.sqrt(2) * max(1.0, scale)
    )
    side = int(np.sqrt(_STACK_SIZE) / (2 * reach + 1) / max(scale, 1.0))
    core = (max(side, 16), max(side, 16))
    blocks = (block.core for block in iterate_blocks(shape, core_shape=core))
    number = count_blocks(shape, core)
    if progress is False or (progress is None and number == 1):
        return blocks
    from tqdm.auto import tqdm

    return tqdm(
        blocks,
        total=number,
        desc="reproject",
        unit="block",
        disable=None if progress is None else False,
    )


def _nearest(
    wcs_in: WCS, shape_in: tuple[int, int], wcs_out: WCS, shape_out: tuple[int, int]
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.intp]]:
    """Return which output pixels lie on the input image, and the number of the input pixel."""
    rows, columns = np.indices(shape_out, dtype=float)
    x, y = _pixel_positions(wcs_in, wcs_out, columns, rows)
    with np.errstate(invalid="ignore"):
        found = (x > -0.5) & (x < shape_in[1] - 0.5) & (y > -0.5) & (y < shape_in[0] - 0.5)
    row, column = (np.rint(position[found]).astype(np.intp) for position in (y, x))
    return found, row * shape_in[1] + column


def _resampled_slots(
    images: BandStack, wcs: WCS, shape: tuple[int, int], method: str, local: LocalResampling
) -> dict[str, Any]:
    """Return the slots that change with the pixels."""
    ratio = local.area_ratio
    binned = images.bins is not None
    psf = {}
    blur2 = local.blur * images._solid_angle * 8 * np.log(2)
    for band, value in images.psf.items():
        if isinstance(value, u.Quantity):
            psf[band] = np.sqrt(value.to_value(u.arcsec) ** 2 + blur2) * u.arcsec
        else:
            psf[band] = _resample_kernel(value, images._wcs, wcs, shape, method, ratio)
    sky_error = {}
    for band, error in images.sky_error.items():
        per_area = images._sky_scale(band).per_area
        sky_error[band] = error if per_area else error * ratio
    added = NoiseScaling.white() if binned else local.noise_scaling
    return {
        "psf": psf,
        "sky_error": sky_error,
        "noise_scaling": {
            band: added._combine(scaling, ratio) for band, scaling in images.noise_scaling.items()
        },
    }
