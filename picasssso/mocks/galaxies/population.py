"""Drawing what a galaxy is: mass, type, sizes, structure, history, gas, metals and dust.

All parameters are drawn on the CPU in double precision from streams keyed by the seed, the
galaxy's number and the parameter's name (`picasssso._core.random`), so they depend on
neither batch nor device.

With ``link_structure=False`` the populations (quenching, rates, ages, metals, gas, dust,
gradients) come from a second draw that knows nothing of the shape, and the shape nothing
of them: what a network then learns from morphology is nothing but the recipe it was
trained with.
"""

from __future__ import annotations

import numpy as np

from picasssso._core.random import Stream
from picasssso.mocks.galaxies import scaling_relations as relations
from picasssso.mocks.galaxies.formation import timescale_of_rate
from picasssso.mocks.galaxies.sersic import sersic_fraction
from picasssso.mocks.worlds import Worlds

#: Values of galaxies, (n,), by name.
Arrays = dict[str, np.ndarray]

#: Normal numbers are cut at this many standard deviations: tails of relations are not known.
_CUT = 3.0

#: Half-mass radii relative to half-light radii (r): galaxies are redder inside. Chosen so
#: that half-light radii of the mocks follow the relations they are drawn from.
_MASS_TO_LIGHT_SIZE = 0.85


class _Draws:
    """Named draws, of which the scatter can be widened."""

    def __init__(self, stream: Stream, prefix: str, widen: float) -> None:
        self.stream, self.prefix, self.widen = stream, prefix, widen

    def normal(self, name: str) -> np.ndarray:
        return np.clip(self.stream.normal(self.prefix + name), -_CUT, _CUT) * self.widen

    def uniform(self, name: str, low: float = 0.0, high: float = 1.0) -> np.ndarray:
        return low + (high - low) * self.stream.uniform(self.prefix + name)

    def happens(self, name: str, probability: np.ndarray | float) -> np.ndarray:
        return self.uniform(name) < probability


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-x))


def draw_parameters(
    stream: Stream,
    *,
    mass_range: tuple[float, float] = (8.5, 11.6),
    mass_weight: float = 0.5,
    widen: float = 1.0,
    link_structure: bool = True,
    log_mass: np.ndarray | None = None,
    prefix: str = "",
    worlds: Worlds | None = None,
) -> Arrays:
    """Draw the parameters of galaxies: names to arrays of shape (n,)."""
    draws = _Draws(stream, prefix, widen)
    if log_mass is None:
        log_mass = relations.sample_masses(draws.uniform("mass"), mass_range, mass_weight)
    world = (Worlds() if worlds is None else worlds).draw(stream)
    kind = _draw_kind(draws, log_mass, world)
    shape = _draw_shape(draws, log_mass, kind)
    _smooth(shape, world["world_smooth"] > 0)
    if link_structure:
        populations = _draw_populations(draws, log_mass, kind, shape, world)
    else:
        other = _Draws(stream, prefix + "unlinked ", widen)
        populations = _draw_populations(
            other, log_mass, _draw_kind(other, log_mass, world), shape, world
        )
        _forget_structure(populations, other, shape["cos_inclination"], world)
    parameters = {**kind, **shape, **populations, **world}
    parameters["log_mass"] = log_mass
    parameters["linked"] = np.full(log_mass.shape, float(link_structure))
    return {name: np.asarray(value, dtype=np.float64) for name, value in parameters.items()}


def _draw_kind(draws: _Draws, log_mass: np.ndarray, world: Arrays) -> Arrays:
    """Draw whether a galaxy forms stars, and of what type it is."""
    by_mass = relations.quenched_fraction(log_mass)
    forming = (1.0 - by_mass) * (1.0 - world["world_environment"])
    chance = draws.uniform("quenched")
    quenched = chance < 1.0 - forming
    # Spirals whose gas their environment took keep their disks and small bulges.
    faded = quenched & (chance >= by_mass)
    green = ~quenched & draws.happens("green valley", relations.green_fraction(log_mass))
    # Round quenched galaxies become common at the highest masses (Emsellem et al. 2011,
    # MNRAS 414, 888) and are dwarf ellipticals at the lowest; the rest are lenticulars.
    spheroids = (
        0.12 + 0.6 * _sigmoid((log_mass - 10.95) / 0.2) + 0.5 * _sigmoid((9.2 - log_mass) / 0.2)
    )
    spheroid = quenched & ~faded & draws.happens("spheroid", spheroids)
    irregular = ~quenched & draws.happens(
        "irregular", 0.75 * _sigmoid((9.2 - log_mass) / 0.25) + 0.03
    )
    return {
        "quenched": quenched,
        "faded": faded,
        "green": green,
        "spheroid": spheroid,
        "irregular": irregular,
    }


