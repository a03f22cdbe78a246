"""The files of Buck & Wolf (2021): maps of Illustris galaxies, and images of them.

Three kinds of file:

- ``halo_{id}_camera_{0..3}_physical_data.h5``: maps, one data set each
  (`read_illustris_maps`);
- ``halo_{id}_camera_{c}_synthetic_image.h5``: *ugriz* images on the axes of the images,
  turned onto those of the maps here (`read_synthetic_image`);
- ``broadband_{id}.fits``: the noiseless images of the Illustris release, made with Sunrise
  (Torrey et al. 2015, MNRAS 447, 2753; `read_broadband`).

Maps can also be painted: `IllustrisMaps.to_galaxies` describes them as every mock galaxy
is described, from where images follow.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from picasssso._core.arguments import check_choice
from picasssso._core.constants import HELIUM
from picasssso._core.safe_files import open_hdf5
from picasssso.exceptions import FileFormatError, InvalidInputError
from picasssso.mocks.age_bins import AGE_CENTERS, AGE_EDGES, N_AGE, surviving_fraction
from picasssso.mocks.distances import checked_redshift, pixel_sizes
from picasssso.mocks.galaxy_maps import Galaxies, one_galaxy
from picasssso.pairs.truth import maps_from_arrays

if TYPE_CHECKING:
    from picasssso.bands import BandImages
    from picasssso.maps import PropertyMaps
    from picasssso.sps import SSPGrid

#: Hubble constant of Illustris in 100 km/s/Mpc.
ILLUSTRIS_H = 0.704

#: Mass in Msun with which star particles form in Illustris-1 (the target mass of gas cells).
PARTICLE_MASS = 1.26e6

_SETS = {
    "stellar_mass": "stars_Masses",
    "stellar_metals": "stars_GFM_Metallicity",
    "stellar_ages": "stars_GFM_StellarFormationTime",
    "gas_mass": "gas_Masses",
    "gas_metals": "gas_GFM_Metallicity",
    "hi_mass": "gas_NeutralHydrogenAbundance",
    "sfr": "gas_StarFormationRate",
}
_STARS = ("stellar_mass", "stellar_metals", "stellar_ages")
_BANDS = tuple(f"sdss2010-{band}" for band in "ugriz")
_FILTERS = tuple(f"{band}_SDSS.res" for band in "ugriz")
_NMGY_IN_JANSKY = 3.631e-6
_ARCSEC2_PER_SR = (648000.0 / np.pi) ** 2
_LEAST_METALS = 1e-6


@dataclass(frozen=True, eq=False)
class IllustrisMaps:
    """Maps of one galaxy from one direction; see `read_illustris_maps`.

    ``maps``, of shape (y, x), by name of a property and in its unit; ``pixel_scale_kpc``;
    ``halo`` and ``camera`` as the name of the file has them, and that name, ``source``.
    """

    maps: Mapping[str, np.ndarray]
    pixel_scale_kpc: float
    halo: int | None = None
    camera: int | None = None
    source: str = ""

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of the maps, (y, x)."""
        return self.maps["stellar_mass"].shape

    def total(self, name: str) -> float:
        """Return the integral of a surface density over the image, in Msun or Msun/yr."""
        return float(self.maps[name].sum() * self.pixel_scale_kpc**2)

    def half_mass_radius(self) -> float:
        """Return the radius in kpc of the circle with half of the stellar mass."""
        mass = self.maps["stellar_mass"]
        y, x = np.indices(mass.shape)
        core = np.where(mass > 0.1 * mass.max(), mass, 0.0)
        middle = (core * y).sum() / core.sum(), (core * x).sum() / core.sum()
        radius = np.hypot(y - middle[0], x - middle[1]).ravel()
        order = np.argsort(radius)
        inside = np.cumsum(mass.ravel()[order])
        return float(np.interp(0.5 * inside[-1], inside, radius[order]) * self.pixel_scale_kpc)

    def to_property_maps(self, redshift: float = 0.05, **keywords: Any) -> PropertyMaps:
        """Return `~picasssso.maps.PropertyMaps`; all percentiles and the mean are the truth."""
        z = checked_redshift(redshift, redshift, self.source or "the galaxy")
        arcsec, _ = pixel_sizes(None, z, self.pixel_scale_kpc)
        return maps_from_arrays(self.maps, redshift=z, pixel_scale=arcsec, **keywords)

    def to_galaxies(
        self, *, redshift: float = 0.05, grid: SSPGrid | None = None, index: int = 0
    ) -> Galaxies:
        """Describe the maps as every mock galaxy is described, to be painted at a redshift.

        A pixel's stars have the mass, the mean age and the mean metallicity of the maps; their
        ages are spread as widely as that allows (the distribution of largest entropy). Where
        there is a map of the star formation rate, the last 100 Myr follow it. There is no
        dust, as in the paper. Gas is all gas, as in the paper: what is not HI counts as
        molecular. ``grid`` is the stellar grid that light will come from, PopStar if not
        given; ``index`` the number that keys the galaxy's noise.
        """
        z = checked_redshift(redshift, redshift, self.source or "the galaxy")
        arcsec, kpc = pixel_sizes(None, z, self.pixel_scale_kpc)
        mass = self.maps["stellar_mass"]
        everywhere = np.average(np.nan_to_num(self.maps["stellar_metallicity"]), weights=mass)
        metallicity = np.where(mass > 0, self.maps["stellar_metallicity"], everywhere)
        log_metallicity = np.log10(np.clip(metallicity, _LEAST_METALS, 1.0))[None]
        surviving = surviving_fraction(log_metallicity, grid)
        formed = _formed(mass, self.maps["stellar_age"], self.maps.get("sfr"), surviving)
        empty = np.zeros(self.shape)
        gas = self.maps.get("gas_mass", empty) / HELIUM
        hi = self.maps.get("hi_mass", empty)
        gas_metallicity = np.nan_to_num(self.maps.get("gas_metallicity", empty))

        return one_galaxy(
            {
                "mass_formed": formed,
                "log_metallicity": log_metallicity,
                "attenuation": np.zeros((2, *self.shape)),
                "attenuation_slope": np.full(2, -0.7),
                "hi_mass": np.minimum(hi, gas) if gas.any() else hi,
                "h2_mass": np.maximum(gas - hi, 0.0),
                "gas_metallicity": gas_metallicity,
            },
            (z, arcsec, kpc),
            index,
            half_mass_radius=self.half_mass_radius(),
            log_mass=np.log10(self.total("stellar_mass")),
            source=self.source,
        )


