"""`Evaluation`: comparison of estimates with truths, galaxy by galaxy, and its statistics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
import numpy.typing as npt

from picasssso.evaluation.apertures import Apertures, fit_apertures
from picasssso.evaluation.measures import Record, Settings, join_records, measure
from picasssso.evaluation.stacks import DERIVED, MapStack, check_resolutions
from picasssso.evaluation.summary import Bins, summarize
from picasssso.exceptions import InvalidInputError, InvalidTypeError
from picasssso.maps.arrays import PERCENTILES
from picasssso.maps.regions import aperture_weights

if TYPE_CHECKING:
    from picasssso.maps import PropertyMaps

#: Averaging time of star formation rates where nothing else is said.
_DEFAULT_TIME = 100.0
#: Largest offset between pixels of the truth and the estimate, pixels.
LARGEST_OFFSET = 0.1


class Evaluation:
    """Collects galaxies, and computes the statistics of all of them."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self._records: list[Record] = []

    def __len__(self) -> int:
        return sum(len(record["galaxy"]) for record in self._records)

    def add(self, truth: MapStack, estimate: MapStack, apertures: Apertures, **known: Any) -> None:
        """Add galaxies given as arrays; ``known`` contains further arguments of `measure`."""
        known.setdefault("galaxy", len(self) + np.arange(len(truth)))
        self._records.append(measure(truth, estimate, apertures, self.settings, **known))

    def add_maps(
        self,
        truth: PropertyMaps,
        estimate: PropertyMaps,
        *,
        galaxy: int | None = None,
        ellipse_from: PropertyMaps | None = None,
        half_mass_radius: u.Quantity | None = None,
        signal_to_noise: npt.ArrayLike | None = None,
        any_resolution: bool = False,
    ) -> None:
        """Add a pair of comparable maps on the same pixels (see `check_comparable`).

        ``galaxy`` is a number common to all views of one galaxy, ``ellipse_from`` the maps whose
        stellar mass defines the ellipse (default: the truth), ``half_mass_radius`` an angle or a
        length (default: measured), and ``signal_to_noise`` that of the image per pixel (y, x).
        """
        check_comparable(truth, estimate, any_resolution=any_resolution)
        source = truth if ellipse_from is None else ellipse_from
        if "stellar_mass" not in source:
            raise InvalidInputError(
                "The maps have no 'stellar_mass' to fit an ellipse to: give ellipse_from=, maps "
                f"on the same pixels that have; these have {', '.join(source)}."
            )
        pixel = np.sqrt(source.pixel_solid_angle.to_value(u.arcsec**2))
        radius = None
        if half_mass_radius is not None:
            radius = _as_arcsec(half_mass_radius, truth) / pixel
        apertures = fit_apertures(source.mean("stellar_mass").value[None], half_mass_radius=radius)
        area = _pixel_area(truth)
        known: dict[str, Any] = {"pixel_area": area}
        if signal_to_noise is not None:
            known["signal_to_noise"] = np.asarray(signal_to_noise)[None]
        if galaxy is not None:
            known["galaxy"] = np.array([galaxy])
        known["sum_percentiles"] = total_percentiles(
            estimate, apertures.aperture(0, self.settings.aperture_radius), area
        )
        self.add(MapStack.from_maps([truth]), MapStack.from_maps([estimate]), apertures, **known)

    def record(self) -> Record:
        """Return the measurements of all galaxies, as `measure` does."""
        return join_records(self._records)

    def summary(self, bins: Bins | None = None) -> dict[str, Any]:
        """Return the statistics, as `summarize` does."""
        return summarize(self.record(), self.settings, bins)


