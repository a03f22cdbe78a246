"""From parameters to described galaxies on a pixel grid."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from picasssso._core.constants import HELIUM
from picasssso._core.random import Stream
from picasssso.mocks.age_bins import N_AGE
from picasssso.mocks.galaxies.disk_structure import draw_structure, sample_structure
from picasssso.mocks.galaxies.formation import delayed_history
from picasssso.mocks.galaxies.projection import inclining_matrix, to_sky
from picasssso.mocks.galaxies.scaling_relations import (
    attenuation_per_surface_density,
    attenuation_slope,
    early_type_size,
)
from picasssso.mocks.galaxies.sersic import GAUSSIAN_WIDTHS, elliptical_gaussians, sersic_weights

#: Cells of a disk's plane per pixel of the frame, along one axis.
PLANE_SAMPLING = 1.1

#: Sides of planes are multiples of this, and planes of 32. Some functions (sigmoid, atan2, powers
#: of 2) round differently in what is left over of an array after pieces of 32, and a galaxy
#: must not depend on its place in a batch.
_PIECE = 8

#: How much of the difference between young and old stars' log metallicity each age bin shows.
_ENRICHMENT = (0.0, 0.0, 0.0, 0.1, 0.25, 0.5, 0.9, 1.05, 1.25)

#: Mass of remnants and living stars per mass formed, typical of old stars (`picasssso.sps`
#: gives the exact one; this only sets how much is put in for a wanted mass).
_SURVIVING = (0.93, 0.81, 0.74, 0.68, 0.635, 0.61, 0.585, 0.565, 0.555)


@dataclass(frozen=True, eq=False)
class Frame:
    """The pixels on which galaxies are described, with their size in kpc, (n,)."""

    n_pixels: int
    pixel_scale_kpc: np.ndarray


@dataclass(frozen=True, eq=False)
class Parts:
    """Maps of galaxies or of their companions, as in `picasssso.mocks.galaxy_maps.Galaxies`.

    ``slope``: the slopes of both attenuation laws, of shape (n, 2); ``log_gas_metallicity``:
    log10 of the mass fraction of metals of the gas, of shape (n, y, x).
    """

    mass_formed: torch.Tensor
    log_metallicity: torch.Tensor
    attenuation: torch.Tensor
    slope: torch.Tensor
    hi_mass: torch.Tensor
    h2_mass: torch.Tensor
    log_gas_metallicity: torch.Tensor


def _histories(parameters: dict[str, np.ndarray]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return age fractions of bulge, inner and outer disk, bar and satellites, and masses."""
    p = parameters
    tilt = 10.0 ** (1.3 * p["age_gradient"])
    later = 10.0 ** (0.7 * p["age_gradient"])
    inner = delayed_history(p["start"], p["tau"] / tilt, p["end"] * later)
    outer = delayed_history(
        p["start"] - np.clip(2.0 * p["age_gradient"], -2.0, 2.0), p["tau"] * tilt, p["end"] / later
    )
    early = delayed_history(p["early_start"], 1.5 + 0.0 * p["tau"], 0.0 * p["tau"])
    old = p["old_fraction"][:, None]
    inner, outer = (part * (1.0 - old) + early * old for part in (inner, outer))
    bulge = delayed_history(p["bulge_start"], p["bulge_tau"], p["bulge_end"])
    satellite = delayed_history(p["start"], np.full_like(p["tau"], 4.0), 0.5 + 0.0 * p["tau"])
    bar = np.where((p["linked"] > 0)[:, None], 0.5 * (inner + bulge), inner)
    burst = delayed_history(1.2 * p["burst_time"] + 0.1, 0.2 * p["burst_time"], 0.0 * p["tau"])
    extra = p["burst_fraction"][:, None]
    inner, outer = (part * (1.0 - extra) + burst * extra for part in (inner, outer))
    # Fewer stars formed anew in a bulge.
    bulge = bulge * (1.0 - 0.3 * extra) + burst * 0.3 * extra
    fractions = np.stack([bulge, inner, outer, bar, satellite], axis=1)
    # The last 300 Myr come from the map of star formation.
    fractions[:, 1:4, :3] = 0.0
    fractions[:, 0, :2] = 0.0
    fractions /= fractions.sum(axis=2, keepdims=True)
    surviving = fractions @ np.array(_SURVIVING)
    mass = 10.0 ** p["log_mass"]
    young = p["sfr"] * (1e8 + 2e8 * p["recent_rate"])
    disk_now = mass * (1.0 - p["bulge_fraction"])
    young_now = young * 0.78
    disk_survival = 0.5 * (surviving[:, 1] + surviving[:, 2])
    disk = np.maximum(disk_now - young_now, 0.1 * disk_now) / disk_survival
    bar_mass = p["bar_fraction"] * disk
    masses = {
        "bulge": mass * p["bulge_fraction"] / surviving[:, 0],
        "disk": disk - bar_mass,
        "bar": bar_mass,
        "young": young,
        "satellites": mass / surviving[:, 4],
    }
    return fractions, masses


