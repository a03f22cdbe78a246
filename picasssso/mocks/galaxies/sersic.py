"""Sersic profiles as sums of Gaussians.

A sum of Gaussians has a known total whatever the pixels are, projects and convolves
exactly, and may have an axis ratio and an angle that change with radius, as triaxial
galaxies have. The idea is that of Emsellem et al. (1994, A&A 285, 723) and Hogg & Lang
(2013, PASP 125, 719); the weights are fitted here.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch

#: Widths of the Gaussians in half-mass radii.
GAUSSIAN_WIDTHS = np.geomspace(0.02, 4.5, 11)

_INDICES = np.linspace(0.5, 7.0, 27)
_RADII = np.geomspace(0.01, 8.0, 160)


def _sersic_b(index: float) -> float:
    """Return b_n of Ciotti & Bertin (1999, A&A 352, 447), equation 18."""
    return 2 * index - 1 / 3 + 4 / (405 * index) + 46 / (25515 * index**2)


@lru_cache(maxsize=1)
def _weight_table() -> np.ndarray:
    """Return the masses of the Gaussians for Sersic indices, fitted to the mass in annuli."""
    edges = np.concatenate([[0.0], _RADII])
    basis = -np.diff(np.exp(-0.5 * (edges[:, None] / GAUSSIAN_WIDTHS) ** 2), axis=0)
    table = []
    for index in _INDICES:
        fine = np.geomspace(1e-5, 8.0, 6000)
        density = np.exp(-_sersic_b(index) * (fine ** (1 / index) - 1.0)) * fine
        mass = np.concatenate([[0.0], np.cumsum(0.5 * (density[1:] + density[:-1])
                                                * np.diff(fine))])  # fmt: skip
        # Cut where it is, the profile's half-mass radius is again 1.
        fine = fine / np.interp(0.5 * mass[-1], mass, fine)
        target = np.diff(np.interp(edges, fine, mass)) / mass[-1]
        # Annuli count by their mass, but the outskirts a little more than that.
        scale = 1.0 / np.sqrt(target + 1e-4)
        weights = _positive_solution(basis * scale[:, None], target * scale)
        table.append(weights / weights.sum())
    return np.array(table)


def _positive_solution(matrix: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the least-squares solution without negative numbers (Lawson & Hanson 1974).

    Mocks are made without scipy.
    """
    solution = np.zeros(matrix.shape[1])
    used = np.zeros(matrix.shape[1], dtype=bool)
    for _ in range(3 * matrix.shape[1]):
        gradient = matrix.T @ (values - matrix @ solution)
        if used.all() or gradient[~used].max() < 1e-10:
            break
        used[np.argmax(np.where(used, -np.inf, gradient))] = True
        while True:
            trial = np.zeros_like(solution)
            trial[used] = np.linalg.lstsq(matrix[:, used], values, rcond=None)[0]
            if trial[used].min() > 0:
                break
            leaving = used & (trial <= 0)
            steps = solution[leaving] / (solution[leaving] - trial[leaving])
            solution = solution + steps.min() * (trial - solution)
            used &= solution > 1e-14
            solution[~used] = 0.0
        solution = trial
    return solution


def sersic_weights(index: np.ndarray) -> np.ndarray:
    """Return masses (n, 11) of the Gaussians that make up Sersic profiles of index 0.5-7, (n,)."""
    place = np.interp(index, _INDICES, np.arange(len(_INDICES)))
    left = np.minimum(place.astype(int), len(_INDICES) - 2)
    part = (place - left)[:, None]
    table = _weight_table()
    return table[left] * (1.0 - part) + table[left + 1] * part


def sersic_fraction(index: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Return the part of round profiles' mass inside radii in half-mass radii, all (n,)."""
    inside = 1.0 - np.exp(-0.5 * (radius[:, None] / GAUSSIAN_WIDTHS) ** 2)
    return np.sum(sersic_weights(index) * inside, axis=1)


def elliptical_gaussians(
    x: torch.Tensor,
    y: torch.Tensor,
    weights: torch.Tensor,
    width: torch.Tensor,
    axis_ratio: torch.Tensor,
    angle: torch.Tensor,
    softening: torch.Tensor,
) -> torch.Tensor:
    """Return the surface density of sums of elliptical Gaussians.

    ``x, y``: coordinates of pixels, of shape (n, p); ``weights``: masses, of shape (n, k);
    ``width``: standard deviations of the circular equivalents, of shape (n, k); ``axis_ratio,
    angle``: axis ratios, and angles of the major axes from x towards y in rad, (n, k);
    ``softening``: added in quadrature to all widths, of shape (n,): a pixel is not a point;
    returns mass per unit area, of shape (n, p).
    """
    root = torch.sqrt(axis_ratio)
    soft = softening[:, None] ** 2
    major, minor = (width / root) ** 2 + soft, (width * root) ** 2 + soft
    cosine, sine = torch.cos(angle), torch.sin(angle)
    xx = cosine**2 / major + sine**2 / minor
    yy = sine**2 / major + cosine**2 / minor
    xy = 2.0 * cosine * sine * (1.0 / major - 1.0 / minor)
    quadratic = torch.stack([x * x, y * y, x * y], dim=1)
    exponent = torch.bmm(torch.stack([xx, yy, xy], dim=2).mul_(-0.5), quadratic)
    # Beyond e^-30 nothing is left, and smaller numbers would be denormal, and slow.
    height = weights / (2.0 * np.pi * torch.sqrt(major * minor))
    return torch.bmm(height[:, None, :], exponent.clamp_(min=-30.0).exp_())[:, 0]