def compare_maps(
    pairs: Iterable[tuple[PropertyMaps, PropertyMaps]], settings: Settings | None = None
) -> dict[str, Any]:
    """Return the statistics of pairs of truth and estimate.

    Parameters
    ----------
    pairs : iterable of tuple of PropertyMaps
        Pairs (truth, estimate); shapes may differ between pairs.
    settings : Settings, optional
        Settings of the measurement.

    Returns
    -------
    dict
        For each property: residual statistics (dex, positive if the estimate is too high) of sums
        inside 2 half-mass radii, of pixels and of annuli, calibration of uncertainties, and
        structure.

    Examples
    --------
    >>> from picasssso.data import load_example
    >>> from picasssso.evaluation import compare_maps
    >>> images, truth = load_example()
    >>> compare_maps([(truth, truth)])["properties"]["sfr"]["aperture"]["mean"]
    0.0
    """
    evaluation = Evaluation(settings)
    for truth, estimate in pairs:
        evaluation.add_maps(truth, estimate)
    return evaluation.summary()


def check_comparable(
    truth: PropertyMaps, estimate: PropertyMaps, *, any_resolution: bool = False
) -> None:
    """Check that two sets of maps have the same definitions and the same pixels."""
    from picasssso.maps import PropertyMaps

    for name, maps in (("truth", truth), ("estimate", estimate)):
        if not isinstance(maps, PropertyMaps):
            raise InvalidTypeError(
                f"The {name} is of type {type(maps).__name__}: expected PropertyMaps."
            )
    if truth.shape != estimate.shape:
        raise InvalidInputError(
            f"The truth has shape {truth.shape}, the estimate {estimate.shape}: expected maps on "
            "the same pixels."
        )
    offset = corner_offset(truth, estimate)
    if offset > LARGEST_OFFSET:
        raise InvalidInputError(
            f"Pixels of the truth and of the estimate lie up to {offset:.2g} pixels apart on the "
            "sky: expected maps on the same pixels."
        )
    common = [name for name in estimate if name in truth]
    if not common:
        raise InvalidInputError(
            f"Nothing can be compared: the truth has {', '.join(truth)}, the estimate "
            f"{', '.join(estimate)}."
        )
    for name in common:
        units = [maps.definition(name).unit for maps in (truth, estimate)]
        if units[0] != units[1]:
            raise InvalidInputError(
                f"{name!r} is in {units[0]} in the truth and in {units[1]} in the estimate: "
                "expected the same unit."
            )
    if "sfr" in common:
        times = [_averaging_time(maps) for maps in (truth, estimate)]
        if times[0] != times[1]:
            raise InvalidInputError(
                f"'sfr' is averaged over {times[0]} in the truth and over {times[1]} in the "
                "estimate: expected the same time (100 Myr by the package's definition). Leave "
                "it out of one of the two, or make both alike."
            )
    if any(name.startswith("stellar_") for name in common):
        formed = [_is_mass_formed(maps) for maps in (truth, estimate)]
        if formed[0] != formed[1]:
            words = ["mass formed" if f else "mass in living stars and remnants" for f in formed]
            raise InvalidInputError(
                f"Stellar mass is {words[0]} in the truth and {words[1]} in the estimate: "
                "expected the same definition."
            )
    if not any_resolution:
        check_resolutions(*(resolution_of(maps) for maps in (truth, estimate)))


def corner_offset(one: PropertyMaps, other: PropertyMaps) -> float:
    """Return the distance in pixels between corresponding corners of two maps; 0 without a WCS."""
    if one.wcs is None or other.wcs is None:
        return 0.0
    height, width = one.shape
    x, y = np.array([0, width - 1, 0, width - 1]), np.array([0, 0, height - 1, height - 1])
    there = other.wcs.world_to_pixel(one.wcs.pixel_to_world(x, y))
    return float(np.nanmax(np.hypot(there[0] - x, there[1] - y)))


def _averaging_time(maps: PropertyMaps) -> str:
    """Return the averaging time of star formation rates, in words."""
    from picasssso.properties import PROPERTIES

    stated = maps.meta.get("sfr_averaging_time")
    definition = maps.definition("sfr").definition
    if stated is None:
        if definition != PROPERTIES["sfr"].definition:
            return repr(definition)
        return f"{_DEFAULT_TIME:g} Myr"
    try:
        return f"{u.Quantity(stated).to_value(u.Myr):g} Myr"
    except (TypeError, ValueError, u.UnitConversionError):
        return repr(stated)