def _formed(
    mass: np.ndarray, age: np.ndarray, sfr: np.ndarray | None, surviving: np.ndarray
) -> np.ndarray:
    """Return mass formed in age bins from mass of today and its mean age in Gyr."""
    formed = np.zeros((N_AGE, *mass.shape))
    old_mass, mass_age = mass, mass * np.nan_to_num(age)
    first = 0
    if sfr is not None:
        first = 2
        formed[:2] = sfr * np.diff(AGE_EDGES[:3])[:, None, None]
        young = formed[:2] * surviving[:2]
        # Gas may form stars where, or faster than, there are any: those count still.
        old_mass = np.maximum(mass - young.sum(axis=0), 0.0)
        mass_age = mass_age - (young * AGE_CENTERS[:2, None, None] / 1e9).sum(axis=0)
    mean = np.where(old_mass > 0, mass_age / np.where(old_mass > 0, old_mass, 1.0), 5.0)
    shares = _age_shares(mean, first)
    formed[first:] = shares * old_mass / surviving[first:]
    return formed


def _age_shares(mean: np.ndarray, first: int) -> np.ndarray:
    """Return shares of mass in age bins of a mean age, of largest entropy.

    They go as the bins' widths times exp(k age); k follows from the mean by a table.
    """
    centers, widths = AGE_CENTERS[first:] / 1e9, np.diff(AGE_EDGES[first:]) / 1e9
    rate = np.sinh(np.linspace(-6.0, 6.0, 2001)) / 4.0
    exponent = rate[:, None] * centers
    weights = widths * np.exp(exponent - exponent.max(axis=1, keepdims=True))
    weights = weights / weights.sum(axis=1, keepdims=True)
    means = weights @ centers
    # Between two entries both shares and means are linear, so means are kept exactly.
    place = np.interp(mean, means, np.arange(len(means)))
    low = np.minimum(place.astype(int), len(means) - 2)
    part = (place - low)[..., None]
    shares = weights[low] * (1.0 - part) + weights[low + 1] * part
    return np.moveaxis(shares, -1, 0)


