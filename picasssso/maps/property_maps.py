"""`PropertyMaps`: the maps of one galaxy on one pixel grid."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, overload

import astropy.units as u
import numpy as np
import numpy.typing as npt
from astropy.nddata import CCDData, StdDevUncertainty
from astropy.wcs import WCS

from picasssso._core.html import html_table
from picasssso._core.records import check_record
from picasssso._core.solid_angles import pixel_solid_angles
from picasssso.bands.pixels import cutout_slices, slice_wcs
from picasssso.exceptions import InvalidInputError, InvalidTypeError
from picasssso.maps import checks
from picasssso.maps.arrays import PERCENTILES, PropertyArrays
from picasssso.maps.files import check_extension_names
from picasssso.properties import Property

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord
    from astropy.table import QTable
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from picasssso.bands import BandImages
    from picasssso.maps.regions import Region
    from picasssso.maps.totals import Total

_HTML_HEADER = ("property", "unit", "medians, 16 to 84 % of pixels", "masked")
_LOW, _MEDIAN, _HIGH = (PERCENTILES.index(q) for q in (16.0, 50.0, 84.0))


class UnknownPropertyError(InvalidInputError, KeyError):
    """There is no map of that name; also a `KeyError`, as `Mapping` demands."""

    # KeyError would show the repr of the message.
    __str__ = Exception.__str__


class PropertyMaps(Mapping[str, CCDData]):
    """Maps of the physical properties of one galaxy, all on one pixel grid.

    An immutable mapping from property name to `~astropy.nddata.CCDData` whose data are
    the posterior median, whose uncertainty is half the 16-84 range, and whose mask is a
    boolean array, never None. A pixel is masked, and NaN in every plane of the property,
    where it could not be estimated.

    Estimators make these; one seldom calls the constructor.

    Parameters
    ----------
    arrays : mapping of str to PropertyArrays
        Percentiles, means and samples by property name, in the properties' units.
    quality : array-like of int, shape (y, x), or None
        Bits of `picasssso.QualityFlag`. Pixels with ``NO_DATA`` are masked. None takes
        what the arrays bring along.
    wcs : `~astropy.wcs.WCS`, optional
        Celestial, two-dimensional.
    pixel_solid_angle : `~astropy.units.Quantity`, optional
        Solid angle of a pixel; required where there is no WCS.
    definitions : mapping of str to Property, optional
        Definitions of properties that are not built in.
    redshift : float, optional
        Observed redshift.
    luminosity_distance : `~astropy.units.Quantity`, optional
        Luminosity distance. Totals of surface densities need it, and the redshift.
    shared_error : mapping of str to float, optional
        By property, dex: the part of the percentiles' width that all pixels share, such
        as the scatter of a mass-to-light relation.
    systematics : mapping of str to mapping of str to array-like, optional
        By mode, then property: how the mean (where there is none, the median) moves when
        an error that pixels share, such as a band's zero point, is one standard deviation.
        The percentiles do not contain these errors.
    noise_scaling : `picasssso.NoiseScaling` or callable, optional
        Variance inflation of sums over n pixels, where the noise of pixels is correlated.
    bins : array-like of int, shape (y, x), optional
        Number of the bin that a pixel belongs to, negative for none. A bin is one
        measurement: all its pixels hold the same, and its error counts once.
    target : array-like of bool, shape (y, x), optional
        Pixels of the galaxy that the maps are about, where the frame holds others too:
        totals are those of the target unless another region is asked for.
    meta : mapping, optional
        How the maps were made: text, numbers, quantities, lists and mappings of those.

    Raises
    ------
    InvalidInputError
        If shapes do not match, percentiles cross, a surface density lacks its mean, a
        property is not defined, or areas are unknown.
    InvalidTypeError
        If something is of a type that cannot be used.

    Notes
    -----
    The arrays are held as read-only views wherever they need no change; one who keeps a
    writable reference to an array given here should not write to it.

    Examples
    --------
    >>> import astropy.units as u
    >>> import numpy as np
    >>> from picasssso import PropertyMaps
    >>> from picasssso.maps import PropertyArrays
    >>> mass = np.full((4, 5), 2e8, dtype=np.float32)
    >>> steps = np.array([0.6, 0.8, 1.0, 1.2, 1.4], dtype=np.float32)
    >>> maps = PropertyMaps(
    ...     {"stellar_mass": PropertyArrays(steps[:, None, None] * mass, mean=mass)},
    ...     quality=None, pixel_solid_angle=0.16 * u.arcsec**2,
    ...     redshift=0.02, luminosity_distance=90 * u.Mpc)
    >>> maps
    <PropertyMaps 4 x 5 pixels, no WCS, z = 0.02: stellar_mass (solMass / kpc2)>
    >>> maps["stellar_mass"].uncertainty.array[0, 0]
    np.float32(40000000.0)
    >>> maps.percentile("stellar_mass", 97.5)[0, 0]
    <Quantity 2.8e+08 solMass / kpc2>
    """

    def __init__(
        self,
        arrays: Mapping[str, PropertyArrays],
        *,
        quality: npt.ArrayLike | None,
        wcs: WCS | None = None,
        pixel_solid_angle: u.Quantity | None = None,
        definitions: Mapping[str, Property] | None = None,
        redshift: float | None = None,
        luminosity_distance: u.Quantity | None = None,
        shared_error: Mapping[str, float] | None = None,
        systematics: Mapping[str, Mapping[str, npt.ArrayLike]] | None = None,
        noise_scaling: Callable[[float], float] | None = None,
        bins: npt.ArrayLike | None = None,
        target: npt.ArrayLike | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> None:
        self._quality = checks.check_quality(quality, arrays)
        self._definitions = checks.check_definitions(arrays, definitions)
        check_extension_names(tuple(arrays))
        self._arrays = checks.check_arrays(arrays, self._definitions, self._quality)
        self._wcs = checks.check_wcs(wcs)
        self._pixel_solid_angle = checks.check_solid_angle(
            pixel_solid_angle, self._central_solid_angle()
        )
        self._redshift, self._luminosity_distance = checks.check_distance(
            redshift, luminosity_distance
        )
        self._shared_error = checks.check_shared_error(shared_error, self._arrays)
        self._systematics = checks.check_systematics(systematics, self._arrays, self.shape)
        self._noise_scaling = checks.check_noise_scaling(noise_scaling)
        self._bins = checks.check_bins(bins, self.shape)
        self._target = checks.check_target(target, self.shape)
        self._meta = check_record(dict(meta or {}), "meta")

    def _central_solid_angle(self) -> u.Quantity | None:
        if self._wcs is None:
            return None
        y, x = (length // 2 for length in self.shape)
        center = slice_wcs(self._wcs, (slice(y, y + 1), slice(x, x + 1)))
        return pixel_solid_angles(center, (1, 1))[0, 0] * u.arcsec**2

    # ---- the mapping ----------------------------------------------------------------

    @overload
    def __getitem__(self, key: str) -> CCDData: ...

    @overload
    def __getitem__(self, key: tuple[slice, slice]) -> PropertyMaps: ...

    def __getitem__(self, key: str | tuple[slice, slice]) -> CCDData | PropertyMaps:
        if isinstance(key, str):
            return self._as_ccd(key)
        return self._slice(key)

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def __contains__(self, key: object) -> bool:
        return key in self._arrays

    # Maps are compared by what is asked of them; equality of arrays with NaN means little.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __repr__(self) -> str:
        names = ", ".join(f"{name} ({self._unit_text(name)})" for name in self)
        wcs = "no WCS" if self._wcs is None else "/".join(self._wcs.wcs.ctype)
        redshift = "" if self._redshift is None else f", z = {self._redshift:g}"
        return f"<PropertyMaps {self.shape[0]} x {self.shape[1]} pixels, {wcs}{redshift}: {names}>"

    def _repr_html_(self) -> str:
        rows = []
        for name, planes in self._arrays.items():
            middle = planes.percentiles[_MEDIAN]
            values = middle[np.isfinite(middle)]
            low, high = np.percentile(values, (16, 84)) if values.size else (np.nan, np.nan)
            masked = f"{100 * self.masks[name].mean():.1f} %"
            rows.append((name, self._unit_text(name), f"{low:.3g} to {high:.3g}", masked))
        return html_table(repr(self).partition(": ")[0].lstrip("<"), _HTML_HEADER, rows)

    def _unit_text(self, name: str) -> str:
        return str(self._definitions[name].unit) or "dimensionless"

    def _ipython_key_completions_(self) -> list[str]:
        return list(self)

    def _planes(self, name: str) -> PropertyArrays:
        try:
            return self._arrays[name]
        except KeyError:
            raise UnknownPropertyError(
                f"There is no map of {name!r}: the maps are {', '.join(self)}."
            ) from None

    def _as_ccd(self, name: str) -> CCDData:
        percentiles = self._planes(name).percentiles
        width = (percentiles[_HIGH] - percentiles[_LOW]) / 2
        return CCDData(
            percentiles[_MEDIAN],
            uncertainty=StdDevUncertainty(checks.read_only(width), copy=False),
            mask=self.masks[name],
            unit=self._definitions[name].unit,
            wcs=self.wcs,
            meta={"BTYPE": name},
        )

    def _slice(self, key: Any) -> PropertyMaps:
        rows, columns = self._checked_slices(key)
        window = (..., rows, columns)

        def cut(array: npt.NDArray[Any] | None) -> npt.NDArray[Any] | None:
            return None if array is None else array[window]

        options = self._arguments()
        options |= {
            "quality": self._quality[window],
            "wcs": None if self._wcs is None else slice_wcs(self._wcs, (rows, columns)),
            "systematics": {
                mode: {name: plane[window] for name, plane in planes.items()}
                for mode, planes in self._systematics.items()
            },
            "bins": cut(self._bins),
            "target": cut(self._target),
        }
        arrays = {
            name: PropertyArrays(
                planes.percentiles[window],
                cut(planes.mean),
                cut(planes.samples),
                shared=cut(planes.shared),
            )
            for name, planes in self._arrays.items()
        }
        return PropertyMaps(arrays, **options)

    def _checked_slices(self, key: Any) -> tuple[slice, slice]:
        if not (isinstance(key, tuple) and len(key) == 2 and all(type(k) is slice for k in key)):
            raise InvalidTypeError(
                f"Maps cannot be indexed with {key!r}: expected the name of a property "
                f"({', '.join(self)}) or two slices, maps[y0:y1, x0:x1]."
            )
        slices = []
        for part, length in zip(key, self.shape, strict=True):
            start, stop, step = part.indices(length)
            if step != 1 or stop <= start:
                raise InvalidInputError(
                    f"Maps of shape {self.shape} cannot be cut with {key}: expected slices with "
                    "step 1 that hold at least one pixel."
                )
            slices.append(slice(start, stop))
        return slices[0], slices[1]

    def cutout(self, position: Any, size: Any) -> PropertyMaps:
        """Return the part of the maps around a position.

        Parameters
        ----------
        position : `~astropy.coordinates.SkyCoord` or tuple of float
            Its middle, on the sky or as ``(x, y)`` in pixels.
        size : `~astropy.units.Quantity` or float, or two of them ``(y, x)``
            Sides, as angles or in pixels; what lies off the maps is left out.

        Returns
        -------
        PropertyMaps
            All maps there, as by slicing.

        Raises
        ------
        InvalidInputError
            If nothing of it lies on the maps.
        """
        scale = self.pixel_solid_angle**0.5
        return self[cutout_slices(self._wcs, self.shape, scale, position, size)]

    def select(self, names: str | Sequence[str]) -> PropertyMaps:
        """Return only the maps of some properties.

        Parameters
        ----------
        names : str or sequence of str
            Names of the properties, in the order wanted. Averages need the weight's map too.

        Returns
        -------
        PropertyMaps
            Those maps.

        Raises
        ------
        InvalidInputError
            If there is no map of one.
        """
        chosen = [names] if isinstance(names, str) else list(names)
        arrays = {name: self._planes(name) for name in chosen}
        options = self._arguments()
        for key in ("definitions", "shared_error"):
            options[key] = {n: value for n, value in options[key].items() if n in arrays}
        options["systematics"] = {
            mode: {n: plane for n, plane in planes.items() if n in arrays}
            for mode, planes in self._systematics.items()
        }
        return PropertyMaps(arrays, **options)

    def with_specific_sfr(self) -> PropertyMaps:
        """Return the maps and, beside them, the specific star formation rate.

        Returns
        -------
        PropertyMaps
            With ``specific_sfr`` in 1/Gyr, `sfr` over `stellar_mass`. Its percentiles come from
            joint samples where there are; else errors of both are taken as independent, which
            ``meta["specific_sfr_from"]`` says. Its average over a region is the region's star
            formation rate over its stellar mass.

        Raises
        ------
        InvalidInputError
            If there is no map of one of the two.
        """
        from picasssso.maps.derived import add_specific_sfr

        return add_specific_sfr(self)

    # ---- planes ---------------------------------------------------------------------

    @property
    def properties(self) -> tuple[str, ...]:
        """Names of the properties mapped (tuple of str)."""
        return tuple(self._arrays)

    def definition(self, name: str) -> Property:
        """Return the definition of a property mapped.

        Parameters
        ----------
        name : str
            Name of the property.

        Returns
        -------
        Property
            Unit, kind, weight, label and meaning.

        Raises
        ------
        InvalidInputError
            If there is no map of it.
        """
        self._planes(name)
        return self._definitions[name]

    def percentile(self, name: str, q: float) -> u.Quantity:
        """Return a percentile of the posterior of every pixel.

        Parameters
        ----------
        name : str
            Name of the property.
        q : float
            2.5, 16, 50, 84 or 97.5: those are stored.

        Returns
        -------
        `~astropy.units.Quantity`, shape (y, x)
            Read-only; NaN where masked.

        Raises
        ------
        InvalidInputError
            If there is no map of the property, or the percentile is not stored.
        """
        planes = self._planes(name)
        if np.ndim(q) or q not in PERCENTILES:
            stored = ", ".join(f"{stored:g}" for stored in PERCENTILES)
            raise InvalidInputError(
                f"The {q!r} percentile is not stored: expected one of {stored} (per cent)."
            )
        return self._quantity(name, planes.percentiles[PERCENTILES.index(q)])

    def mean(self, name: str) -> u.Quantity:
        """Return the plane whose sum over pixels is unbiased.

        It may be negative where noise is: that is what makes sums right.

        Parameters
        ----------
        name : str
            Name of the property.

        Returns
        -------
        `~astropy.units.Quantity`, shape (y, x)
            Read-only; NaN where masked.

        Raises
        ------
        InvalidInputError
            If there is no map of the property, or it is intensive and came without a mean.
        """
        planes = self._planes(name)
        if planes.mean is None:
            raise InvalidInputError(
                f"{name!r} has no mean: it is intensive, so its values are averaged, not summed; "
                f"take maps[{name!r}], the median, or maps.total({name!r}), the average."
            )
        return self._quantity(name, planes.mean)

    def samples(self, name: str) -> u.Quantity:
        """Return joint posterior samples.

        Parameters
        ----------
        name : str
            Name of the property.

        Returns
        -------
        `~astropy.units.Quantity`, shape (n, y, x)
            Read-only. The k-th samples of all properties and pixels belong together.

        Raises
        ------
        InvalidInputError
            If there is no map of the property, or no samples were asked for.
        """
        planes = self._planes(name)
        if planes.samples is None:
            raise InvalidInputError(
                f"{name!r} has no samples: estimate them with estimator.estimate(images, "
                "n_samples=...), if the estimator can draw them."
            )
        return self._quantity(name, planes.samples)

    def _quantity(self, name: str, array: npt.NDArray[np.floating]) -> u.Quantity:
        return u.Quantity(array, self._definitions[name].unit, copy=False, dtype=array.dtype)

    @property
    def masks(self) -> Mapping[str, npt.NDArray[np.bool_]]:
        """Boolean masks by property name, True where there is no estimate; read-only."""
        return MappingProxyType(self._masks)

    @cached_property
    def _masks(self) -> dict[str, npt.NDArray[np.bool_]]:
        return {
            name: checks.read_only(np.isnan(planes.percentiles[_MEDIAN]))
            for name, planes in self._arrays.items()
        }

    @property
    def quality(self) -> npt.NDArray[np.int32]:
        """Bits of `picasssso.QualityFlag` (ndarray of int32, shape (y, x), read-only)."""
        return self._quality

    @property
    def bins(self) -> npt.NDArray[np.int32] | None:
        """Bin that each pixel belongs to, negative for none (ndarray of int32) or None."""
        return self._bins

    @property
    def target(self) -> npt.NDArray[np.bool_] | None:
        """Pixels of the target (ndarray of bool, shape (y, x), read-only) or None."""
        return self._target

    # ---- what one does with maps ----------------------------------------------------

    def total(self, name: str, region: Region = None, correlation: str | None = None) -> Total:
        """Integrate a surface density over a region, or average an intensive property.

        A surface density is summed as its mean plane times the area of each pixel, its
        solid angle from the WCS times the squared angular diameter distance. An intensive
        property is averaged with the mean plane of its weight times area (with area alone
        where it has no weight). Masked pixels count for nothing, and how much of the
        region they are is said.

        Parameters
        ----------
        name : str
            Name of the property.
        region : ndarray of bool, photutils aperture, "frame", or None
            Where: a mask that is True inside, an aperture in pixels or on the sky (the
            fraction of each pixel it covers is worked out exactly), or ``"frame"`` for the
            whole image. None is the `target` where the maps know of one (that of images
            with labels), else the whole image.
        correlation : {"independent", "full"}, optional
            How the errors of different pixels hang together. None takes the scatter of
            the totals of joint samples; without samples, what the estimator says that
            pixels share (``correlation="joint"`` in the record); and is an error where it
            says nothing. "independent" adds what pixels do not share in quadrature, once
            for each bin, with the variance inflated by `noise_scaling`, and then what all
            pixels share, the `shared_error` or the estimator's own. "full" takes all pixels
            to err alike. The `systematics` are added in each case.

        Returns
        -------
        Total
            Value, uncertainty, masked fraction, assumptions, and the uncertainty's
            components.

        Raises
        ------
        InvalidInputError
            If there is no map of the property or of its weight, the correlation has to be
            said, a surface density has no distance, or the region cannot be used.

        Warns
        -----
        PicassssoWarning
            If the weights of an intensive property sum to zero or less in the region.

        Notes
        -----
        Joint samples must contain what pixels share: the k-th samples of all pixels make
        one possible galaxy. The per-pixel error is the root mean square distance of the
        posterior from the mean plane, estimated from the five percentiles.

        Examples
        --------
        >>> import astropy.units as u
        >>> import numpy as np
        >>> from picasssso import PropertyMaps
        >>> from picasssso.maps import PropertyArrays
        >>> mass = np.full((4, 5), 2e8)
        >>> maps = PropertyMaps(
        ...     {"stellar_mass": PropertyArrays.from_normal(mass, 0.2 * mass)},
        ...     quality=None, pixel_solid_angle=1 * u.arcsec**2,
        ...     redshift=0.02, luminosity_distance=90 * u.Mpc)
        >>> maps.total("stellar_mass", correlation="independent")
        <Total stellar_mass = (7.04 +/- 0.31)e+08 solMass, 0.0 % masked, independent>
        """
        from picasssso.maps.totals import make_total

        return make_total(self, name, region, correlation)

    def profile(
        self,
        name: str,
        *,
        center: SkyCoord | tuple[float, float] | None = None,
        position_angle: u.Quantity | None = None,
        axis_ratio: float | None = None,
        edges: u.Quantity | None = None,
        inclination: u.Quantity | None = None,
        correlation: str | None = None,
    ) -> QTable:
        """Average a property in elliptical annuli.

        Surface densities are averaged over the area of an annulus that is not masked,
        intensive properties with their weight, as in `total`.

        Parameters
        ----------
        name : str
            Name of the property.
        center : `~astropy.coordinates.SkyCoord` or tuple of float, optional
            On the sky or as ``(x, y)`` in pixels. By default the centroid of the map.
        position_angle : `~astropy.units.Quantity`, optional
            Of the major axis, from celestial north (ICRS, also where the WCS is Galactic)
            through east. Without a WCS, north is up and east is left. By default from the
            second moments of the map.
        axis_ratio : float, optional
            Minor over major axis, seen on the sky. By default the cosine of the
            inclination if that is given, else from the second moments.
        edges : `~astropy.units.Quantity`, optional
            Edges of the annuli along the major axis, angles or lengths. By default at
            most 20 annuli, none thinner than 1.5 pixels, out to three times the standard
            deviation of the map along the major axis (five scale lengths of an
            exponential disc).
        inclination : `~astropy.units.Quantity`, optional
            Of a thin disc: 0 is face on. Surface densities are multiplied by its cosine,
            which turns them face on. Without it they are as projected on the sky.
        correlation : {"independent", "full"}, optional
            As for `total`.

        Returns
        -------
        `~astropy.table.QTable`
            For each annulus: ``radius`` (middle), ``radius_inner`` and ``radius_outer``
            along the major axis, ``radius_kpc`` where there is a distance, the property,
            its ``_error``, ``n_pixels`` (that are not masked) and ``masked_fraction``.
            The errors of annuli share what all pixels share. The ellipse stands in the
            table's meta.

        Raises
        ------
        InvalidInputError
            If there is no map of the property or of its weight, the correlation has to be
            said, an argument cannot be, or there is no galaxy to measure.

        Notes
        -----
        The default ellipse comes from the mean plane of the property if that is a surface
        density, else of its weight, else of the first surface density: of the pixels
        whose mean is at least three times its error, the connected patch with the largest
        sum is taken (where the image cuts it off, what is brighter than its brightest pixel
        along the edge), and its moments with `photutils.morphology.data_properties`.

        Examples
        --------
        >>> import astropy.units as u
        >>> import numpy as np
        >>> from picasssso import PropertyMaps
        >>> from picasssso.maps import PropertyArrays
        >>> y, x = np.mgrid[:41, :41] - 20
        >>> mass = 1e9 * np.exp(-np.hypot(y, x / 0.5) / 4)
        >>> maps = PropertyMaps(
        ...     {"stellar_mass": PropertyArrays.from_normal(mass, 0.1 * mass)},
        ...     quality=None, pixel_solid_angle=1 * u.arcsec**2)
        >>> table = maps.profile("stellar_mass", correlation="independent")
        >>> print(round(table.meta["axis_ratio"], 1), table.meta["center"])
        0.5 [20.0, 20.0]
        """
        from picasssso.maps.profiles import make_profile

        return make_profile(
            self,
            name,
            center=center,
            position_angle=position_angle,
            axis_ratio=axis_ratio,
            edges=edges,
            inclination=inclination,
            correlation=correlation,
        )

    def to_table(self) -> QTable:
        """Return the maps as a table with one row per pixel.

        Returns
        -------
        `~astropy.table.QTable`
            A row for each pixel that is not masked in every property: ``y`` and ``x``
            (from 0), ``sky`` (`~astropy.coordinates.SkyCoord`, with a WCS), each
            property's median under its name, its ``_mean`` and its percentiles ``_p025``,
            ``_p160``, ``_p840`` and ``_p975``, ``quality``, and ``bin`` where there are.

        Examples
        --------
        >>> import astropy.units as u
        >>> import numpy as np
        >>> from picasssso import PropertyMaps
        >>> from picasssso.maps import PropertyArrays
        >>> age = np.array([[3.0, 5.0, np.nan]])
        >>> maps = PropertyMaps({"stellar_age": PropertyArrays(np.stack([age] * 5))},
        ...                     quality=None, pixel_solid_angle=1 * u.arcsec**2)
        >>> print(maps.to_table()["y", "x", "stellar_age"])
         y   x  stellar_age
                    Gyr
        --- --- -----------
          0   0         3.0
          0   1         5.0
        """
        from picasssso.maps.tables import make_table

        return make_table(self)

    def plot(
        self,
        properties: str | Sequence[str] | None = None,
        *,
        truth: PropertyMaps | None = None,
        images: BandImages | None = None,
        ax: Axes | None = None,
        vmin: float | None = None,
        vmax: float | None = None,
        log: bool | None = None,
    ) -> Figure:
        """Draw the maps as a grid of panels on the sky.

        The medians are shown, surface densities on a logarithmic scale over at most three
        decades, with colour bars in the maps' units. Masked pixels are grey. The bar in
        the first panel gives the scale.

        Parameters
        ----------
        properties : sequence of str, optional
            Which maps to show; all by default.
        truth : PropertyMaps, optional
            Maps to draw below, on the same colour scales: the truth of a mock, or what
            another estimator says.
        images : `picasssso.BandImages`, optional
            The images, drawn in color in the first panel.
        ax : `~matplotlib.axes.Axes`, optional
            Where to draw, for one property: of any figure; ``projection=maps.wcs`` gives it
            sky coordinates.
        vmin, vmax : float, optional
            Ends of the color scale, in the property's unit.
        log : bool, optional
            Whether the scale is logarithmic; default: for surface densities.

        Returns
        -------
        `~matplotlib.figure.Figure`
            The figure; ``figure.savefig("maps.png", dpi=200)`` writes it.

        Raises
        ------
        InvalidInputError
            If there is no map of a property, ``truth`` has another shape, the color scale is
            empty, or ``ax`` is given with more than one map.
        InvalidTypeError
            If ``truth`` is not `PropertyMaps`.

        Examples
        --------
        >>> maps.plot(["stellar_mass", "sfr"], images=images)  # doctest: +SKIP
        """
        from picasssso.maps.plotting import plot_maps

        return plot_maps(self, properties, truth, images, ax, (vmin, vmax, log))

    def write(self, path: str | os.PathLike[str], overwrite: bool = False) -> None:
        """Write the maps to a FITS file, whole or not at all.

        Every plane is an extension with its unit and the WCS with all its distortions; see
        :ref:`maps-format` for the layout.

        Parameters
        ----------
        path : str or path-like
            Where to; a name that ends in ``.gz`` is compressed.
        overwrite : bool, optional
            Whether an existing file may be replaced.

        Raises
        ------
        FileFormatError
            If the file exists, or cannot be written.
        InvalidInputError
            If the WCS has distortions in look-up tables, or something else cannot be
            held by a FITS file.

        Examples
        --------
        >>> maps.write("ngc1234_maps.fits")  # doctest: +SKIP
        """
        from picasssso.maps.files import write_maps

        write_maps(self, path, overwrite)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> PropertyMaps:
        """Read maps from a file that `write` wrote.

        Parameters
        ----------
        path : str or path-like
            A file of any released format.

        Returns
        -------
        PropertyMaps
            The same maps, to the last bit; properties of a plugin included, whether or
            not the plugin is installed.

        Raises
        ------
        FileFormatError
            If there is no such file, it is damaged, is not a file of maps, or needs a
            newer version of picasssso, which is named.

        Examples
        --------
        >>> maps = PropertyMaps.read("ngc1234_maps.fits")  # doctest: +SKIP
        """
        from picasssso.maps.files import read_maps

        return read_maps(path, cls)

    # ---- geometry and records -------------------------------------------------------

    @property
    def shape(self) -> tuple[int, int]:
        """Shape ``(y, x)`` of the maps."""
        return self._quality.shape[0], self._quality.shape[1]

    @property
    def wcs(self) -> WCS | None:
        """A copy of the WCS of the maps (`~astropy.wcs.WCS`) or None."""
        return None if self._wcs is None else self._wcs.deepcopy()

    @property
    def redshift(self) -> float | None:
        """Observed redshift (float) or None."""
        return self._redshift

    @property
    def luminosity_distance(self) -> u.Quantity | None:
        """Luminosity distance (`~astropy.units.Quantity`, Mpc) or None."""
        return self._luminosity_distance

    @property
    def angular_diameter_distance(self) -> u.Quantity | None:
        """Angular diameter distance D_L / (1 + z)^2 (Quantity, Mpc) or None."""
        if self._luminosity_distance is None or self._redshift is None:
            return None
        return self._luminosity_distance / (1 + self._redshift) ** 2

    @property
    def pixel_solid_angle(self) -> u.Quantity:
        """Solid angle of the central pixel (`~astropy.units.Quantity`, arcsec2)."""
        return self._pixel_solid_angle

    def pixel_solid_angle_map(self) -> u.Quantity:
        """Return the solid angle of every pixel.

        Returns
        -------
        `~astropy.units.Quantity`, shape (y, x)
            In arcsec2, read-only. From the WCS with all its distortions; the same
            everywhere where there is no WCS.
        """
        return u.Quantity(self._solid_angles, u.arcsec**2, copy=False)

    @cached_property
    def _solid_angles(self) -> npt.NDArray[np.float64]:
        """Solid angles of the pixels, arcsec2."""
        if self._wcs is None:
            assert self._pixel_solid_angle is not None
            return np.broadcast_to(self._pixel_solid_angle.to_value(u.arcsec**2), self.shape)
        return checks.read_only(pixel_solid_angles(self._wcs, self.shape))

    @property
    def shared_error(self) -> Mapping[str, float]:
        """Part of the percentiles' width that all pixels share, dex, by property."""
        return MappingProxyType(self._shared_error)

    @property
    def systematics(self) -> Mapping[str, Mapping[str, npt.NDArray[np.floating]]]:
        """Change per standard deviation of a shared error, by mode and property."""
        return MappingProxyType(
            {mode: MappingProxyType(planes) for mode, planes in self._systematics.items()}
        )

    @property
    def noise_scaling(self) -> Callable[[float], float] | None:
        """Variance inflation of sums over n pixels (callable) or None."""
        return self._noise_scaling

    @property
    def meta(self) -> Mapping[str, Any]:
        """How the maps were made; a copy, so that changing it changes nothing."""
        return MappingProxyType(copy.deepcopy(self._meta))

    def _arguments(self) -> dict[str, Any]:
        """Return the constructor's keyword arguments."""
        return {
            "quality": self._quality,
            "wcs": self._wcs,
            "pixel_solid_angle": self._pixel_solid_angle if self._wcs is None else None,
            "definitions": self._definitions,
            "redshift": self._redshift,
            "luminosity_distance": self._luminosity_distance,
            "shared_error": self._shared_error,
            "systematics": self._systematics,
            "noise_scaling": self._noise_scaling,
            "bins": self._bins,
            "target": self._target,
            "meta": self._meta,
        }

    def __reduce__(self) -> tuple[Any, ...]:
        # Through the constructor, since pickle forgets that arrays are read-only.
        return _rebuild, (self._arrays, self._arguments())


def _rebuild(arrays: Mapping[str, PropertyArrays], options: dict[str, Any]) -> PropertyMaps:
    return PropertyMaps(arrays, **options)