def render_parts(
    parameters: dict[str, np.ndarray],
    frame: Frame,
    stream: Stream,
    *,
    offset: tuple[np.ndarray, np.ndarray] | None = None,
    rotation: np.ndarray | None = None,
    prefix: str = "",
) -> Parts:
    """Describe galaxies on pixels.

    ``frame``: the pixels; ``offset``: centers in kpc from the frame's, in the frame turned by
    ``rotation``; those of the parameters if not given.
    """
    device = stream.device
    fractions, masses = _histories(parameters)
    both = {**parameters, **{f"{k}_mass": v for k, v in masses.items()}}
    # In one piece: a hundred small copies to a GPU take longer than all arithmetic here.
    stacked = torch.as_tensor(np.stack(list(both.values())).astype(np.float32), device=device)
    values = dict(zip(both, stacked.unbind(), strict=True))
    pixel = torch.as_tensor(frame.pixel_scale_kpc, dtype=torch.float32, device=device)
    if offset is None:
        offset = (
            parameters["offset_x"] * frame.pixel_scale_kpc,
            parameters["offset_y"] * frame.pixel_scale_kpc,
        )
    shift = [torch.as_tensor(o, dtype=torch.float32, device=device) for o in offset]
    turn = values["position_angle"] if rotation is None else torch.as_tensor(
        rotation, dtype=torch.float32, device=device
    )  # fmt: skip
    x, y = _coordinates(frame.n_pixels, pixel, turn, shift, values["position_angle"])
    disk = _disk_maps(values, frame.n_pixels, pixel, shift, x, y, stream, prefix)
    n = len(pixel)
    flat = (n, frame.n_pixels**2)
    bulge = _bulge_map(values, parameters["sersic_index"], pixel, x.reshape(flat), y.reshape(flat))
    satellites = _satellite_map(
        parameters, values, pixel, x.reshape(flat), y.reshape(flat), stream
    )
    return _assemble(values, fractions, disk, bulge, satellites, x, y)