def _numbers_in_name(path: str | os.PathLike[str]) -> tuple[int | None, int | None]:
    found = re.search(r"halo_(\d+)_camera_(\d+)", os.path.basename(path))
    return (int(found[1]), int(found[2])) if found else (None, None)


def read_illustris_maps(
    path: str | os.PathLike[str], *, psize: str = "kpc", correct_ages: bool = True
) -> IllustrisMaps:
    """Read physical maps of an Illustris galaxy.

    What the file calls metallicity is a mass of metals, and what it calls formation time a
    sum of ages; mass fractions and mean ages are returned.

    Parameters
    ----------
    path : str or path-like
        ``halo_{id}_camera_{c}_physical_data.h5``. Maps of gas may be missing.
    psize : {"kpc", "kpc/h"}, optional
        The unit of the attribute ``psize``. The authors' code is of two minds about it. With
        "kpc/h" pixels are larger by 1 / 0.704, and surface densities smaller by its square:
        totals, map times ``psize`` squared, are the same.
    correct_ages : bool, optional
        A mean age is the sum of ages over the number of star particles, which is the mass
        that they had when they formed over 1.26e6 Msun. If true, that mass is computed from
        that of today; if not, today's mass is used, as in the paper, and ages come out
        older by the mass that stars have lost, a factor of about 1.7.

    Returns
    -------
    IllustrisMaps
        The maps that the file has; stellar mass, metallicity and age at least.

    Raises
    ------
    FileFormatError
        If the file is missing, is not HDF5, or lacks something.
    InvalidInputError
        If ``psize`` is unknown.

    Examples
    --------
    >>> from picasssso.mocks import read_illustris_maps
    >>> maps = read_illustris_maps("halo_12_camera_0_physical_data.h5")  # doctest: +SKIP
    >>> maps.total("stellar_mass"), maps.half_mass_radius()  # doctest: +SKIP
    (84000000000.0, 4.1)
    """
    check_choice("psize", psize, ("kpc", "kpc/h"))
    name = os.fspath(path)
    raw: dict[str, np.ndarray] = {}
    sizes: dict[str, float] = {}
    with open_hdf5(path) as file:
        missing = [_SETS[what] for what in _STARS if _SETS[what] not in file]
        if missing:
            raise FileFormatError(
                f"{name} lacks {', '.join(missing)}; it holds "
                f"{', '.join(sorted(file)) or 'nothing'}. Expected a file of physical maps."
            )
        for what, key in _SETS.items():
            if key not in file:
                continue
            data = np.asarray(file[key][()], dtype=np.float64)
            if data.ndim != 2 or 0 in data.shape:
                raise FileFormatError(
                    f"{name}: {key} has shape {data.shape}: expected a map (y, x)."
                )
            if not np.isfinite(data).all() or (data < 0).any():
                raise FileFormatError(
                    f"{name}: {key} holds values that are negative or not finite."
                )
            if "psize" not in file[key].attrs:
                raise FileFormatError(
                    f"{name}: {key} lacks the attribute psize, the size of a pixel in kpc."
                )
            pixel = np.ravel(file[key].attrs["psize"])
            raw[what], sizes[key] = data, float(pixel[0]) if pixel.size else np.nan
    if len({data.shape for data in raw.values()}) > 1 or np.ptp(list(sizes.values())) > 1e-9:
        raise FileFormatError(
            f"{name}: maps differ in shape or psize: "
            + ", ".join(f"{_SETS[w]} {d.shape} {sizes[_SETS[w]]:.5g}" for w, d in raw.items())
        )
    size = next(iter(sizes.values()))
    if not (np.isfinite(size) and size > 0):
        raise FileFormatError(f"{name}: psize is {size}: expected kpc above 0.")
    if not raw["stellar_mass"].any():
        raise FileFormatError(f"{name}: {_SETS['stellar_mass']} is zero everywhere.")
    factor = 1.0 if psize == "kpc" else ILLUSTRIS_H**2
    halo, camera = _numbers_in_name(path)
    return IllustrisMaps(
        maps=MappingProxyType(_property_maps(raw, factor, correct_ages)),
        pixel_scale_kpc=size if psize == "kpc" else size / ILLUSTRIS_H,
        halo=halo,
        camera=camera,
        source=os.path.basename(name),
    )


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    filled = denominator > 0
    return np.where(filled, numerator / np.where(filled, denominator, 1.0), np.nan)


