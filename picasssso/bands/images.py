"""`BandImages`: one target, one redshift, one pixel grid, several bands."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
import numpy.typing as npt
from astropy.io import fits
from astropy.wcs import WCS

from picasssso._core.html import html_table
from picasssso._core.plugins import load
from picasssso.bands import slots
from picasssso.bands.pixels import cutout_slices
from picasssso.bands.stack import BandStack
from picasssso.exceptions import InvalidInputError, InvalidTypeError

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord
    from matplotlib.axes import Axes


class BandImages(BandStack):
    """Images of one target in several bands, on one pixel grid, at one redshift.

    An immutable mapping from band name to `~astropy.nddata.CCDData`. Everything is checked on
    construction. The arrays are read-only views and are never copied, so that a memory-mapped
    image stays mapped. Metadata (PSF, correlation of the noise, shared errors, Galactic
    extinction, bins, labels) are kept in slices, cutouts, resampled images and files.

    Parameters
    ----------
    images : mapping or iterable of pairs
        `~astropy.nddata.CCDData` by band name. Names are those of speclite's filters, such as
        ``"sdss2010-g"``; bare names such as ``"g"`` need ``survey``. Units are those of flux
        density per pixel or per solid angle (nmgy, Jy, erg/s/cm2/Hz, erg/s/cm2/AA ...), or
        counts with ``zero_point``. A pixel is invalid if its value is not finite, its mask not
        zero, or its uncertainty not positive and finite (an inverse variance of 0: no data).
    redshift : float
        Observed redshift, above -0.005. Required.
    survey : str, optional
        Survey of bare band names: sdss, des, panstarrs, hsc, lsst, 2mass ..., or a filter
        group of speclite.
    luminosity_distance : `~astropy.units.Quantity`, optional
        Overrides the distance from the cosmology. The angular diameter distance is D_L / (1 +
        z)^2.
    cosmology : `~astropy.cosmology.FLRW`, optional
        Default: Planck18.
    pixel_scale : `~astropy.units.Quantity`, optional
        Angle per pixel, only for images without WCS.
    zero_point : `~astropy.units.Quantity` or mapping, optional
        Magnitude of one count such as ``30 * u.ABmag``, for all bands or by band.
    asinh_softening : float or mapping, optional
        Softening b of asinh magnitude images (Lupton et al. 1999, AJ 118, 1406).
    psf : `~astropy.units.Quantity`, array-like or mapping, optional
        FWHM as an angle, or a kernel on the image's pixels (it is normalized to a sum of 1);
        default: ``CCDData.psf``.
    noise_scaling : NoiseScaling or mapping, optional
        How the noise of a sum grows with the number of pixels; default: white.
    sky_error : `~astropy.units.Quantity` or mapping, optional
        One-sigma error of the sky level, per pixel or per solid angle, shared by all pixels.
    zero_point_error : `~astropy.units.Quantity` or mapping, optional
        One-sigma error of the calibration, in mag or as a fraction, shared by all pixels.
    galactic_extinction : GalacticExtinction, optional
        E(B-V) of the Milky Way, and whether the images are corrected for it.
    bins : array of int, shape (y, x), optional
        Bin number of each pixel; negative: no bin. Each pixel of a bin contains the mean flux
        per pixel of the bin and the standard error of that mean.
    labels : array of int, shape (y, x), optional
        Targets in a field; 0: none.
    meta : mapping, optional
        Notes, representable in JSON.

    Raises
    ------
    InvalidInputError, InvalidTypeError
        The first of these that fails, in this order: type, shape, unit, mask, all-NaN or
        empty, WCS (bands off by more than 0.1 pixel), band name, redshift, PSF, uncertainty.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy import units as u
    >>> from astropy.nddata import CCDData, NDData
    >>> from picasssso.bands import BandImages
    >>> g, r = (CCDData(np.full((4, 5), flux), unit="nmgy") for flux in (1.0, 2.0))
    >>> images = BandImages({"g": g, "r": r}, survey="sdss", redshift=0.02,
    ...                     pixel_scale=0.4 * u.arcsec)
    >>> images
    <BandImages: sdss2010-g, sdss2010-r; 4 x 5 pixels of 0.4 arcsec; z = 0.02>
    >>> flux, inverse_variance = images[1:3, 1:3].to_arrays()
    >>> flux.shape
    (2, 2, 2)
    """

    def __repr__(self) -> str:
        return (
            f"<BandImages: {', '.join(self.bands)}; {self._shape[0]} x {self._shape[1]} pixels of "
            f"{self.pixel_scale.value:.4g} arcsec; z = {self.redshift:g}>"
        )

    def _repr_html_(self) -> str:
        rows = []
        for band, record in self._records.items():
            fwhm = self.psf_fwhm(band)
            width = "unknown" if fwhm is None else f"{fwhm.value:.3g} arcsec"
            noise = "none" if record.uncertainty is None else "known"
            rows.append((band, str(record.unit), width, noise))
        header = ("band", "unit", "PSF (FWHM)", "uncertainty")
        return html_table(repr(self).strip("<>"), header, rows)

    def cutout(
        self, position: SkyCoord | tuple[float, float], size: u.Quantity | float | tuple[Any, Any]
    ) -> BandImages:
        """Return a rectangle around a position, cropped at the edge of the image.

        Parameters
        ----------
        position : `~astropy.coordinates.SkyCoord` or tuple of float
            Position on the sky, or pixel ``(x, y)``.
        size : `~astropy.units.Quantity`, float or tuple
            Side of the square, or sides ``(y, x)``, as angles or in pixels.

        Returns
        -------
        BandImages
            The part inside the image.

        Raises
        ------
        InvalidInputError
            If no part of it is inside the image.

        Examples
        --------
        >>> import astropy.units as u
        >>> from picasssso.data import load_example
        >>> load_example()[0].cutout((64, 64), 8 * u.arcsec).shape
        (20, 20)
        """
        return self[cutout_slices(self._wcs, self._shape, self.pixel_scale, position, size)]

    def split_labels(
        self, redshifts: Mapping[int, float], *, margin: int = 0
    ) -> Iterator[tuple[int, BandImages]]:
        """Split a field into its labeled targets.

        Parameters
        ----------
        redshifts : mapping
            Redshift by label; other labels are not cut out.
        margin : int, optional
            Pixels to add around each target.

        Yields
        ------
        label : int
            The target's label.
        images : BandImages
            Cutout around it with its own redshift, and with the pixels of other labels masked in
            every band. A luminosity distance of the field is not used, since it can only be that
            of one target: use `replace` to set one.

        Raises
        ------
        InvalidInputError
            If there are no labels, or one is not in the image.
        """
        if self.labels is None:
            raise InvalidInputError(
                "split_labels: found no labels, expected BandImages(..., labels=array) with a "
                "positive integer for each target."
            )
        if not isinstance(redshifts, Mapping):
            raise InvalidTypeError(
                f"split_labels: found redshifts={redshifts!r}, expected {{label: redshift}}."
            )
        for label, redshift in redshifts.items():
            rows, columns = (np.flatnonzero((self.labels == label).any(axis=a)) for a in (1, 0))
            if label == 0 or not rows.size:
                raise InvalidInputError(
                    f"split_labels: found no pixel with label {label!r}, expected some of "
                    f"{np.unique(self.labels[self.labels != 0])[:20].tolist()}."
                )
            y, x = (
                slice(max(int(found[0]) - margin, 0), int(found[-1]) + 1 + margin)
                for found in (rows, columns)
            )
            part = self[y, x]
            others: Any = (part.labels != 0) & (part.labels != label)
            yield (
                label,
                part._derive(
                    records={b: r.add_mask(others) for b, r in part._records.items()},
                    redshift=slots.check_redshift(redshift),
                    luminosity_distance=None,
                ),
            )

    def reproject_to(
        self,
        wcs: WCS | fits.Header,
        shape: tuple[int, int] | None = None,
        *,
        method: str = "exact",
        progress: bool | None = None,
        folder: str | os.PathLike[str] | None = None,
    ) -> BandImages:
        """Resample to another pixel grid with the reproject package.

        Fluxes are conserved: a flux per pixel is averaged as surface brightness and
        multiplied by the new pixel's solid angle. Masked pixels are ignored: a new pixel is
        masked if less than half of it overlaps valid pixels; otherwise the average over the
        valid part is used. Variances are propagated with squared weights. The noise correlation
        of neighboring output pixels is computed from the weights at the center of the new image,
        and combined with the previous `noise_scaling`. A PSF given
        as FWHM is broadened in quadrature by the second moment of the weights; a kernel is
        resampled like an image. Bins and labels take the nearest pixel, and so do the fluxes
        of binned images.

        Parameters
        ----------
        wcs : `~astropy.wcs.WCS` or `~astropy.io.fits.Header`
            The new grid.
        shape : tuple of int, optional
            Its shape ``(y, x)``; needed if ``wcs.array_shape`` is not set.
        method : {"exact", "adaptive", "interp"}, optional
            ``"exact"``: overlap of pixels on the sphere; slow, and flux is conserved exactly.
            ``"adaptive"``: Gaussian kernel that adapts to the pixels (DeForest 2004, Solar
            Physics 219, 3); smooth, with slight blurring. ``"interp"``: bilinear; fast, but
            ignores input pixels where the new ones are much larger.
        progress : bool, optional
            Whether to show a progress bar; None: if the work is long and there is a terminal.
        folder : path, optional
            Folder for the memory-mapped pixels of a large field; default: in memory.

        Returns
        -------
        BandImages
            On the new grid, bands in their own units (asinh magnitudes become nmgy) with
            standard deviations, as float32.

        Raises
        ------
        InvalidInputError
            If the images have no WCS, or do not overlap with the grid.
        """
        from picasssso.bands.resampling import reproject_images

        return reproject_images(self, wcs, shape, method, progress, folder)

    def with_estimated_noise(
        self,
        bands: Sequence[str] | None = None,
        *,
        box_size: int = 64,
        gain: Any = None,
        source_mask: npt.NDArray[np.bool_] | None = None,
    ) -> BandImages:
        """Return images with standard deviations estimated from their background.

        Sources are detected in the combined bands, as in `picasssso.preparation.prepare`, and
        masked. The scatter of the remaining pixels is measured in boxes as the sigma-clipped
        median absolute deviation times 1.4826, and interpolated between boxes (photutils
        ``Background2D``).
        The photon noise of the sources themselves is added if ``gain`` is given, as
        (value - background) / gain where that is positive. The correlation of the noise is
        not estimated: see `noise_scaling`.

        Parameters
        ----------
        bands : sequence of str, optional
            Bands whose uncertainty is set or replaced; default: those without one.
        box_size : int, optional
            Side of the boxes, pixels.
        gain : `~astropy.units.Quantity` or mapping, optional
            Electrons per image unit, such as ``4.5 * u.electron / u.adu``, for all bands or
            by band.
        source_mask : ndarray of bool, shape (y, x), optional
            True on sources.

        Returns
        -------
        BandImages
            The bands in their own units (asinh magnitudes become nmgy).

        Raises
        ------
        InvalidInputError
            If there are too few pixels without sources, or the background has no scatter.

        Examples
        --------
        >>> import numpy as np
        >>> from astropy import units as u
        >>> from astropy.nddata import CCDData
        >>> from picasssso.bands import BandImages
        >>> sky = np.random.default_rng(1).normal(10, 0.5, (80, 80))
        >>> images = BandImages({"sdss2010-r": CCDData(sky, unit="nmgy")}, redshift=0.02,
        ...                     pixel_scale=0.4 * u.arcsec)
        >>> images.missing_uncertainty
        ('sdss2010-r',)
        >>> noise = images.with_estimated_noise()["sdss2010-r"].uncertainty.array
        >>> round(float(np.median(noise)), 1)
        0.5
        """
        # What measures noise stands in a room above; see `read`.
        return load("picasssso.preparation.noise:estimate_noise")(
            self, bands, box_size=box_size, gain=gain, source_mask=source_mask
        )

    def plot(
        self,
        ax: Axes | None = None,
        bands: Sequence[str] | None = None,
        *,
        brightest: float = 99.7,
        softening: float = 3.0,
    ) -> Axes:
        """Draw three bands as a color image (Lupton et al. 2004, PASP 116, 133).

        Parameters
        ----------
        ax : `~matplotlib.axes.Axes`, optional
            Axes to draw on; default: new axes with the WCS of the images.
        bands : sequence of str, optional
            One, two or three bands, from red to blue; default: those nearest to 760, 620
            and 480 nm. With two, green is their mean; one gives a gray picture.
        brightest : float, optional
            Percentile of the brightness that becomes white.
        softening : float, optional
            Brightness, in units of the noise, up to which the stretch is linear: smaller values
            show fainter structure.

        Returns
        -------
        `~matplotlib.axes.Axes`
            The axes.
        """
        from picasssso.bands.plotting import plot_images

        return plot_images(self, ax, bands, brightest, softening)

    def write(self, path: str | os.PathLike[str], overwrite: bool = False) -> None:
        """Write everything to a FITS file (format 1), from which `read` restores it.

        Parameters
        ----------
        path : str or path-like
            Name of the file.
        overwrite : bool, optional
            Whether an existing file may be replaced.

        Raises
        ------
        FileFormatError
            If the file exists or cannot be written; nothing is left behind then.
        """
        from picasssso.bands.files import write_images

        write_images(self, path, overwrite)

    @classmethod
    def read(
        cls,
        files: Any,
        *,
        redshift: float | None = None,
        survey: str | None = None,
        format: str | None = None,
        zero_point: Any = None,
        unit: Any = None,
        weight: Any = None,
        uncertainty: Any = None,
        variance: Any = None,
        mask: Any = None,
        mask_bits: int | None = None,
        onto: Any = None,
        **arguments: Any,
    ) -> BandImages:
        """Read images from files of many formats, or from a file written by `write`.

        The format of each file is recognized from its headers (`picasssso.io.recognize`), which
        defines unit, zero point, noise and mask; ``meta["source"]`` records them. Nothing is
        guessed: missing information must be given.
        Large images are memory-mapped where the format allows.

        Parameters
        ----------
        files : path, sequence of paths, or mapping from band to path or paths
            Images, and the weight and mask files that go with them; or one file written by
            `write`. Bands come from the headers unless they are given. In a mapping
            ``"file.fits[HDU]"`` names the HDU of the image by name, number, or name and
            EXTVER (``[SCI,2]``); noise and mask are those of the same EXTVER, or with a matching
            name (``[SCI_G]``, ``ERR_G``).
        redshift : float
            Observed redshift. Required, except for files written by `write`, whose redshift it
            replaces.
        survey : str, optional
            Survey of bare band names.
        format : str, optional
            Format of all files, instead of recognizing it; one of `picasssso.io.list_formats`.
        zero_point : `~astropy.units.Quantity` or mapping, optional
            Magnitude of one count, for images in counts. Default: what the format defines; in
            other files the first of MAGZERO (DECam bands), FLUXMAG0 (HSC bands), MAGZEROP
            (Euclid bands), ZP_AB, ABZP, MAGZP_AB.
        unit : str, `~astropy.units.UnitBase` or mapping, optional
            Unit of the images; default: what the format defines, or BUNIT. One that
            contradicts BUNIT is taken, with a warning.
        weight, uncertainty, variance : str, int, path or mapping, optional
            HDU (of the same file), or ``"file.fits[HDU]"``, of inverse variances, standard
            deviations or variances, in their own BUNIT or the image's unit; instead of those
            that the format defines. A weight in addition to an uncertainty only marks where
            there are data.
        mask : str, int, path or mapping, optional
            The same of a mask, non-zero where bad.
        mask_bits : int, optional
            Bits of ``mask``, or of the mask in the file, that mark bad pixels; default: those
            defined as bad in its header, or all.
        onto : str, `~astropy.wcs.WCS` or `~astropy.io.fits.Header`, optional
            Common grid for bands on different grids, as for `picasssso.bands.align`; by default
            all must be on the same.
        **arguments : object
            Other arguments of `BandImages`, such as ``psf``.

        Returns
        -------
        BandImages
            The images.

        Raises
        ------
        FileFormatError
            If a file is missing, no FITS, damaged, not what its header says, or of a format
            that needs a newer version.
        InvalidInputError
            If an HDU is missing, something that the file does not say is not given, or bands
            are on different grids.

        Warns
        -----
        PicassssoWarning
            If the noise stated in a file differs by more than a factor of 2 from the scatter of
            its pixels, or a given unit contradicts BUNIT.

        Examples
        --------
        >>> import os, tempfile
        >>> from picasssso import BandImages
        >>> from picasssso.data import load_example
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "galaxy.fits")
        ...     load_example()[0].write(path)
        ...     again = BandImages.read(path)
        >>> again.redshift
        0.03
        """
        # Files are the business of `picasssso.io`, a room above this one. As plugins are, it is
        # found by name when it is needed, so that no import points up.
        return load("picasssso.io.reading:read")(
            files,
            redshift=redshift,
            survey=survey,
            format=format,
            zero_point=zero_point,
            unit=unit,
            weight=weight,
            uncertainty=uncertainty,
            variance=variance,
            mask=mask,
            mask_bits=mask_bits,
            onto=onto,
            **arguments,
        )

    @classmethod
    def from_cube(
        cls,
        cube: Any,
        bands: Sequence[str],
        unit: Any = None,
        *,
        wcs: WCS | None = None,
        uncertainty: Any = None,
        mask: Any = None,
        **arguments: Any,
    ) -> BandImages:
        """Make `BandImages` from a cube with one plane per band.

        Parameters
        ----------
        cube : array, `~astropy.units.Quantity` or `~astropy.nddata.NDData`
            Of shape (bands, y, x); its planes are not copied.
        bands : sequence of str
            Name of each plane.
        unit : str or `~astropy.units.UnitBase`, optional
            Unit of all planes, unless the cube has one.
        wcs : `~astropy.wcs.WCS`, optional
            Celestial WCS, unless the cube has one.
        uncertainty : `~astropy.nddata.NDUncertainty` or array, optional
            Of the cube's shape; a bare array holds standard deviations in the cube's unit.
        mask : array, optional
            Of the cube's shape or of one plane's; non-zero where bad.
        **arguments : object
            Other arguments of `BandImages`; ``redshift`` is required.

        Returns
        -------
        BandImages
            The images.

        Examples
        --------
        >>> import numpy as np
        >>> from astropy import units as u
        >>> from picasssso.bands import BandImages
        >>> BandImages.from_cube(np.ones((3, 8, 9)), ["g", "r", "z"], "nmgy", survey="decals",
        ...                      redshift=0.02, pixel_scale=0.262 * u.arcsec)
        <BandImages: decam2014-g, decam2014-r, decam2014-z; 8 x 9 pixels of 0.262 arcsec; z = 0.02>
        """
        from picasssso.bands.cubes import list_cube

        planes = list_cube(cube, bands, unit, wcs=wcs, uncertainty=uncertainty, mask=mask)
        return cls(planes, **arguments)
