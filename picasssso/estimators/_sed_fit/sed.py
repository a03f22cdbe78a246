"""The spectral energy distribution of a pixel or a region, and what the fit says of it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np

from picasssso._core.arguments import check_integer
from picasssso._core.html import html_table
from picasssso._core.quiet import silence
from picasssso.estimators._sed_fit.model_posterior import ModelPosterior
from picasssso.estimators._sed_fit.ranges import describe_range
from picasssso.estimators._sed_fit.region_light import sum_light
from picasssso.exceptions import InvalidInputError, InvalidTypeError, PicassssoWarning
from picasssso.filters.curves import pivot_wavelength
from picasssso.maps.arrays import PERCENTILES
from picasssso.maps.totals import Total, known_correlation, make_total
from picasssso.properties import Property

if TYPE_CHECKING:
    from astropy.table import QTable, Table
    from matplotlib.figure import Figure

    from picasssso.bands import BandImages
    from picasssso.estimators._sed_fit.fitters import Fitter
    from picasssso.maps import PropertyMaps

#: What is given of each property.
RANGE = "median and 68 % range of the posterior"
#: Columns of percentiles, as in `PropertyMaps.to_table`.
_COLUMNS = ("p025", "p16", "p50", "p84", "p975")


class SEDFit:
    """The fluxes of a pixel or a region, and the posterior of its populations.

    `SEDFitEstimator.fit_sed` makes them.

    Parameters
    ----------
    estimator : SEDFitEstimator
        What fits.
    images : BandImages
        The images.
    region : object
        The pixel or region, as for `SEDFitEstimator.fit_sed`.

    Examples
    --------
    >>> from picasssso import SEDFitEstimator
    >>> from picasssso.data import load_example
    >>> sed = SEDFitEstimator(n_models=2000, device="cpu").fit_sed(load_example()[0], (64, 64))
    >>> sed.fluxes.colnames[:3]
    ['band', 'wavelength', 'flux']
    >>> len(sed.samples(100, seed=1))
    100
    """

    # The estimator is an SEDFitEstimator, whose module imports this one.
    def __init__(self, estimator: Any, images: BandImages, region: Any) -> None:
        images = images.select(estimator._checked_bands(images))
        estimator._check_uncertainty(images)
        light = self._light = sum_light(images, region)
        self._estimator = estimator
        self._images = images
        self._maps = estimator.estimate(light.image)
        self._fitter: Fitter = estimator._fitter(estimator._make_context(light.image, 0, 0))

    # ---- what was measured ----------------------------------------------------------

    @property
    def region(self) -> str:
        """What was summed, in words (str)."""
        return self._light.what

    @property
    def n_pixels(self) -> float:
        """Number of pixels summed, the same in all bands (float)."""
        return self._light.n_pixels

    @property
    def masked_fraction(self) -> float:
        """Part of the region's area that is masked or off the image (float)."""
        return self._light.masked_fraction

    @property
    def maps(self) -> PropertyMaps:
        """The fit as maps of one pixel as large as the region (`PropertyMaps`)."""
        return self._maps

    @cached_property
    def fluxes(self) -> QTable:
        """What was measured and what the models say, a row for each band (`QTable`).

        ``band``, pivot ``wavelength``; ``flux`` and its ``error``, with the correlation of the
        noise, NaN in a band without data; ``model_error``, what the fit adds to it in quadrature
        (error floor and template error); ``model_p16``, ``model_p50`` and ``model_p84``, the
        posterior of the models' flux; ``best``, that of the best model; ``residual``, flux less
        ``best`` over both errors, whose squares add up to ``chi2``.
        """
        from astropy.table import QTable

        posterior = self._posterior
        valid = np.isfinite(posterior.variance)
        flux = np.where(valid, posterior.flux, np.nan)
        noise = np.sqrt(np.where(valid, self._noise_variance, np.nan))
        added = self._band_errors * np.maximum(flux, 0)
        low, middle, high = posterior.percentiles(np.array([16.0, 50.0, 84.0]))
        best = self._best_amplitude * posterior.models[posterior.best]
        return QTable(
            {
                "band": list(self.bands),
                "wavelength": u.Quantity([pivot_wavelength(b) for b in self.bands]).to(u.um),
                "flux": flux * u.nmgy,
                "error": noise * u.nmgy,
                "model_error": added * u.nmgy,
                "model_p16": low * u.nmgy,
                "model_p50": middle * u.nmgy,
                "model_p84": high * u.nmgy,
                "best": best * u.nmgy,
                "residual": (flux - best) / np.hypot(noise, added),
            }
        )

    @property
    def bands(self) -> tuple[str, ...]:
        """Names of the bands (tuple of str)."""
        return self._light.image.bands

    @property
    def chi2(self) -> float:
        """Of the best model, with the errors of the models too (float)."""
        return float(self._posterior.chi2.min())

    @property
    def reduced_chi2(self) -> float:
        """The same over the number of bands with data less one (float)."""
        return self.chi2 / max(int(np.isfinite(self._posterior.variance).sum()) - 1, 1)

    @property
    def quality(self) -> tuple[str, ...]:
        """Names of the flags of `picasssso.quality.QualityFlag` that are set (tuple of str)."""
        return tuple(self.maps.flags)

    # ---- what the models say --------------------------------------------------------

    @cached_property
    def posterior(self) -> Table:
        """What the fit says of each property, a row for each (`~astropy.table.Table`).

        ``property``, ``unit``; ``p025``, ``p16``, ``p50``, ``p84`` and ``p975``, percentiles of
        the posterior; ``mean`` and ``error``, those of ``maps.total``, which counts zero points,
        sky level and the disagreement of models too. Mass and star formation rate are totals of
        the region where there is a distance, else surface densities.
        """
        from astropy.table import Table

        rows = []
        for name in self._names:
            found = [self._value(name, self.maps.percentile(name, q))[0, 0] for q in PERCENTILES]
            total = self._total(name)
            values = [float(one.value) for one in (*found, total.value, total.uncertainty)]
            rows.append((name, str(found[0].unit), *values))
        return Table(rows=rows, names=("property", "unit", *_COLUMNS, "mean", "error"))

    @property
    def best_model(self) -> Mapping[str, u.Quantity]:
        """Properties of the model that fits best, by name (mapping of `Quantity`)."""
        amplitude = np.array([self._best_amplitude])
        values = self._properties(np.array([self._posterior.best]), amplitude)
        return MappingProxyType({name: value[0] for name, value in values.items()})

    def samples(self, n: int = 1000, *, seed: int = 0) -> QTable:
        """Draw from the posterior.

        Parameters
        ----------
        n : int, optional
            Number of draws.
        seed : int, optional
            Their seed: the same draws come of the same seed.

        Returns
        -------
        `~astropy.table.QTable`
            A row for each draw, with a column for each property and for the model's flux in
            each band; amplitudes are above zero, as for the percentiles.

        Raises
        ------
        InvalidInputError
            If either is no integer, or too small.

        Examples
        --------
        >>> from picasssso import SEDFitEstimator
        >>> from picasssso.data import load_example
        >>> fit = SEDFitEstimator(n_models=2000, device="cpu")
        >>> table = fit.fit_sed(load_example()[0], (64, 64)).samples(500, seed=1)
        >>> table.colnames[:3]
        ['stellar_mass', 'stellar_metallicity', 'stellar_age']
        >>> table["stellar_mass"].unit
        Unit("solMass")
        """
        from astropy.table import QTable

        which, amplitude = self._posterior.draw(
            check_integer("n", n, 1, 10**7), check_integer("seed", seed)
        )
        light = amplitude[:, None] * self._posterior.models[which] * u.nmgy
        columns = self._properties(which, amplitude)
        return QTable({**columns, **dict(zip(self.bands, light.T, strict=True))})

    # ---- beside the pixels ----------------------------------------------------------

    def compare(self, maps: PropertyMaps | None = None) -> Table:
        """Compare the fit of the summed light with the sum of the fits of its pixels.

        The summed light hides what is faint behind what is bright: young stars outshine old
        ones, and less dusty parts those behind more dust. Its mass therefore tends to be below
        the sum of the pixels' (e.g. Sorba & Sawicki 2018, MNRAS 476, 1532). Pixels, in turn, are
        noisier, and lean more on the prior.

        Parameters
        ----------
        maps : PropertyMaps, optional
            Maps of the same images. By default the pixels of the region are fitted now.

        Returns
        -------
        `~astropy.table.Table`
            A row for each property that both have: ``property``, ``unit``; ``light`` and
            ``light_error`` from the summed light; ``pixels`` and ``pixels_error`` from the
            pixels, both as ``maps.total`` gives them over the same pixels; ``difference``, that
            of the light less that of the pixels, in dex or, for attenuation, in mag
            (``difference_unit``).

        Raises
        ------
        InvalidInputError, InvalidTypeError
            If these are no maps, or of another shape than the images.

        Notes
        -----
        The two errors are not independent: noise, zero points and models are the same. The
        difference is known better than they suggest.

        Examples
        --------
        >>> from photutils.aperture import CircularAperture
        >>> from picasssso import SEDFitEstimator
        >>> from picasssso.data import load_example
        >>> fit = SEDFitEstimator(n_models=2000, device="cpu")
        >>> sed = fit.fit_sed(load_example()[0], CircularAperture((64, 64), 5))
        >>> sed.compare()["property"][0]
        np.str_('stellar_mass')
        """
        from astropy.table import Table

        weights = self._light.weights
        if maps is None:
            with silence(PicassssoWarning):  # said of the region already
                maps = self._estimator.estimate(self._images[weights.window], progress=False)
            whole = tuple(slice(0, part.stop - part.start) for part in weights.window)
            weights = type(weights)((whole[0], whole[1]), weights.weights)
        self._check_maps(maps, weights is self._light.weights)
        rows = []
        for name in self._names:
            if name not in maps:
                continue
            light, pixels = self._total(name), _total(maps, name, weights)
            unit = light.value.unit
            first, second = light.value.value, pixels.value.to_value(unit)
            in_mag = unit == u.mag
            with np.errstate(divide="ignore", invalid="ignore"):
                difference = first - second if in_mag else np.log10(first / second)
            errors = light.uncertainty.value, pixels.uncertainty.to_value(unit)
            numbers = map(float, (first, errors[0], second, errors[1], difference))
            rows.append((name, str(unit), *numbers, "mag" if in_mag else "dex"))
        names = (
            "property", "unit", "light", "light_error", "pixels", "pixels_error", "difference",
            "difference_unit",
        )  # fmt: skip
        return Table(rows=rows, names=names)

    def _check_maps(self, maps: Any, given: bool) -> None:
        from picasssso.maps import PropertyMaps

        if not isinstance(maps, PropertyMaps):
            raise InvalidTypeError(
                f"compare: found {type(maps).__name__}, expected PropertyMaps of the images, as "
                "estimator.estimate(images) returns them."
            )
        if given and maps.shape != self._light.shape:
            raise InvalidInputError(
                f"compare: found maps of shape {maps.shape}, expected that of the images, "
                f"{self._light.shape}."
            )
        if (maps.luminosity_distance is None) != (self.maps.luminosity_distance is None):
            raise InvalidInputError(
                "compare: found a distance of either the maps or the SED, expected one of both. "
                "Estimate the maps from the same images."
            )

    # ---- shown ----------------------------------------------------------------------

    def plot(self, unit: u.Unit | str = "uJy") -> Figure:
        """Draw the SED, its fit, the residuals and what comes of it.

        Parameters
        ----------
        unit : `~astropy.units.Unit` or str, optional
            Of the fluxes: any flux density, per frequency or per wavelength.

        Returns
        -------
        `~matplotlib.figure.Figure`
            Fluxes with their errors (those of noise and models together as a thinner line), the
            68 % range of the models in each band, the spectrum of the best model, and below them
            the residuals in units of the error; ``figure.savefig("sed.png")`` writes it.

        Raises
        ------
        InvalidInputError
            If the unit is none of flux density.

        Examples
        --------
        >>> from picasssso import SEDFitEstimator
        >>> from picasssso.data import load_example
        >>> fit = SEDFitEstimator(n_models=2000, device="cpu")
        >>> figure = fit.fit_sed(load_example()[0], (64, 64)).plot()
        >>> figure.axes[1].get_xlabel()
        'observed wavelength (μm)'
        """
        from picasssso.estimators._sed_fit.sed_plot import plot_sed

        return plot_sed(self, unit)

    def _answers(self) -> list[tuple[str, str]]:
        """Return the label and the posterior of each property in words."""
        return [
            (self._definition(row["property"]).label, describe_range(row))
            for row in self.posterior
        ]

    def __str__(self) -> str:
        lines = [f"  {label:20} {text}" for label, text in self._answers()]
        head = [f"SED of {self._summary()}", f"  ({self._model_errors()})", f"{RANGE}:"]
        return "\n".join([*head, *lines])

    def __repr__(self) -> str:
        return f"<SEDFit of {self._summary()}>"

    def _repr_html_(self) -> str:
        head = f"SED of {self._summary()}; {self._model_errors()}"
        return html_table(head, ("property", RANGE), self._answers())

    def _summary(self) -> str:
        flags = f"; {', '.join(self.quality)}" if self.quality else ""
        masked = f", {100 * self.masked_fraction:.1f} % masked" if self.masked_fraction else ""
        size = f" ({self.n_pixels:.4g} pixels{masked})" if self.n_pixels != 1 else ""
        n_bands = int(np.isfinite(self._posterior.variance).sum())
        return f"{self.region}{size}: {n_bands} bands, chi2 = {self.chi2:.2f}{flags}"

    def _model_errors(self) -> str:
        """Return what the fit adds to the noise of each band, in words."""
        floor, errors = self._fitter.options.error_floor, 100 * self._band_errors
        text = f"error floor {100 * floor:g} % of the flux"
        if np.allclose(errors, 100 * floor):
            return text
        low, high = (f"{value:.2g}" for value in (errors.min(), errors.max()))
        ends = low if low == high else f"{low} to {high}"
        return f"{text}, with the models' own errors {ends} %"

    # ---- inside ---------------------------------------------------------------------

    @property
    def _names(self) -> tuple[str, ...]:
        return tuple(name for name in self.maps if name != "reduced_chi2")

    def _definition(self, name: str) -> Property:
        return self.maps.definition(name)

    @cached_property
    def _arrays(self) -> tuple[Any, Any]:
        """Flux and inverse variance of the region, nmgy, (n_band,)."""
        flux, precision = self._light.image.to_arrays()
        return flux[:, 0, 0].astype(np.float64), precision[:, 0, 0].astype(np.float64)

    @property
    def _noise_variance(self) -> Any:
        with np.errstate(divide="ignore"):
            return 1 / self._arrays[1]

    @property
    def _band_errors(self) -> Any:
        """Errors of the models in each band, as fractions of the flux, (n_band,)."""
        return np.asarray(self._fitter.options.band_errors)

    @cached_property
    def _posterior(self) -> ModelPosterior:
        flux = self._arrays[0]
        solid_angle = self._light.image.pixel_solid_angle.to_value(u.arcsec**2)
        return ModelPosterior(
            self._fitter.library.fluxes.astype(np.float64) * solid_angle,
            flux,
            self._noise_variance + (self._band_errors * np.maximum(flux, 0)) ** 2,
        )

    @property
    def _best_amplitude(self) -> float:
        """Surface density of the best model, Msun/kpc2 formed."""
        return max(float(self._posterior.amplitude[self._posterior.best]), 0.0)

    def _properties(self, which: Any, amplitude: Any) -> dict[str, u.Quantity]:
        """Return properties of models of given amplitudes, by name."""
        options, library = self._fitter.options, self._fitter.library
        values = options.values(library.properties)
        found = {}
        for kind, arrays in values.items():
            factor = amplitude if kind == "amplitude_scaled" else 1.0
            for name, array in arrays.items():
                quantity = factor * array[which].astype(np.float64) * self._definition(name).unit
                found[name] = self._value(name, quantity)
        return {name: found[name] for name in self._names}

    def _value(self, name: str, quantity: u.Quantity) -> u.Quantity:
        """Return a surface density as the total of the region, where there is a distance."""
        definition, image = self._definition(name), self._light.image
        if not definition.is_surface_density or image.angular_diameter_distance is None:
            return quantity
        return (quantity * image.pixel_area).to(definition.total_unit)

    def _total(self, name: str) -> Total:
        return _total(self.maps, name, None)


def _total(maps: PropertyMaps, name: str, weights: Any) -> Total:
    """Return a total, or without a distance the average of a surface density."""
    from picasssso.maps.regions import pixel_weights
    from picasssso.maps.totals import measure

    correlation = known_correlation(maps, name)
    with silence(PicassssoWarning):  # no average where no mass is: NaN
        if maps.definition(name).is_surface_density and maps.luminosity_distance is None:
            region = pixel_weights(weights, maps.shape, maps.wcs)
            return measure(maps, name, region, correlation or "joint")
        return make_total(maps, name, "frame" if weights is None else weights, correlation)