def _coordinates(
    n_pixels: int,
    pixel: torch.Tensor,
    turn: torch.Tensor,
    shift: list[torch.Tensor],
    position_angle: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the pixels' coordinates in kpc along galaxies' major and minor axes."""
    steps = torch.arange(n_pixels, device=pixel.device) - 0.5 * (n_pixels - 1)
    sky = steps[None, :] * pixel[:, None]
    sky_x, sky_y = sky[:, None, :], sky[:, :, None]

    def rotated(
        a: torch.Tensor, b: torch.Tensor, angle: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        cosine, sine = torch.cos(angle)[:, None, None], torch.sin(angle)[:, None, None]
        return a * cosine + b * sine, b * cosine - a * sine

    x, y = rotated(sky_x, sky_y, turn)
    x, y = x - shift[0][:, None, None], y - shift[1][:, None, None]
    if turn is position_angle:
        return x, y
    return rotated(x, y, position_angle - turn)


def _normalized(profile: torch.Tensor, radius: torch.Tensor) -> torch.Tensor:
    """Return 2 pi times the integral of profiles over their disk, (n, 1, 1)."""
    step = radius[1] - radius[0]
    total = (profile * radius).sum(dim=-1) * step * 2.0 * math.pi
    return total[:, None, None]


def _sf_profile(
    v: dict[str, torch.Tensor], radius: torch.Tensor, soft: torch.Tensor
) -> torch.Tensor:
    """Return the shape of the star formation's profile at radii in disk scale lengths."""
    extra = (1,) * (radius.ndim - 1)

    def p(name: str) -> torch.Tensor:
        return v[name].reshape(-1, *extra)

    smooth = torch.exp(-radius / p("sf_scale_ratio").clamp(0.3, 3.0))
    hole = 1.0 - p("sf_hole").clamp(max=1.0) * torch.exp(-((radius / 0.55) ** 2))
    where = p("ring_radius") / p("disk_scale")
    distance = (radius - where) / torch.hypot(p("ring_width") * where, soft)
    ring = p("linked") * p("ring") * 1.8 * torch.exp(-where / p("sf_scale_ratio").clamp(0.3, 3.0))
    return smooth * hole + ring * torch.exp(-0.5 * (distance * distance).clamp(max=60.0))


def _hi_profile(v: dict[str, torch.Tensor], radius: torch.Tensor) -> torch.Tensor:
    """Return the HI profile at radii in HI radii (outside: Wang et al. 2014, MNRAS 441, 2159)."""
    hole = v["hi_hole"].reshape(-1, *(1,) * (radius.ndim - 1))
    return torch.sigmoid((0.62 - radius) / 0.17) * (1.0 - hole * torch.exp(-((radius / 0.3) ** 2)))


def _disk_maps(
    v: dict[str, torch.Tensor],
    n_pixels: int,
    pixel: torch.Tensor,
    shift: list[torch.Tensor],
    x: torch.Tensor,
    y: torch.Tensor,
    stream: Stream,
    prefix: str,
) -> torch.Tensor:
    """Return the disk's maps on the sky.

    In Msun/kpc2 formed: inner and outer disk, bar; in Msun/yr/kpc2: star formation of the
    last 10 and of the 10-100 Myr; in Msun/kpc2: H2, HI. Shape (n, 7, y, x).
    """
    device = pixel.device
    n_plane = _PIECE * math.ceil(PLANE_SAMPLING * n_pixels / _PIECE)
    cells = (torch.arange(n_plane, device=device) + 0.5) * (2.0 / n_plane) - 1.0
    half = pixel * (n_pixels * 0.5 * math.sqrt(2.0) + 1.0) + torch.hypot(shift[0], shift[1])
    cosine = v["cos_inclination"].clamp(0.02, 1.0)
    scale = v["disk_scale"]
    height = 0.8 * v["thickness"] * scale
    # Tidal debris is twice as wide as the disk.
    largest = torch.maximum(scale * torch.where(v["tidal"] > 0, 18.0, 9.0), 1.8 * v["hi_radius"])
    reach = torch.minimum((half + 3.0 * height) / cosine, largest)
    plane_x = (cells * half[:, None])[:, None, :]
    plane_y = cells * reach[:, None]
    px, py = torch.broadcast_tensors(plane_x, plane_y[:, :, None])
    in_kpc = torch.sqrt(px * px + py * py).clamp(min=1e-3)
    radius = in_kpc / scale[:, None, None]
    # Nothing is sharper than cells can hold: cusps and rings are softened by part of one.
    cell = (1.2 * torch.maximum(half, reach) / n_plane)[:, None, None]
    soft = cell / scale[:, None, None]
    smooth_radius = torch.hypot(radius, soft)
    structure = draw_structure(v, stream, prefix)
    factor = sample_structure(structure, px, py, radius)
    factor = 1.0 + (factor - 1.0) * (1.0 - torch.exp(-0.2 * (radius / soft) ** 2))[:, None]

    def p(name: str) -> torch.Tensor:
        return v[name][:, None, None]

    area = (scale**2)[:, None, None]
    tidal = p("tidal").clamp(max=0.4)
    # The integral of exp(-hypot(r, s) + s) r is 1 + s.
    wide = soft / 2.2
    disk = (1.0 - tidal) * torch.exp(soft - smooth_radius) / (1.0 + soft)
    disk = disk + tidal * torch.exp(wide - smooth_radius / 2.2) / (1.0 + wide) / 2.2**2
    disk = disk * (p("disk_mass") / (2.0 * math.pi * area))
    inside = torch.sigmoid((1.6 - radius) * 2.0)
    grid = torch.linspace(0.0, 24.0, 481, device=device)
    around = torch.hypot(grid[None], soft[:, :, 0])
    sf = _sf_profile(v, smooth_radius, soft)
    sf = sf / (_normalized(_sf_profile(v, around, soft[:, :, 0]), grid) * area) * p("sfr")
    hi_scale = v["hi_radius"][:, None, None]
    hi_grid = torch.linspace(0.0, 2.0, 161, device=device)
    hi = _hi_profile(v, in_kpc / hi_scale)
    hi = hi / (_normalized(_hi_profile(v, hi_grid[None]), hi_grid) * hi_scale**2) * p("hi_mass")
    h2 = sf * p("depletion_time") / HELIUM

    smooth = torch.stack([disk, h2, sf, sf, hi], dim=1)
    whole = radius < (torch.minimum(half, reach) / scale)[:, None, None]
    old, h2, sfr100, sfr10, hi = _structured(smooth, factor, whole).unbind(1)
    thick = torch.stack([old * inside, old * (1.0 - inside), _bar(v, px, py, cell)], dim=1)
    thin = torch.stack([sfr10, sfr100, h2, hi], dim=1)
    sky_y = cells * half[:, None]
    spread = inclining_matrix(plane_y, sky_y, cosine, height)
    spread_thin = inclining_matrix(plane_y, sky_y, cosine, height * v["dust_thickness"])
    maps = torch.cat(
        [torch.matmul(spread[:, None], thick), torch.matmul(spread_thin[:, None], thin)], dim=1
    )
    return to_sky(maps, x, y, half)


def _structured(smooth: torch.Tensor, factor: torch.Tensor, whole: torch.Tensor) -> torch.Tensor:
    """Return smooth profiles times structure, (n, channel, p, q), with the same sums.

    Structure has a mean of 1 around circles, but coarse cells may miss its peaks; so sums
    are compared within the largest circle on the grid.
    """
    structured = smooth * factor
    within = whole[:, None]
    before = (smooth * within).sum((2, 3), keepdim=True)
    after = (structured * within).sum((2, 3), keepdim=True)
    return structured * torch.where(after > 0, before / after.clamp(min=1e-30), 1.0)


def _bar(
    v: dict[str, torch.Tensor], x: torch.Tensor, y: torch.Tensor, cell: torch.Tensor
) -> torch.Tensor:
    """Return the bar's surface density in the plane: flat-topped ellipses, exp(-s^2.5)."""
    angle = v["bar_angle"][:, None, None]
    cosine, sine = torch.cos(angle), torch.sin(angle)
    length = 0.75 * v["bar_length"][:, None, None]
    width = torch.hypot(length * v["bar_axis_ratio"][:, None, None], 2.0 * cell)
    length = torch.hypot(length, 2.0 * cell)
    along = (x * cosine + y * sine) / length
    across = (y * cosine - x * sine) / width
    s2 = (along * along + across * across).clamp(max=20.0)
    norm = 2.0 * math.pi / 2.5 * math.gamma(2.0 / 2.5) * length * width
    return v["bar_mass"][:, None, None] / norm * torch.exp(-(s2**1.25))


def _bulge_map(
    v: dict[str, torch.Tensor],
    sersic_index: np.ndarray,
    pixel: torch.Tensor,
    x: torch.Tensor,
    y: torch.Tensor,
) -> torch.Tensor:
    weights = torch.as_tensor(
        sersic_weights(sersic_index), dtype=torch.float32, device=pixel.device
    )
    widths = torch.as_tensor(GAUSSIAN_WIDTHS, dtype=torch.float32, device=pixel.device)
    place = torch.linspace(-1.0, 1.0, len(GAUSSIAN_WIDTHS), device=pixel.device)
    angle = v["bulge_angle"][:, None] + v["bulge_twist"][:, None] * place
    # Isophotes of spheroids flatten outwards a little.
    ratio = (v["bulge_axis_ratio"][:, None] - 0.06 * place).clamp(0.25, 1.0)
    return elliptical_gaussians(
        x, y, weights * v["bulge_mass"][:, None], widths * v["bulge_radius"][:, None], ratio,
        angle, 0.6 * pixel,
    )  # fmt: skip


def _satellite_map(
    parameters: dict[str, np.ndarray],
    v: dict[str, torch.Tensor],
    pixel: torch.Tensor,
    x: torch.Tensor,
    y: torch.Tensor,
    stream: Stream,
) -> torch.Tensor:
    result = torch.zeros_like(x)
    count = parameters["n_satellites"].astype(int)
    host, which = np.nonzero(np.arange(3) < count[:, None])
    if host.size == 0:
        return result
    numbers = {
        name: stream.uniform(f"satellite {name}", 3)[host, which]
        for name in ("distance", "angle", "ratio", "axis ratio", "turn")
    }
    log_mass = parameters["log_mass"][host] - 1.5 - 1.5 * numbers["ratio"]
    distance = parameters["half_mass_radius"][host] * (1.5 + 4.0 * numbers["distance"])

    def tensor(array: np.ndarray) -> torch.Tensor:
        return torch.as_tensor(array, dtype=torch.float32, device=pixel.device)

    rows = torch.as_tensor(host, device=pixel.device)
    angle = 2.0 * np.pi * numbers["angle"]
    weights = tensor(sersic_weights(np.full(host.size, 1.0)))
    mass = v["satellites_mass"][rows] * tensor(10.0 ** (log_mass - parameters["log_mass"][host]))
    width = tensor(GAUSSIAN_WIDTHS[None, :] * early_type_size(log_mass)[:, None])
    maps = elliptical_gaussians(
        x[rows] - tensor(distance * np.cos(angle))[:, None],
        y[rows] - tensor(distance * np.sin(angle))[:, None],
        weights * mass[:, None],
        width,
        tensor(0.4 + 0.6 * numbers["axis ratio"])[:, None].expand_as(width),
        tensor(np.pi * numbers["turn"])[:, None].expand_as(width),
        0.6 * pixel[rows],
    )
    return result.index_add_(0, rows, maps)


def _assemble(
    v: dict[str, torch.Tensor],
    fractions: np.ndarray,
    disk: torch.Tensor,
    bulge: torch.Tensor,
    satellites: torch.Tensor,
    x: torch.Tensor,
    y: torch.Tensor,
) -> Parts:
    n, _, height, width = disk.shape
    inner, outer, bar, sfr10, sfr100, h2, hi = disk.unbind(1)
    bulge, satellites = bulge.reshape(inner.shape), satellites.reshape(inner.shape)
    device = disk.device
    components = torch.stack([bulge, inner, outer, bar, satellites, sfr10, sfr100], dim=1)
    ages = torch.zeros(n, N_AGE, 7, device=device)
    ages[:, :, :5] = torch.as_tensor(fractions, dtype=torch.float32, device=device).transpose(1, 2)
    # The rate of the last 100 Myr is what it is; more of it may have come in the last 10.
    steady = 10.0 / (v["latest_rate"] + 9.0)
    ages[:, 0, 5] = 1e7 * v["latest_rate"] * steady
    ages[:, 1, 6] = 9e7 * steady
    ages[:, 2, 6] = 2e8 * v["recent_rate"]
    mass = torch.bmm(ages, components.reshape(n, 7, -1)).reshape(n, N_AGE, height, width)

    def p(name: str) -> torch.Tensor:
        return v[name][:, None, None]

    # Gradients follow ellipses of the disk or, in spheroids, of the stars.
    cosine = v["cos_inclination"]
    flat = torch.sqrt(cosine**2 + (1.0 - cosine**2) * v["thickness"] ** 2)
    flat = torch.where(v["spheroid"] > 0, v["bulge_axis_ratio"], flat)[:, None, None]
    radius = torch.sqrt(x * x + (y / flat) ** 2) / p("half_mass_radius")
    near = radius.clamp(max=2.5)
    old_z = p("old_metallicity") + p("metallicity_gradient") * (near - 0.8)
    gas_z = p("gas_metallicity") + p("gas_gradient") * (near - 1.0)
    # Stars of today are not poorer in metals than the mean of old stars and the gas.
    young_z = torch.maximum(gas_z, 0.5 * (gas_z + old_z))
    share = torch.tensor(_ENRICHMENT, device=device)[:, None, None]
    log_z = young_z[:, None] + (old_z - young_z)[:, None] * share

    column = (h2 + hi) * (torch.exp(gas_z * 2.302585) / 0.0142) * p("dust_factor")
    column = column * attenuation_per_surface_density()
    weight = mass[:, :4].sum(1)
    column = spread_column(column, weight, p("dust_power"))
    behind = behind_fraction(y.reshape(n, -1), cosine, v["bulge_radius"], v["near_side"]).reshape(
        column.shape
    )
    through = torch.exp(-0.921 * column)
    from_bulge = 1.0 - behind * (1.0 - through)
    from_disk = layer_transmission(column, p("dust_thickness"))
    from_young = slab_transmission(column)
    # The disk's stars are younger and shine brighter for their mass.
    disks = 1.7 * (inner + outer + bar) + 1e-3
    seen = (bulge * from_bulge + disks * from_disk) / (bulge + disks)
    diffuse = -2.5 * torch.log10(seen)
    clouds = -2.5 * torch.log10(from_young) * (1.0 + p("cloud_factor")) - diffuse
    attenuation = torch.stack([diffuse, clouds.clamp(min=0.0)], dim=1).clamp_(0.0, 8.0)
    typical = (weight * diffuse).sum((1, 2)) / (weight.sum((1, 2)) + 1e-6)
    slope = attenuation_slope(typical) * (1.0 + v["slope_error"]) + v["world_dust_slope"]
    slope = slope.clamp(-1.6, -0.3)
    return Parts(
        mass_formed=mass,
        log_metallicity=log_z.clamp_(-3.9, -1.31),
        attenuation=attenuation,
        slope=torch.stack([slope, v["cloud_slope"]], dim=1),
        hi_mass=hi,
        h2_mass=h2,
        log_gas_metallicity=gas_z.clamp_(-3.9, -1.31),
    )


def merge_parts(hosts: Parts, guests: Parts, rows: torch.Tensor) -> Parts:
    """Add companions to galaxies; ``rows`` (k,) says to which each belongs."""
    mass, more = hosts.mass_formed[rows], guests.mass_formed
    share = more / (mass + more + 1e-6)
    gas, more_gas = (part.hi_mass + part.h2_mass for part in (hosts, guests))
    gas_share = more_gas / (gas[rows] + more_gas + 1e-6)
    total_share = (more.sum(1) / (mass.sum(1) + more.sum(1) + 1e-6))[:, None]

    def mixed(one: torch.Tensor, other: torch.Tensor, part: torch.Tensor) -> torch.Tensor:
        result = one.clone()
        result[rows] = one[rows] + (other - one[rows]) * part
        return result

    def added(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        return one.index_add(0, rows, other)

    return Parts(
        mass_formed=added(hosts.mass_formed, guests.mass_formed),
        log_metallicity=mixed(hosts.log_metallicity, guests.log_metallicity, share),
        attenuation=mixed(hosts.attenuation, guests.attenuation, total_share),
        slope=hosts.slope,
        hi_mass=added(hosts.hi_mass, guests.hi_mass),
        h2_mass=added(hosts.h2_mass, guests.h2_mass),
        log_gas_metallicity=mixed(
            hosts.log_gas_metallicity, guests.log_gas_metallicity, gas_share
        ),
    )


# What dust in a disk does to the light of disks, bulges and young stars.
#
# The dust's column is that of the gas times its metallicity. Stars in a layer thicker than
# the dust are partly in front of it, partly behind, partly mixed with it; of a bulge the
# part behind the disk's plane is dimmed, which on the near side of an inclined disk is most
# of it: that makes dust lanes. Results are given as the attenuation at V of a screen that
# would dim as much.

_PER_MAG = 0.4 * 2.302585092994046


def slab_transmission(column: torch.Tensor) -> torch.Tensor:
    """Return what leaves a slab of stars and dust mixed, of an attenuation behind it in mag."""
    tau = (column * _PER_MAG).clamp(min=1e-4)
    return -torch.expm1(-tau) / tau


def layer_transmission(column: torch.Tensor, thickness: torch.Tensor) -> torch.Tensor:
    """Return the fraction of light that leaves a layer of stars with a thinner one of dust.

    The "sandwich" of Disney, Davies & Phillipps (1989, MNRAS 239, 939).

    ``column``: attenuation at V of a source behind all dust, in mag.
    """
    through = torch.exp(-_PER_MAG * column)
    outside = 0.5 * (1.0 - thickness) * (1.0 + through)
    return outside + thickness * slab_transmission(column)


def spread_column(column: torch.Tensor, weight: torch.Tensor, power: torch.Tensor) -> torch.Tensor:
    """Return columns of dust to a power, with the same mean.

    Less than in proportion to gas and metals: attenuation falls little with radius (Gonzalez
    Delgado et al. 2015, A&A 581, A103). ``column, weight``: shape (n, y, x), the weight is that
    of the mean; ``power``: shape (n, 1, 1); returns shape (n, y, x).
    """

    def mean(values: torch.Tensor) -> torch.Tensor:
        total = (weight * values).sum((1, 2), keepdim=True)
        return total / (weight.sum((1, 2), keepdim=True) + 1e-6)

    before = mean(column)
    spread = torch.where(column > 0, (column / (before + 1e-12)).clamp(min=1e-12) ** power, 0.0)
    return spread * before / (mean(spread) + 1e-12)


def behind_fraction(
    minor: torch.Tensor, cosine: torch.Tensor, radius: torch.Tensor, near_side: torch.Tensor
) -> torch.Tensor:
    """Return what part of a bulge's light comes from behind the disk's plane, (n, p)."""
    tangent = torch.sqrt(1.0 - cosine**2) / cosine.clamp(min=0.02)
    # The line of sight meets the plane at this distance, positive towards the observer.
    depth = minor * (near_side * tangent)[:, None]
    spread = torch.hypot(minor, 0.7 * radius[:, None])
    return 0.5 * (1.0 + torch.erf(depth / (1.4142 * spread)))