def _property_maps(
    raw: dict[str, np.ndarray], factor: float, correct_ages: bool
) -> dict[str, np.ndarray]:
    mass = raw["stellar_mass"]
    metallicity = _ratio(raw["stellar_metals"], mass)
    age = _ratio(raw["stellar_ages"] * PARTICLE_MASS, mass)
    if correct_ages:
        log_z = np.log10(np.clip(np.nan_to_num(metallicity, nan=0.01), _LEAST_METALS, 1.0))
        table = surviving_fraction(log_z[None])
        apparent, first = age, np.nan_to_num(age, nan=5.0)
        current = first
        for _ in range(30):
            # What survives depends on the age itself, but weakly.
            current = first * _at_age(table, current)
        age = np.where(np.isnan(apparent), np.nan, current)
    maps = {"stellar_mass": mass * factor, "stellar_metallicity": metallicity, "stellar_age": age}
    for what in ("sfr", "gas_mass", "hi_mass"):
        if what in raw:
            maps[what] = raw[what] * factor
    if "gas_mass" in raw and "gas_metals" in raw:
        maps["gas_metallicity"] = _ratio(raw["gas_metals"], raw["gas_mass"])
    return maps


def _at_age(table: np.ndarray, age: np.ndarray) -> np.ndarray:
    """Return a table (n_age, y, x) at an age in Gyr per pixel."""
    place = np.interp(age, AGE_CENTERS / 1e9, np.arange(N_AGE))
    low = np.minimum(place.astype(int), N_AGE - 2)
    part = place - low
    left = np.take_along_axis(table, low[None], axis=0)[0]
    right = np.take_along_axis(table, low[None] + 1, axis=0)[0]
    return left * (1.0 - part) + right * part


def _band_images(
    images: Sequence[np.ndarray], redshift: float, kpc: float, meta: dict[str, Any]
) -> BandImages:
    """Return images in nmgy/arcsec2 as `BandImages` without uncertainty."""
    import astropy.units as u

    from picasssso.bands import BandImages

    arcsec, _ = pixel_sizes(None, redshift, kpc)
    return BandImages.from_cube(
        np.stack(images), _BANDS, u.nmgy / u.arcsec**2, redshift=redshift,
        pixel_scale=arcsec * u.arcsec, meta=meta,
    )  # fmt: skip