def _is_mass_formed(maps: PropertyMaps) -> bool:
    meta = maps.meta
    parameters = meta.get("parameters")
    stated = [meta.get("mass_definition")]
    if isinstance(parameters, Mapping):
        stated.append(parameters.get("mass_definition"))
    return any(str(value).startswith(("formed", "mass formed")) for value in stated)


def resolution_of(maps: PropertyMaps) -> float | None:
    """Return the stated resolution of maps, FWHM in arcsec, or None."""
    value = maps.meta.get("resolution_fwhm", maps.meta.get("resolution_fwhm_arcsec"))
    if value is None:
        return None
    try:
        return float(u.Quantity(value, u.arcsec).to_value(u.arcsec))
    except (TypeError, ValueError, u.UnitConversionError):
        return None


def _as_arcsec(radius: u.Quantity, maps: PropertyMaps) -> float:
    radius = u.Quantity(radius)
    if radius.unit.physical_type == "length":
        distance = maps.angular_diameter_distance
        if distance is None:
            raise InvalidInputError(
                f"half_mass_radius is in {radius.unit}, and the maps have no distance: give it "
                "as an angle."
            )
        radius = (radius / distance).to(u.arcsec, u.dimensionless_angles())
    try:
        return float(radius.to_value(u.arcsec))
    except u.UnitConversionError:
        raise InvalidInputError(
            f"half_mass_radius={radius!r}: expected an angle or a length."
        ) from None


def _pixel_area(maps: PropertyMaps) -> float:
    """Return the area of a pixel in kpc2; 1 without a distance (cancels in residuals)."""
    distance = maps.angular_diameter_distance
    if distance is None:
        return 1.0
    angle = maps.pixel_solid_angle.to_value(u.rad**2)
    return float(angle * distance.to_value(u.kpc) ** 2)


def total_percentiles(
    maps: PropertyMaps, aperture: Any, pixel_area: float
) -> dict[str, npt.NDArray[np.floating]]:
    """Return percentiles of totals.

    Percentiles of the totals of joint samples if available; otherwise those of
    `PropertyMaps.total` for independent pixels and the shared error.

    ``pixel_area``: area of a pixel in kpc2 that was used for the sums they are compared with.
    """
    percentiles = {}
    for name in maps:
        definition = maps.definition(name)
        needs_weight = not definition.is_surface_density and definition.weight is not None
        if name in DERIVED or (needs_weight and definition.weight not in maps):
            continue
        if definition.is_surface_density and maps.angular_diameter_distance is None:
            continue
        found = _sample_totals(maps, name, aperture)
        if found is not None:
            area = pixel_area if definition.is_surface_density else 1.0
            percentiles[name] = area * np.percentile(found, PERCENTILES)[None]
            continue
        total = maps.total(name, aperture, "independent")
        factor = 1.0
        if definition.is_surface_density:
            # Another cosmology gives other totals, but the same densities.
            factor = pixel_area / _pixel_area(maps)
        assert total.percentiles is not None
        percentiles[name] = factor * np.asarray(total.percentiles.value)[None]
    return percentiles


def _sample_totals(
    maps: PropertyMaps, name: str, aperture: Any
) -> npt.NDArray[np.floating] | None:
    """Return the sum, in pixels, or the average of every joint sample; None without samples."""
    definition = maps.definition(name)
    names = [name] if definition.is_surface_density else [name, definition.weight or name]
    planes = [maps._planes(one).samples for one in names]
    covered = aperture_weights(aperture, maps.shape)
    if covered is None or any(one is None or len(one) < 2 for one in planes):
        return None
    cut = [np.asarray(one)[(..., *covered.window)].astype(np.float64) for one in planes]
    valid = np.all([np.isfinite(one[0]) for one in cut], axis=0)
    weights = np.where(valid, covered.weights, 0.0)
    values = np.where(valid, cut[0], 0.0)
    if definition.is_surface_density:
        return (values * weights).sum(axis=(1, 2))
    if definition.weight is not None:
        weights = weights * np.where(valid, cut[1], 0.0)
    bottom = np.broadcast_to(weights, values.shape).sum(axis=(1, 2))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(bottom > 0, (values * weights).sum(axis=(1, 2)) / bottom, np.nan)
