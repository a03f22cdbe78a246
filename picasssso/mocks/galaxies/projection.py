"""Disks with thickness, seen at any angle.

With the line of nodes along x, what a disk of finite thickness looks like is a linear
map of its face-on columns: matter at height z above a point y of the plane appears at
y cos(i) + z sin(i). As a matrix that spreads each row of the plane over rows of the sky it
costs two matrix products, holds at any inclination up to edge-on, and conserves mass.
"""

from __future__ import annotations

import numpy as np
import torch


def inclining_matrix(
    plane_y: torch.Tensor, sky_y: torch.Tensor, cosine: torch.Tensor, height: torch.Tensor
) -> torch.Tensor:
    """Return the matrix that inclines disks.

    ``plane_y``: coordinates of the rows of the plane, evenly spaced, of shape (n, m); ``sky_y``:
    coordinates of the rows of the sky, of shape (n, k); ``cosine``: cosine of the inclination,
    of shape (n,); ``height``: standard deviation of the heights of matter above the plane, of
    shape (n,); returns of shape (n, k, m): surface density on the sky per surface density in the
    plane.
    """
    sine = torch.sqrt(1.0 - cosine**2)
    plane_step = plane_y[:, 1] - plane_y[:, 0]
    sky_step = sky_y[:, 1] - sky_y[:, 0]
    # A row is not a line: it is as wide as the coarser of the two grids' steps.
    least = 0.65 * torch.maximum(plane_step * cosine, sky_step)
    width = torch.sqrt((height * sine) ** 2 + least**2)[:, None, None]
    distance = (sky_y[:, :, None] - plane_y[:, None, :] * cosine[:, None, None]) / width
    weight = torch.exp(-0.5 * (distance * distance).clamp(max=60.0))
    return weight * (plane_step[:, None, None] / (np.sqrt(2.0 * np.pi) * width))


def to_sky(
    maps: torch.Tensor, x: torch.Tensor, y: torch.Tensor, half_size: torch.Tensor
) -> torch.Tensor:
    """Return maps in the frame of galaxies at pixels of the sky.

    Interpolation at the pixels' centers misses part of what is narrow, such as disks seen
    edge-on. So each map is scaled, by a few per cent at most, to hold what the given map
    holds within the frame of the pixels.

    ``maps``: of shape (n, channel, k, k), reaching from -half_size to half_size in both axes;
    ``x, y``: coordinates of pixels in that frame, of shape (n, height, width): a square grid at
    any angle; ``half_size``: of shape (n,); returns of shape (n, channel, height, width).
    """
    grid = torch.stack([x, y], dim=-1) / half_size[:, None, None, None]
    sky = torch.nn.functional.grid_sample(
        maps, grid, mode="bilinear", padding_mode="zeros", align_corners=False
    )
    step = 2.0 * half_size / maps.shape[-1]
    inside, area = _inside_frame(maps.shape[-1], step, x, y)
    held = (maps * inside[:, None]).sum((2, 3)) * (step**2 / area)[:, None]
    found = sky.sum((2, 3))
    factor = torch.where(found > 0, held / found.clamp(min=1e-30), 1.0).clamp(0.9, 1.1)
    return sky * factor[:, :, None, None]


def _inside_frame(
    n_cells: int, step: torch.Tensor, x: torch.Tensor, y: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return which part of each cell lies in the frame of pixels, and the pixels' area."""
    cells = (torch.arange(n_cells, device=x.device) - 0.5 * (n_cells - 1)) * step[:, None]
    from_x, from_y = cells - x[:, :1, 0], cells - y[:, :1, 0]
    inside, area = torch.ones((), device=x.device), torch.ones((), device=x.device)
    for row, column in ((0, -1), (-1, 0)):
        # From the first pixel to the last of an axis, and where cells lie along it.
        count = (x.shape[1] if row else x.shape[2]) - 1
        across, up = x[:, row, column] - x[:, 0, 0], y[:, row, column] - y[:, 0, 0]
        length = torch.sqrt(across**2 + up**2)
        share_x, share_y = (count * v / length**2 for v in (across, up))
        pixels = (from_x * share_x[:, None])[:, None, :] + (from_y * share_y[:, None])[:, :, None]
        edge = torch.minimum(pixels + 0.5, count + 0.5 - pixels)
        size = length / count
        inside = inside * (edge * (size / step)[:, None, None] + 0.5).clamp(0.0, 1.0)
        area = area * size
    return inside, area