def _draw_shape(draws: _Draws, log_mass: np.ndarray, kind: Arrays) -> Arrays:
    quenched, spheroid = kind["quenched"].astype(bool), kind["spheroid"].astype(bool)
    irregular = kind["irregular"].astype(bool)
    n, u = draws.normal, draws.uniform

    # Bulges: about nothing in dwarfs, a third in massive spirals and in lenticulars
    # (Moffett et al. 2016, MNRAS 462, 4336; Laurikainen et al. 2010, MNRAS 405, 1089).
    lenticular = quenched & ~kind["faded"].astype(bool)
    typical = np.where(lenticular, 0.36, 0.02 + 0.28 * _sigmoid((log_mass - 10.6) / 0.3))
    bulge = _sigmoid(np.log(typical / (1.0 - typical)) + 0.7 * n("bulge fraction"))
    bulge = np.where(spheroid, 1.0, np.where(irregular, 0.3 * bulge, bulge))
    index = np.where(
        spheroid,
        10.0 ** (0.58 + 0.22 * (log_mass - 11.0) + 0.10 * n("sersic")),
        10.0 ** (0.15 + 0.30 * bulge + 0.12 * n("sersic")),
    )
    index = np.clip(index, 0.7, 6.5)
    light_size = np.where(
        quenched, relations.early_type_size(log_mass), relations.late_type_size(log_mass)
    )
    size = (
        light_size
        * _MASS_TO_LIGHT_SIZE
        * np.exp(relations.size_scatter(log_mass) * 0.9 * n("size"))
    )
    # Disk scale length and bulge radius such that half of the mass lies inside ``size``.
    bulge_ratio = np.clip(0.30 * 10.0 ** (0.15 * n("bulge size")), 0.08, 1.0)
    half = _half_mass_radius(bulge, bulge_ratio, index)
    disk_scale = size / np.where(spheroid, 1.0, half)
    bulge_radius = np.where(spheroid, size, bulge_ratio * disk_scale)

    cos_inclination = u("inclination")
    # Thickness of disks: dwarfs are thick (Sanchez-Janssen et al. 2010, MNRAS 406, L65).
    thickness = 0.11 + 0.16 * _sigmoid((9.0 - log_mass) / 0.4) + 0.07 * quenched
    thickness = thickness * 10.0 ** (0.08 * n("thickness"))
    # Spheroids: triaxial bodies (Padilla & Strauss 2008, MNRAS 388, 1321) seen from anywhere.
    # Lenticulars are flat as a whole: 0.25 +- 0.14 is the intrinsic axis ratio of fast rotators,
    # 0.63 +- 0.09 that of slow ones (Weijmans et al. 2014, MNRAS 444, 3340).
    middle = np.clip(0.92 - 0.08 * np.abs(n("triaxial")), 0.6, 1.0)
    # Dwarf ellipticals: about 0.5 (Lisker et al. 2007, ApJ 660, 1186).
    round_ones = 0.62 - 0.12 * _sigmoid((9.6 - log_mass) / 0.2)
    typical_short = np.where(spheroid, round_ones, np.where(quenched, 0.30, 0.75))
    short = np.clip(typical_short + 0.12 * n("flattening"), 0.2, 1.0)
    ratio, twist = _projected(np.minimum(short, middle), middle, cos_inclination, u("azimuth"))

    # Spiral arms: 2 in grand designs, more elsewhere (Elmegreen & Elmegreen 1987, ApJ 314,
    # 3); pitch angles of Savchenko & Reshetnikov (2013, MNRAS 436, 1074) and Diaz-Garcia
    # et al. (2019, A&A 631, A94): 10-30 deg.
    grand = draws.happens("grand design", 0.20 + 0.30 * _sigmoid((log_mass - 10.2) / 0.3))
    many = u("arm number")
    arms = np.where(grand, 2, np.where(many < 0.25, 2, np.where(many < 0.65, 3, 4)))
    pitch = np.deg2rad(np.clip(17.0 + 6.0 * n("pitch") + 4.0 * (10.3 - log_mass), 7.0, 40.0))
    discless = quenched | irregular
    arm_old = np.where(grand, 0.60, 0.30) * np.exp(0.4 * n("arm contrast"))
    arm_old = np.where(discless, np.where(quenched, 0.05, 0.10), arm_old)
    arm_width = np.clip(2.2 * np.exp(0.35 * n("arm width")), 0.8, 6.0)
    arm_gas = np.where(grand, 1.7, 1.1) * np.exp(0.3 * n("gas arms"))
    arm_gas = np.where(discless, 0.25, arm_gas)
    floccules = np.where(grand, 0.5, 0.95) * np.exp(0.25 * n("floccules"))
    floccules = np.where(irregular, 1.0, np.where(quenched, 0.3, floccules))

    # Bars: two thirds of disks, half of those strong (Masters et al. 2011, MNRAS 411, 2026;
    # Erwin 2018, MNRAS 474, 5372), 0.5-2 disk scale lengths long.
    bars = u("bar")
    disk = ~spheroid
    strong = disk & (bars < 0.28)
    weak = disk & (bars >= 0.28) & (bars < 0.55)
    bar = np.where(strong, 0.13, np.where(weak, 0.05, 0.0)) * np.exp(0.4 * n("bar mass"))
    bar_length = disk_scale * np.clip(1.15 * np.exp(0.25 * n("bar length")), 0.5, 2.2)
    # Rings: inner ones at a bar's end, outer ones at twice that (Buta 1995, ApJS 96, 39).
    ring = draws.happens("ring", np.where(bar > 0.03, 0.35, 0.12)) & disk
    outer = draws.happens("outer ring", 0.35)
    ring_radius = np.where(outer, 2.1, 1.05) * np.where(bar > 0.03, bar_length, 1.3 * disk_scale)
    # Lopsidedness (Zaritsky & Rix 1997, ApJ 477, 118): 0.1, more in irregulars.
    lopsided = np.clip(np.where(irregular, 0.3, 0.1) * np.exp(0.6 * n("lopsided")), 0.0, 0.7)
    # Companions: a tenth of galaxies have one above 1:20 nearby in projection, some of them
    # disturbed (Patton et al. 2008; Darg et al. 2010, MNRAS 401, 1043).
    companion = draws.happens("companion", 0.10)
    log_ratio = -1.3 * u("companion ratio") ** 0.8
    log_ratio = np.maximum(log_ratio, 8.0 - log_mass)
    disturbed = draws.happens("tidal", np.where(companion, 0.6, 0.03))
    satellites = np.floor(u("satellites") ** 2 * 4.0 * _sigmoid((log_mass - 10.0) / 0.4) + 0.35)
    return {
        "bulge_fraction": bulge,
        "sersic_index": index,
        "half_mass_radius": size,
        "disk_scale": disk_scale,
        "bulge_radius": bulge_radius,
        "bulge_axis_ratio": ratio,
        "bulge_twist": np.where(spheroid, 0.5 * n("isophote twist") * (1 - ratio), 0.0),
        "bulge_angle": np.where(spheroid, 0.0, twist),
        "cos_inclination": cos_inclination,
        "thickness": np.clip(thickness, 0.06, 0.6),
        "position_angle": 2.0 * np.pi * u("position angle"),
        "offset_x": 1.5 * n("offset x"),
        "offset_y": 1.5 * n("offset y"),
        "near_side": np.where(u("near side") < 0.5, -1.0, 1.0),
        "spin": np.where(u("spin") < 0.5, -1.0, 1.0),
        "n_arms": arms,
        "pitch": pitch,
        "arm_phase": 2.0 * np.pi * u("arm phase"),
        "arm_old": arm_old,
        "arm_gas": arm_gas,
        "arm_width": arm_width,
        "floccules": floccules,
        "clumps": np.clip(np.where(irregular, 1.3, 1.0) * np.exp(0.25 * n("clumps")), 0.2, 1.8),
        "bar_fraction": np.clip(bar, 0.0, 0.35),
        "bar_length": bar_length,
        "bar_axis_ratio": np.clip(0.33 + 0.10 * n("bar shape"), 0.15, 0.7),
        "bar_angle": np.pi * u("bar angle"),
        "ring": np.where(ring, np.exp(0.5 * n("ring strength")), 0.0),
        "ring_radius": ring_radius,
        "ring_width": 0.13 * np.exp(0.3 * n("ring width")),
        "lopsided": lopsided,
        "lopsided_angle": 2.0 * np.pi * u("lopsided angle"),
        "companion": companion,
        "companion_log_ratio": log_ratio,
        "companion_distance": size * (1.0 + 3.5 * u("companion distance")),
        "companion_angle": 2.0 * np.pi * u("companion angle"),
        "tidal": np.where(disturbed, 0.10 * np.exp(0.6 * n("tidal strength")), 0.0),
        "tidal_angle": 2.0 * np.pi * u("tidal angle"),
        "tidal_arms": np.where(u("tidal arms") < 0.5, 1.0, 2.0),
        "n_satellites": np.minimum(satellites, 3.0),
    }


