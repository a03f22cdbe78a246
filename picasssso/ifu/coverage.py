"""Filters on the wavelength pixels of a cube: weights, coverage, and truncated filters.

A band's flux density is the mean over photons, f_nu = int f_lambda lambda R dlambda /
(c int R dlambda / lambda) (Bessell & Murphy 2012, PASP 124, 140). Within a pixel f_lambda is
taken to be constant, and the weight of a pixel is the integral of lambda R over it: exact for
curves that are straight between their points.
"""

from __future__ import annotations

import numbers
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from picasssso.exceptions import InvalidInputError
from picasssso.filters.curves import define, library_hash, load_filter, make_curve
from picasssso.filters.user_curves import check_name

if TYPE_CHECKING:
    from speclite.filters import FilterResponse

    from picasssso.ifu.cube import Cube

FloatArray = npt.NDArray[np.floating]

SPEED_OF_LIGHT = 2.99792458e18  # AA/s
#: Part of a filter that a cube has to cover.
LEAST_COVERED = 0.95


@dataclass(frozen=True)
class BandWeights:
    """Weights of the wavelength pixels of each arm, and the coverage of the filter.

    ``arms``: arrays that turn f_lambda (erg/s/cm2/AA) into f_nu (erg/s/cm2/Hz), of the whole band;
    ``covered``: fraction of the photons of a flat f_nu, weighted with the filter, that fall on the
    cube.
    """

    band: str
    arms: tuple[FloatArray, ...]
    covered: float


def _integrals(curve: FilterResponse, power: float, edges: FloatArray) -> FloatArray:
    """Return integrals of R lambda^power over each interval, by Gauss quadrature of order 3."""
    wave, response = (np.asarray(x, float) for x in (curve.wavelength, curve.response))
    inside = wave[(wave > edges[0]) & (wave < edges[-1])]
    points = np.union1d(edges, inside)
    nodes, weights = np.polynomial.legendre.leggauss(3)
    half, middle = np.diff(points) / 2, (points[1:] + points[:-1]) / 2
    at = middle[:, None] + half[:, None] * nodes
    values = np.interp(at, wave, response, left=0.0, right=0.0) * at**power
    summed = np.concatenate([[0.0], np.cumsum((values @ weights) * half)])
    return np.diff(summed[np.searchsorted(points, edges)])


def weigh_band(cube: Cube, band: str) -> BandWeights:
    """Return the weights of a band over a cube.

    If a cube does not cover a small part of a filter, weights are tilted such that the result is
    correct for any spectrum whose f_nu is linear in wavelength across the band.
    """
    curve = load_filter(band)
    wave = np.asarray(curve.wavelength, float)
    whole = np.array([wave[0], wave[-1]])
    total = _integrals(curve, -1.0, whole)[0]
    edges = [cube._edges(k) for k in range(len(cube.arms))]
    # Weights of f_nu, whose sum is 1 for a filter that is wholly on the cube.
    parts = [
        _integrals(curve, -1.0, one) / total * known
        for one, known in zip(edges, cube.covered, strict=True)
    ]
    part_covered = float(sum(part.sum() for part in parts))
    photons = [
        _integrals(curve, 1.0, one) / (total * SPEED_OF_LIGHT) * known
        for one, known in zip(edges, cube.covered, strict=True)
    ]
    if 1e-6 < 1 - part_covered and part_covered > 0:
        mean = _integrals(curve, 0.0, whole)[0] / total
        offsets = [(one[1:] + one[:-1]) / 2 / mean - 1 for one in edges]
        share, offset = np.concatenate(parts), np.concatenate(offsets)
        moments = [float(share @ offset**k) for k in range(3)]
        matrix = np.array([[moments[0], moments[1]], [moments[1], moments[2]]])
        # The mean offset of the whole filter from its own mean wavelength is 0.
        level, slope = np.linalg.solve(matrix, [1.0, 0.0])
        photons = [p * (level + slope * o) for p, o in zip(photons, offsets, strict=True)]
    return BandWeights(band, tuple(photons), min(round(part_covered, 6), 1.0))


