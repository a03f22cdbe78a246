"""From where a simulated galaxy is seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from picasssso.exceptions import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from picasssso.mocks.particles.components import StarParticles

_AXES = {"x": (1.0, 0.0, 0.0), "y": (0.0, 1.0, 0.0), "z": (0.0, 0.0, 1.0)}


def spin_axis(stars: StarParticles, radius: float) -> np.ndarray:
    """Return the direction about which stars within a radius in kpc turn."""
    inside = (stars.position**2).sum(axis=1) < radius**2
    position, mass = stars.position[inside], stars.mass[inside]
    if stars.velocity is not None:
        velocity = stars.velocity[inside]
        velocity = velocity - np.average(velocity, axis=0, weights=mass)
        spin = (mass[:, None] * np.cross(position, velocity)).sum(axis=0)
        if np.linalg.norm(spin) > 0:
            return spin / np.linalg.norm(spin)
    return np.linalg.eigh((mass[:, None] * position).T @ position)[1][:, 0]


def viewing_matrix(
    line_of_sight: str | Sequence[float] | np.ndarray,
    stars: StarParticles,
    radius: float,
    position_angle: float = 0.0,
) -> np.ndarray:
    """Return the rotation into the frame of an observer.

    ``radius``: only stars inside this radius in kpc count for them; ``position_angle``: by how
    many degrees the sky is turned, from x towards y; returns of shape (3, 3); its rows are the
    directions of x and y on the sky and that to the observer.
    """
    up: np.ndarray | None = None
    if isinstance(line_of_sight, str):
        if line_of_sight in _AXES:
            towards = np.array(_AXES[line_of_sight])
        elif line_of_sight in ("face-on", "edge-on"):
            towards = spin_axis(stars, radius)
            if line_of_sight == "edge-on":
                up = towards
                towards = np.cross(up, _AXES["x" if abs(up[0]) < 0.9 else "y"])
        else:
            raise InvalidInputError(
                f"line_of_sight={line_of_sight!r} is unknown: expected 'x', 'y', 'z', "
                "'face-on', 'edge-on' or three numbers."
            )
    else:
        towards = np.asarray(line_of_sight, dtype=np.float64)
        if towards.shape != (3,) or not np.isfinite(towards).all() or not towards.any():
            raise InvalidInputError(
                f"line_of_sight={line_of_sight!r} is not a direction: expected three finite "
                "numbers, not all zero, or 'x', 'y', 'z', 'face-on', 'edge-on'."
            )
    towards = towards / np.linalg.norm(towards)
    if up is None:
        up = np.array(_AXES["y" if abs(towards[2]) > 0.999 else "z"])
    across = np.cross(up, towards)
    across = across / np.linalg.norm(across)
    matrix = np.stack([across, np.cross(towards, across), towards])
    # Whole quarters exactly, so that a galaxy turned by 90 degrees has the same pixels.
    quarters, rest = divmod(position_angle, 90.0)
    angle = np.deg2rad(rest)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    quarter = np.array([[0.0, -1.0], [1.0, 0.0]])
    turn = np.linalg.matrix_power(quarter, int(quarters) % 4) @ turn
    matrix[:2] = turn @ matrix[:2]
    return matrix