def _smooth(shape: Arrays, smooth: np.ndarray) -> None:
    """Take arms, clumps, bars, rings, lopsidedness and dust lanes from some galaxies, in place."""
    for name in (
        "arm_old", "arm_gas", "floccules", "clumps", "bar_fraction", "ring", "lopsided", "tidal",
        "near_side",
    ):  # fmt: skip
        shape[name] = np.where(smooth, 0.0, shape[name])


def _half_mass_radius(bulge: np.ndarray, ratio: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Return the half-mass radius of a bulge and a disk in disk scale lengths, by bisection."""
    low, high = np.full(bulge.shape, 0.02), np.full(bulge.shape, 4.0)
    for _ in range(24):
        middle = 0.5 * (low + high)
        inside = bulge * sersic_fraction(index, middle / ratio)
        inside = inside + (1.0 - bulge) * (1.0 - (1.0 + middle) * np.exp(-middle))
        low, high = np.where(inside < 0.5, middle, low), np.where(inside < 0.5, high, middle)
    return 0.5 * (low + high)


def _projected(
    short: np.ndarray, middle: np.ndarray, cosine: np.ndarray, azimuth: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return axis ratio and angle of a triaxial ellipsoid on the sky.

    Binney (1985, MNRAS 212, 767), equations 11 and 12, with the longest axis of length 1;
    the angle is that of the major axis against the projected equatorial plane.
    """
    phi = 2.0 * np.pi * azimuth
    sine2, cosine2 = 1.0 - cosine**2, cosine**2
    a = cosine2 / short**2 * (np.sin(phi) ** 2 + np.cos(phi) ** 2 / middle**2) + (
        sine2 / middle**2
    )
    b = cosine * np.sin(2.0 * phi) * (1.0 - 1.0 / middle**2) / short**2
    c = (np.sin(phi) ** 2 / middle**2 + np.cos(phi) ** 2) / short**2
    root = np.sqrt((a - c) ** 2 + b**2)
    ratio = np.sqrt((a + c - root) / (a + c + root))
    return np.clip(ratio, 0.2, 1.0), 0.5 * np.arctan2(b, c - a)


def _draw_populations(
    draws: _Draws, log_mass: np.ndarray, kind: Arrays, shape: Arrays, world: Arrays
) -> Arrays:
    return {
        **(rates := _draw_rates(draws, log_mass, kind, world)),
        **_draw_histories(draws, log_mass, kind, rates, world),
        **_draw_metals(draws, log_mass, kind, rates, world),
        **_draw_gas(draws, log_mass, kind, shape, rates, world),
        **_draw_dust(draws, shape, rates, world),
    }


def _draw_rates(draws: _Draws, log_mass: np.ndarray, kind: Arrays, world: Arrays) -> Arrays:
    """Draw star formation rates, in Msun/yr, and how far they lie below the sequence."""
    quenched, green = kind["quenched"].astype(bool), kind["green"].astype(bool)
    n = draws.normal
    sequence = relations.main_sequence(log_mass) + world["world_sfr"]
    # The slow part of the scatter shows in the whole history, the fast part only recently.
    slow = relations.MAIN_SEQUENCE_SCATTER * 0.9 * n("slow rate")
    fast = relations.MAIN_SEQUENCE_SCATTER * 0.45 * n("fast rate")
    valley = log_mass + relations.LOG_GREEN_RATE + relations.GREEN_RATE_SCATTER * n("green rate")
    below = np.where(green, valley + world["world_sfr"] - sequence, slow + fast)
    # Quenched galaxies: specific rates of 1e-12 / yr and less, of which light says little
    # (Salim et al. 2016, ApJS 227, 2); some form no stars at all.
    empty = quenched & draws.happens("no gas", relations.EMPTY_QUENCHED)
    quiet = log_mass + relations.LOG_QUENCHED_RATE
    quiet = quiet + relations.QUENCHED_RATE_SCATTER * n("quenched rate") + world["world_sfr"]
    log_sfr = np.where(quenched, quiet, sequence + below)
    return {
        "forms_stars": ~quenched,
        "empty": empty,
        "sfr": np.where(empty, 0.0, 10.0**log_sfr),
        "below_sequence": below,
        "slow_log_rate": sequence + slow - log_mass + 9.0,
    }


def _draw_histories(
    draws: _Draws, log_mass: np.ndarray, kind: Arrays, rates: Arrays, world: Arrays
) -> Arrays:
    """Draw when stars formed: times in Gyr."""
    quenched, green = kind["quenched"].astype(bool), kind["green"].astype(bool)
    n, u = draws.normal, draws.uniform
    typical, scatter = relations.formation_start(log_mass, quenched)
    older = 10.0 ** world["world_age_scale"]
    start = typical + scatter * n("start") + world["world_age"]
    start = np.clip(start * older, 2.5, 13.0)
    old = relations.OLD_FRACTION + relations.OLD_FRACTION_SCATTER * n("old fraction")
    old = np.where(quenched, 0.0, np.clip(old + world["world_old_fraction"], 0.0, 0.9))
    tau = timescale_of_rate(10.0 ** rates["slow_log_rate"] * 0.62 / (1.0 - old), start)
    # Quenched: massive galaxies formed fast and stopped early (Thomas et al. 2010, MNRAS
    # 404, 1775), dwarfs late.
    early = 10.0 ** (0.05 - 0.30 * (log_mass - 10.7) + 0.15 * n("quenched timescale"))
    tau = np.where(quenched, np.clip(early, 0.4, 4.0), tau)
    end = np.clip(10.0 ** (0.50 + 0.22 * (log_mass - 10.5) + 0.25 * n("quenching time")), 0.4, 8.0)
    end = np.minimum(end * older, 0.6 * start)
    # Those in the green valley have been fading for 0.4-2.5 Gyr (Schawinski et al. 2014, MNRAS
    # 440, 889).
    fading = 0.4 + 2.1 * u("green time")
    end = np.where(quenched, end, np.where(green, fading, 0.0))
    # Histories that are not smooth: a burst, or stars formed anew in a quenched galaxy.
    unusual = world["world_unusual"] > 0
    burst = unusual & draws.happens("burst", 0.5)
    strength = 10.0 ** (-2.0 + 1.4 * u("burst strength"))
    return {
        "start": start,
        "tau": tau,
        # Stars of an early, short phase, as even dwarfs have (Weisz et al. 2014, ApJ 789, 147).
        "old_fraction": old,
        "early_start": np.maximum(start, np.minimum(11.5 * older, 13.0)),
        "end": end,
        "bulge_start": np.where(
            quenched, start, np.maximum(start, np.minimum(10.5 * older, 13.0))
        ),
        "bulge_tau": np.clip(
            10.0 ** (np.where(quenched, np.log10(early), -0.1) + 0.2 * n("bulge timescale")),
            0.3,
            4.0,
        ),
        "bulge_end": np.where(quenched, end, 2.5 * u("bulge end")),
        "burst_fraction": np.where(burst, strength, 0.0),
        "burst_time": 10.0 ** (-0.7 + 1.2 * u("burst time")),
        # Rates 100-300 Myr ago and in the last 10 Myr, relative to that of the last 100 Myr.
        "recent_rate": 10.0 ** np.where(unusual, 0.4 * n("recent rate"), 0.1 * n("recent rate")),
        "latest_rate": 10.0 ** np.where(unusual, 0.35 * n("latest rate"), 0.1 * n("latest rate")),
        # MaNGA's mass-weighted ages are the same at all radii (0.0-0.06 dex per R_e at 1e10-11.5
        # Msun, older outside; -0.1 at 1e9), light-weighted ones fall a little (Neumann et
        # al. 2022, MNRAS 513, 5988); positive here is younger outside.
        "age_gradient": 0.05 + 0.13 * n("age gradient"),
    }


def _draw_metals(
    draws: _Draws, log_mass: np.ndarray, kind: Arrays, rates: Arrays, world: Arrays
) -> Arrays:
    """Draw metallicities, log10 of mass fractions, and their gradients in dex per radius."""
    quenched = kind["quenched"].astype(bool)
    n = draws.normal
    gas_z = relations.gas_metallicity(log_mass) + world["world_gas_metallicity"]
    star_z, star_scatter = relations.stellar_metallicity(log_mass)
    common = n("metallicity")
    gas_z = gas_z + relations.GAS_METALLICITY_SCATTER * (0.7 * common + 0.7 * n("gas metallicity"))
    star_z = star_z + star_scatter * (0.7 * common + 0.7 * n("stellar metallicity"))
    # Galaxies that form fewer stars are more metal-rich at a mass: below the star-forming sequence
    # in proportion (Looser et al. 2024, MNRAS 532, 2832), quiescent ones by up to 0.4 dex at
    # 1e9 (Peng, Maiolino & Cochrane 2015, Nature 521, 192), here by 0.1, as their colors allow.
    fewer = -0.2 * np.clip(rates["below_sequence"], -0.9, 0.6) * np.clip(11.0 - log_mass, 0.0, 1.5)
    star_z = star_z + np.where(quenched, 0.09 * np.clip(10.3 - log_mass, 0.0, 1.5), fewer)
    star_z = star_z + world["world_stellar_metallicity"]
    # Stars: -0.05 to -0.1 dex per half-light radius in MaNGA, none in dwarfs (Goddard et al.
    # 2017, MNRAS 466, 4731; Neumann et al. 2022), -0.2 in CALIFA's spheroids (Gonzalez
    # Delgado et al. 2015, A&A 581, A103).
    stellar = np.where(kind["spheroid"].astype(bool), -0.13, -0.09)
    stellar = stellar * np.clip(log_mass - 9.0, 0.0, 1.0)
    return {
        "gas_metallicity": gas_z,
        # Gas: -0.1 dex per half-light radius (Sanchez et al. 2014, A&A 563, A49), flatter in
        # dwarfs.
        "gas_gradient": (-0.10 + 0.05 * n("gas gradient"))
        * np.clip(0.4 * (log_mass - 8.0), 0.1, 1.0),
        "old_metallicity": np.clip(star_z, -3.6, -1.33),
        "metallicity_gradient": stellar + 0.08 * n("stellar gradient"),
    }


def _draw_gas(
    draws: _Draws, log_mass: np.ndarray, kind: Arrays, shape: Arrays, rates: Arrays, world: Arrays
) -> Arrays:
    """Draw masses of gas in Msun, sizes in kpc, depletion times in yr."""
    quenched, irregular = kind["quenched"].astype(bool), kind["irregular"].astype(bool)
    n = draws.normal
    log_hi = relations.hi_mass(log_mass) + relations.HI_SCATTER * n("hi mass")
    log_hi = log_hi + relations.hi_below_sequence(rates["below_sequence"])
    left = log_mass + relations.LOG_QUENCHED_HI + relations.QUENCHED_HI_SCATTER * n("quenched hi")
    log_hi = np.where(quenched, np.minimum(left, log_hi), log_hi) + world["world_hi_mass"]
    radius = relations.hi_disk_radius(log_hi) * 10.0 ** (
        relations.HI_RADIUS_SCATTER * n("hi radius")
    )
    depletion = relations.depletion_time(log_mass) + relations.DEPLETION_SCATTER * n("depletion")
    return {
        # Stars form in a disk a little larger or smaller than that of the old stars, with a
        # hole where a bulge has stopped it.
        "sf_scale_ratio": np.clip(1.05 * np.exp(0.20 * n("sf scale")), 0.5, 2.0)
        * np.where(irregular, 0.85, 1.0) * np.where(quenched, 0.7, 1.0),
        "sf_hole": np.clip(shape["bulge_fraction"] * 1.6 * np.exp(0.6 * n("sf hole")), 0.0, 1.2)
        * (~irregular),
        "depletion_time": 10.0 ** (depletion + world["world_depletion_time"]),
        "hi_mass": np.where(rates["empty"], 0.0, 10.0**log_hi),
        "hi_radius": np.maximum(radius, 0.8 * shape["half_mass_radius"]),
        "hi_hole": np.clip(0.5 + 0.3 * n("hi hole"), 0.0, 0.95),
    }  # fmt: skip


def _draw_dust(draws: _Draws, shape: Arrays, rates: Arrays, world: Arrays) -> Arrays:
    """Draw how much dust there is per metal in the gas, where, and by what law it dims."""
    n, u = draws.normal, draws.uniform
    # Dust in clumps dims less than its mean column (Witt & Gordon 2000, ApJ 528, 799).
    factor = relations.dust_factor(rates["below_sequence"])
    factor = factor * 10.0 ** (0.15 * n("dust") + world["world_dust"])
    factor = factor * relations.dust_inclination(
        shape["cos_inclination"], world["world_dust_inclination"]
    )
    return {
        "dust_factor": np.where(world["world_dust_free"] > 0, 0.0, factor),
        "dust_power": np.clip(relations.DUST_POWER + 0.25 * n("dust power"), 0.0, 1.2),
        "dust_thickness": np.clip(0.45 + 0.12 * n("dust thickness"), 0.15, 0.9),
        # Birth clouds: young stars lose about 1 / 0.44 as much as the others (Calzetti et al.
        # 2000, ApJ 533, 682), of which the dust they are mixed with makes up a part.
        "cloud_factor": np.clip(0.7 * np.exp(0.35 * n("clouds")), 0.1, 4.0),
        "slope_error": 0.25 * n("dust slope"),
        "cloud_slope": -0.7 - 0.3 * u("cloud slope"),
    }


def _forget_structure(
    populations: Arrays, draws: _Draws, cosine: np.ndarray, world: Arrays
) -> None:
    """Replace gradients that follow shape by ones of either sign, in place."""
    populations["age_gradient"] = 0.17 * draws.normal("free age gradient")
    populations["metallicity_gradient"] = 0.13 * draws.normal("free stellar gradient")
    populations["gas_gradient"] = 0.10 * draws.normal("free gas gradient")
    populations["sf_scale_ratio"] = np.clip(np.exp(0.35 * draws.normal("free sf scale")), 0.4, 2.5)
    populations["sf_hole"] = draws.uniform("free sf hole") ** 2
    populations["bulge_tau"] = populations["tau"] * np.exp(0.3 * draws.normal("free bulge"))
    populations["bulge_end"] = populations["end"]
    populations["bulge_start"] = populations["start"]
    # A disk seen edge-on is no dustier than any other: it has the columns of another inclination.
    free, seen = np.clip(draws.uniform("free inclination"), 0.1, 1.0), np.clip(cosine, 0.1, 1.0)
    shift = world["world_dust_inclination"]
    less = relations.dust_inclination(free, shift) / relations.dust_inclination(seen, shift)
    populations["dust_factor"] = populations["dust_factor"] * less * seen / free
    populations["free_arm_phase"] = 2.0 * np.pi * draws.uniform("free arm phase")
    populations["free_arms"] = 2.0 + np.floor(3.0 * draws.uniform("free arms"))
    populations["free_pitch"] = np.deg2rad(10.0 + 25.0 * draws.uniform("free pitch"))
    populations["free_arm_gas"] = 1.2 * draws.uniform("free arm gas")