def _onto_axes_of_maps(image: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(image.T[:, ::-1])


def read_synthetic_image(
    path: str | os.PathLike[str],
    *,
    pixel_scale_kpc: float,
    redshift: float = 0.05,
    unit: str = "uJy / sr",
) -> BandImages:
    """Read a synthetic SDSS image of an Illustris galaxy, on the axes of its maps.

    ``path``: ``halo_{id}_camera_{c}_synthetic_image.h5``, with the data set ``data`` of shape
    (5, H, W) in the order *ugriz*; ``pixel_scale_kpc``: size of a pixel in kpc, which the file
    does not hold: `IllustrisMaps.pixel_scale_kpc` of the map that goes with it; returns in
    nmgy/arcsec2, without uncertainty: ask `BandImages.with_estimated_noise` for it.
    """
    import astropy.units as u

    name = os.fspath(path)
    if not (np.isfinite(pixel_scale_kpc) and pixel_scale_kpc > 0):
        raise InvalidInputError(f"pixel_scale_kpc={pixel_scale_kpc!r}: expected kpc above 0.")
    z = checked_redshift(redshift, redshift, name)
    try:
        flux = 1.0 * u.Unit(unit) * u.arcsec**2
        factor = float(flux.to_value(u.nmgy, u.zero_point_flux(1.0 * u.ABflux)))
    except (u.UnitsError, ValueError, TypeError) as error:
        raise InvalidInputError(
            f"unit={unit!r} is not a surface brightness: expected something like 'uJy / sr' or "
            "'nmgy / arcsec2'."
        ) from error
    with open_hdf5(path) as file:
        if "data" not in file:
            raise FileFormatError(
                f"{name} lacks the data set 'data'; it holds "
                f"{', '.join(sorted(file)) or 'nothing'}."
            )
        data = np.asarray(file["data"][()], dtype=np.float64)
    if data.ndim != 3 or data.shape[0] != len(_BANDS):
        raise FileFormatError(
            f"{name}: data has shape {data.shape}: expected (5, H, W), the bands ugriz."
        )
    halo, camera = _numbers_in_name(path)
    return _band_images(
        [_onto_axes_of_maps(image) * factor for image in data], z, pixel_scale_kpc,
        {"source": os.path.basename(name), "halo": halo, "camera": camera},
    )  # fmt: skip


def read_broadband(
    path: str | os.PathLike[str],
    camera: int = 0,
    *,
    redshift: float = 0.05,
    dimming: bool = True,
    dust: bool = False,
) -> BandImages:
    """Read noiseless ugriz of the Illustris release, nmgy/arcsec2, on the axes of the maps."""
    from picasssso._core.fits_files import damage_said, open_fits

    name = os.fspath(path)
    z = checked_redshift(redshift, redshift, name)
    if not os.path.isfile(path):
        raise FileFormatError(f"There is no file {name}.")
    cube_name = f"CAMERA{camera}-BROADBAND" + ("" if dust else "-NONSCATTER")
    with open_fits(path, "Broadband images") as hdus, damage_said(name, "broadband images"):
        per_hertz, kpc = _of_sunrise(hdus, name, cube_name, f"CAMERA{camera}-PARAMETERS")
    images = []
    for image in per_hertz:
        # W/Hz/m2/sr into nmgy/arcsec2.
        brightness = image * 1e26 / _NMGY_IN_JANSKY / _ARCSEC2_PER_SR
        images.append(_onto_axes_of_maps(brightness / ((1.0 + z) ** 3 if dimming else 1.0)))
    return _band_images(images, z, kpc, {"source": os.path.basename(name), "camera": camera})


def _of_sunrise(
    hdus: Any, name: str, cube_name: str, parameters: str
) -> tuple[list[np.ndarray], float]:
    """Return images in ugriz, W/Hz/m2/sr, and the size of a pixel, kpc."""
    names = [hdu.name for hdu in hdus]
    missing = [n for n in ("FILTERS", cube_name) if n not in names]
    if missing:
        raise FileFormatError(
            f"{name} lacks {', '.join(missing)}; it holds {', '.join(filter(None, names))}."
        )
    filters = hdus["FILTERS"].data
    cube = np.asarray(hdus[cube_name].data, dtype=np.float64)
    linear = hdus[parameters].header.get("linear_fov") if parameters in names else None
    kpc = hdus[cube_name].header.get("CD1_1") or (linear / cube.shape[-1] if linear else None)
    if kpc is None or not 0 < kpc < np.inf:
        raise FileFormatError(
            f"{name}: the size of a pixel is not known; neither {cube_name} has CD1_1 nor "
            f"{parameters} has linear_fov."
        )
    columns = [column.lower() for column in filters.names]
    lacking = [c for c in ("filter", "ewidth_lambda", "ewidth_nu") if c not in columns]
    if lacking:
        raise FileFormatError(f"{name}: the table FILTERS lacks {', '.join(lacking)}.")
    labels = [str(label).strip().rsplit("/", 1)[-1] for label in filters["filter"]]
    absent = [label for label in _FILTERS if label not in labels]
    if absent or cube.ndim != 3 or cube.shape[0] != len(labels):
        raise FileFormatError(
            f"{name}: expected images of {len(labels)} filters with {', '.join(_FILTERS)} among "
            f"them: {cube_name} has shape {cube.shape}, and "
            f"{'lacks ' + ', '.join(absent) if absent else 'the filters are there'}."
        )
    # W/m/m2/sr into W/Hz/m2/sr by the filter's widths.
    places = [labels.index(label) for label in _FILTERS]
    per_hertz = [float(filters["ewidth_lambda"][k] / filters["ewidth_nu"][k]) for k in places]
    return [cube[k] * factor for k, factor in zip(places, per_hertz, strict=True)], float(kpc)