def coverage(cube: Cube, band: str) -> float:
    """Return the fraction of a filter that a cube covers, for the photons of a flat f_nu."""
    return weigh_band(cube, band).covered


def cut_filter(cube: Cube, band: str, name: str | None = None) -> FilterResponse:
    """Define a filter that is truncated to the wavelengths of a cube.

    It can be used as a band under its name (default: ``cut_LOW_HIGH-GROUP_BAND``) by estimators,
    and is stored in files.
    """
    curve = load_filter(band)
    wave, response = (np.asarray(x, float) for x in (curve.wavelength, curve.response))
    pieces: list[FloatArray] = []
    runs: list[tuple[float, float]] = []
    for number in range(len(cube.arms)):
        edges = cube._edges(number)
        # Where runs of wavelengths with data begin and end.
        steps = np.flatnonzero(np.diff(np.pad(cube.covered[number], 1).astype(int)))
        runs += [(edges[start], edges[stop]) for start, stop in steps.reshape(-1, 2)]
    for start, stop in runs:
        low, high = max(start, wave[0]), min(stop, wave[-1])
        if low >= high:
            continue
        inside = wave[(wave > low) & (wave < high)]
        points = np.concatenate([[low], inside, [high]])
        values = np.interp(points, wave, response)
        # A step down to 0, within a thousandth of an Angstrom.
        points = np.concatenate([[low - 1e-3], points, [high + 1e-3]])
        pieces.append(np.stack([points, np.concatenate([[0.0], values, [0.0]])]))
    if not pieces or max(piece[1].max() for piece in pieces) <= 0:
        raise InvalidInputError(
            f"Band {band!r} lies from {wave[0]:.0f} to {wave[-1]:.0f} AA: expected some of it on "
            f"the cube, which covers {cube.ranges} AA."
        )
    low, high = cube.ranges[0][0], cube.ranges[-1][1]
    new = name or f"cut_{low:.0f}_{high:.0f}-{band.replace('-', '_')}"
    points, values = np.concatenate(pieces, axis=1)
    keep = np.concatenate([[True], np.diff(points) > 0])  # cuts may lie within 0.002 AA
    meta = {"description": f"{band}, cut to {cube.ranges} AA"}
    return define(make_curve(new, points[keep], values[keep], meta))


def box_filter(name: str, low: float, high: float) -> FilterResponse:
    """Define a box filter: photon response 1 between two wavelengths, and 0 elsewhere.

    Parameters
    ----------
    name : str
        Name of the filter, ``group-band``.
    low, high : float
        Lower and upper limit in AA, in vacuum.

    Returns
    -------
    speclite.filters.FilterResponse
        The filter, which can be used as a band under its name.

    Raises
    ------
    InvalidInputError
        If the name is invalid or is that of a filter in the library, or the wavelengths do not
        increase.

    Examples
    --------
    >>> from picasssso.filters.curves import pivot_wavelength
    >>> from picasssso.ifu import box_filter
    >>> curve = box_filter("sami-red1", 6300, 6850)
    >>> pivot_wavelength("sami-red1").round()
    <Quantity 6573. Angstrom>
    """
    check_name(str(name))
    if not all(isinstance(x, numbers.Real) for x in (low, high)) or not 0 < low < high:
        raise InvalidInputError(
            f"Filter {name!r}: found low={low!r} and high={high!r}, expected 0 < low < high."
        )
    if library_hash(str(name)) is not None:
        raise InvalidInputError(
            f"Filter {name!r}: found a filter of the library with this name, expected a name of "
            "its own for the box, such as 'box-red1'."
        )
    inner = np.linspace(low, high, max(int((high - low) / 5), 2))
    points = np.concatenate([[low - 1e-3], inner, [high + 1e-3]])
    response = np.ones(len(points))
    response[[0, -1]] = 0.0
    return define(make_curve(name, points, response, {"description": "box"}))
