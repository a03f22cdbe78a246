"""`PropertyMaps`: the maps of one galaxy on one pixel grid."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np

from picasssso.bands.pixels import cutout_slices
from picasssso.maps.arrays import PERCENTILES
from picasssso.maps.planes import MapPlanes

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord
    from astropy.table import QTable
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from picasssso.bands import BandImages
    from picasssso.maps.regions import Region
    from picasssso.maps.totals import Total


class PropertyMaps(MapPlanes):
    """Maps of the physical properties of one galaxy, all on one pixel grid.

    An immutable mapping from property name to `~astropy.nddata.CCDData` whose data are
    the posterior median, whose uncertainty is half the 16-84 range, and whose mask is a
    boolean array, never None. A pixel is masked, and NaN in every plane of the property,
    where it could not be estimated.

    Usually created by an estimator rather than by calling the constructor.

    Parameters
    ----------
    arrays : mapping of str to PropertyArrays
        Percentiles, means and samples by property name, in the properties' units.
    quality : array-like of int, shape (y, x), or None
        Bits of `picasssso.QualityFlag`. Pixels with ``NO_DATA`` are masked. None combines the
        quality of the arrays.
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
        By property, in dex: the error that is common to all pixels and included in the
        percentiles, such as the scatter of a mass-to-light relation.
    systematics : mapping of str to mapping of str to array-like, optional
        By source, then property: change of the mean (the median, if there is none) for one
        standard deviation of an error common to all pixels, such as the zero point of a band.
        The percentiles do not include these errors.
    noise_scaling : `picasssso.NoiseScaling` or callable, optional
        Variance inflation of sums over n pixels, if the noise of pixels is correlated.
    bins : array-like of int, shape (y, x), optional
        Number of the bin that a pixel belongs to, negative for none. A bin is one measurement:
        all its pixels have the same values, and its error counts once.
    target : array-like of bool, shape (y, x), optional
        Pixels of the target, if the frame contains other galaxies: totals are for the target
        unless another region is given.
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
    The arrays are kept as read-only views where possible; do not modify the original arrays
    afterwards.

    Examples
    --------
    >>> import astropy.units as u
    >>> import numpy as np
    >>> from picasssso.maps import PropertyArrays, PropertyMaps
    >>> mass = PropertyArrays.from_normal(np.full((4, 5), 2e8), 4e7)
    >>> maps = PropertyMaps({"stellar_mass": mass}, quality=None, redshift=0.02,
    ...                     pixel_solid_angle=1 * u.arcsec**2, luminosity_distance=90 * u.Mpc)
    >>> maps
    <PropertyMaps 4 x 5 pixels, no WCS, z = 0.02: stellar_mass (solMass / kpc2)>
    >>> maps.total("stellar_mass", correlation="independent")
    <Total stellar_mass = (7.04 +/- 0.31)e+08 solMass, 0.0 % masked, independent>
    """

    def cutout(self, position: Any, size: Any) -> PropertyMaps:
        """Return the part of the maps around a position.

        Parameters
        ----------
        position : `~astropy.coordinates.SkyCoord` or tuple of float
            Center, on the sky or as ``(x, y)`` in pixels.
        size : `~astropy.units.Quantity` or float, or two of them ``(y, x)``
            Sides, as angles or in pixels; cropped at the edge of the maps.

        Returns
        -------
        PropertyMaps
            All maps there, as by slicing.

        Raises
        ------
        InvalidInputError
            If no part of it is inside the maps.
        """
        scale = self.pixel_solid_angle**0.5
        return self[cutout_slices(self._wcs, self.shape, scale, position, size)]

    def select(self, names: str | Sequence[str]) -> PropertyMaps:
        """Return only the maps of some properties.

        Parameters
        ----------
        names : str or sequence of str
            Names of the properties, in the desired order. Averages also need the map of the
            weight.

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
        """Return the maps with the specific star formation rate added.

        Returns
        -------
        PropertyMaps
            With ``specific_sfr`` in 1/Gyr, `sfr` over `stellar_mass`. Its percentiles are
            computed from joint samples if there are any; otherwise errors of both are assumed to
            be independent, as recorded in ``meta["specific_sfr_from"]``. Its average over a region
            is the region's star
            formation rate over its stellar mass.

        Raises
        ------
        InvalidInputError
            If there is no map of one of the two.
        """
        from picasssso.maps.derived import add_specific_sfr

        return add_specific_sfr(self)

    def total(self, name: str, region: Region = None, correlation: str | None = None) -> Total:
        """Integrate a surface density over a region, or average an intensive property.

        A surface density is summed as its mean plane times the area of each pixel, its
        solid angle from the WCS times the squared angular diameter distance. An intensive
        property is averaged with the mean plane of its weight times area (with area alone
        where it has no weight). Masked pixels are excluded, and their fraction of the region is
        reported.

        Parameters
        ----------
        name : str
            Name of the property.
        region : ndarray of bool, photutils aperture, "frame", or None
            A mask that is True inside, an aperture in pixel or sky coordinates (with exact
            partial pixels), or ``"frame"`` for the whole image. None is the `target` if the maps
            have one (from images with labels), otherwise the whole image.
        correlation : {"independent", "full"}, optional
            How pixel errors are correlated. None uses the scatter of the totals of joint samples
            or, without samples, the common part of the error if the estimator provides it
            (``correlation="joint"`` in the record); otherwise it raises an error. "independent"
            adds errors of pixels in quadrature, once for each bin, with the variance inflated by
            `noise_scaling`, and then the error common to all pixels. "full" assumes fully
            correlated errors. The `systematics` are added in each case.

        Returns
        -------
        Total
            With the attributes ``value`` (`~astropy.units.Quantity`: the sum of a surface density,
            or the average of an intensive property; NaN without data), ``uncertainty`` (its
            standard deviation), ``masked_fraction`` (of the region's area, masked or outside the
            image; totals are not corrected for it), ``assumptions`` (mapping: the planes
            combined, the correlation, the shared error, the variance inflation, the systematics
            and the distance), ``components`` (the uncertainty by source, which add in
            quadrature), and ``percentiles`` (2.5, 16, 50, 84 and 97.5; skewed as far as pixels
            have their errors in common; None if unknown).

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
        Joint samples must include errors common to all pixels: sample k of all pixels is one
        realization of the galaxy. The per-pixel error is the root mean square distance of the
        posterior from the mean plane, estimated from the five percentiles.

        Examples
        --------
        >>> from picasssso.data import load_example
        >>> _, truth = load_example()
        >>> truth.total("stellar_mass", region="frame", correlation="full").value.unit
        Unit("solMass")
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
            Of the major axis, from celestial north (ICRS, even if the WCS is Galactic) through
            east. Without a WCS, north is up and east is left. By default from the
            second moments of the map.
        axis_ratio : float, optional
            Minor over major axis, as projected on the sky. By default the cosine of the
            inclination if that is given, else from the second moments.
        edges : `~astropy.units.Quantity`, optional
            Edges of the annuli along the major axis, angles or lengths. By default at
            most 20 annuli, none thinner than 1.5 pixels, out to three times the standard
            deviation of the map along the major axis (five scale lengths of an
            exponential disk).
        inclination : `~astropy.units.Quantity`, optional
            Of a thin disk: 0 is face-on. Surface densities are multiplied by its cosine, which
            deprojects them. Without it they are as projected on the sky.
        correlation : {"independent", "full"}, optional
            As for `total`.

        Returns
        -------
        `~astropy.table.QTable`
            For each annulus: ``radius`` (middle), ``radius_inner`` and ``radius_outer``
            along the major axis, ``radius_kpc`` where there is a distance, the property,
            its ``_error`` and percentiles ``_p16``, ``_p50``, ``_p84``, ``n_pixels`` (that are
            not masked) and ``masked_fraction``.
            Errors common to all pixels are also common to all annuli. The ellipse is stored in
            the ``meta`` of the table.

        Raises
        ------
        InvalidInputError
            If there is no map of the property or of its weight, the correlation has to be
            said, an argument cannot be, or there is no galaxy to measure.

        Warns
        -----
        PicassssoWarning
            If annuli of a given flatness are turned to the position angle of a map that is nearly
            round.

        Notes
        -----
        The default ellipse is measured on the mean plane of the property if it is a surface
        density, otherwise of its weight, or of the first surface density: the connected region
        with
        the largest sum is selected among pixels whose mean is at least three times its error (if
        it reaches the edge of the image, only pixels brighter than its brightest pixel along the
        edge are used), and its moments are measured with `photutils.morphology.data_properties`.

        Examples
        --------
        >>> import astropy.units as u
        >>> import numpy as np
        >>> from picasssso.maps import PropertyArrays, PropertyMaps
        >>> y, x = np.mgrid[:41, :41] - 20
        >>> mass = 1e9 * np.exp(-np.hypot(y, x / 0.5) / 4)
        >>> maps = PropertyMaps({"stellar_mass": PropertyArrays.from_normal(mass, 0.1 * mass)},
        ...                     quality=None, pixel_solid_angle=1 * u.arcsec**2)
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
        """
        from astropy.table import QTable

        y, x = np.nonzero(~np.logical_and.reduce([self.masks[name] for name in self]))
        table = QTable({"y": y, "x": x}, meta=dict(self.meta))
        if self.wcs is not None:
            table["sky"] = self.wcs.pixel_to_world(x, y)
        for name in self:
            table[name] = self.percentile(name, 50)[y, x]
            if self._planes(name).mean is not None:
                table[f"{name}_mean"] = self.mean(name)[y, x]
            for q in PERCENTILES:
                if q != 50:
                    table[f"{name}_p{round(10 * q):03d}"] = self.percentile(name, q)[y, x]
        table["quality"] = self.quality[y, x]
        if self.bins is not None:
            table["bin"] = self.bins[y, x]
        return table

    def plot(
        self,
        properties: str | Sequence[str] | None = None,
        *more: str,
        truth: PropertyMaps | None = None,
        images: BandImages | None = None,
        ax: Axes | None = None,
        vmin: float | None = None,
        vmax: float | None = None,
        log: bool | None = None,
    ) -> Figure:
        """Draw the maps as a grid of panels in sky coordinates.

        The medians are shown, surface densities on a logarithmic scale over at most three
        decades, with color bars in the units of the maps. Masked pixels are gray. The first
        panel has a scale bar.

        Parameters
        ----------
        properties : sequence of str, optional
            Maps to show; all by default.
        *more : str
            More of them, ``maps.plot("sfr", "stellar_mass")``.
        truth : PropertyMaps, optional
            Maps to draw below on the same color scales: the truth of a mock, or maps of another
            estimator.
        images : `picasssso.BandImages`, optional
            The images, drawn in color in the first panel.
        ax : `~matplotlib.axes.Axes`, optional
            Axes to draw on, for one property; create them with ``projection=maps.wcs`` for sky
            coordinates.
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
        """
        from picasssso.maps.map_plots import plot_maps

        if more:
            first = [properties] if isinstance(properties, str) else properties
            properties = [*(first or []), *more]
        return plot_maps(self, properties, truth, images, ax, (vmin, vmax, log))

    def write(self, path: str | os.PathLike[str], overwrite: bool = False) -> None:
        """Write the maps to a FITS file, completely or not at all.

        Every plane is an extension with its unit and the WCS with all its distortions; see
        :ref:`maps-format` for the layout.

        Parameters
        ----------
        path : str or path-like
            Name of the file, which is compressed if it ends in ``.gz``.
        overwrite : bool, optional
            Whether an existing file may be replaced.

        Raises
        ------
        FileFormatError
            If the file exists, or cannot be written.
        InvalidInputError
            If the WCS has look-up-table distortions, or something else cannot be stored in a
            FITS file.
        """
        from picasssso.maps.map_files import write_maps

        write_maps(self, path, overwrite)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> PropertyMaps:
        """Read maps from a file written by `write`.

        Parameters
        ----------
        path : str or path-like
            A file of any released format.

        Returns
        -------
        PropertyMaps
            The same maps, bit by bit, including properties of a plugin that may not be
            installed.

        Raises
        ------
        FileFormatError
            If the file does not exist, is damaged, does not contain maps, or needs a newer
            version of picasssso, which is named.
        """
        from picasssso.maps.map_files import read_maps

        return read_maps(path, cls)

    def __reduce__(self) -> tuple[Any, ...]:
        # Through the constructor, since pickle forgets that arrays are read-only.
        return partial(PropertyMaps, self._arrays, **self._arguments()), ()
