"""The posterior of stellar populations for every pixel."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
import numpy.typing as npt

from picasssso._core.arguments import check_choice, check_flag, check_integer
from picasssso._core.devices import check_device, resolve_device
from picasssso._core.threads import run_calmly
from picasssso.estimators._model_uncertainty import MODEL_UNCERTAINTY
from picasssso.estimators._sed_fit.sed import SEDFit
from picasssso.estimators._shared_errors import FluxShift
from picasssso.estimators.base import PropertyMapEstimator
from picasssso.estimators.context import EstimationContext
from picasssso.estimators.tags import EstimatorTags
from picasssso.exceptions import InvalidInputError, InvalidTypeError, MissingBandError
from picasssso.maps.arrays import PropertyArrays
from picasssso.properties import Property
from picasssso.quality import QUALITY_DTYPE, QualityFlag
from picasssso.sps import AttenuationLaw, SEDPrior, SSPGrid, TemplateError
from picasssso.sps.dust import get_law
from picasssso.sps.populations import check_models

if TYPE_CHECKING:
    from astropy.nddata import CCDData

    from picasssso.bands import BandImages
    from picasssso.estimators._grid_posterior import PosteriorSummary
    from picasssso.estimators._sed_fit.fitters import Fitter
    from picasssso.estimators._sed_fit.shared_error import SharedError

__all__ = ["SEDFit", "SEDFitEstimator"]

FloatArray = npt.NDArray[np.floating]
BoolArray = npt.NDArray[np.bool_]

MASS_DEFINITIONS = {
    "surviving": "living stars and remnants, Chabrier 0.1-100 Msun",
    "formed": "all stars ever formed, Chabrier 0.1-100 Msun",
}

#: A chi2 that noise exceeds less often than this is a bad fit.
_BAD_FIT_PROBABILITY = 1e-4
#: More of the posterior than this at the prior's edge is flagged.
_EDGE_PROBABILITY = 0.5
#: Percentiles of fewer effective models than this are rough: their median is uncertain by
#: more than a quarter of the posterior's width.
_FEWEST_MODELS = 24.0
#: An amplitude of less than this many sigma counts as not detected.
_DETECTION = 2.0
#: Uses of random numbers (`uniform_numbers`) below this are the posterior's own.
_SHARED_USE = 8

_REDUCED_CHI2 = Property(
    "reduced_chi2",
    u.dimensionless_unscaled,
    "intensive",
    None,
    "reduced chi2",
    "chi2 of the best model over the number of valid bands less one; all percentiles are alike",
    "viridis",
)


class SEDFitEstimator(PropertyMapEstimator):
    """Stellar mass, metallicity, age, star formation rate and dust from a fit to each pixel.

    The fluxes of each pixel are compared with those of many thousand model populations drawn
    from a prior. The result is the exact posterior for these models, with their amplitudes
    integrated analytically. It works for two or more bands of any surveys, at any redshift.

    Parameters
    ----------
    n_models : int, optional
        Number of models. More are needed for high signal-to-noise ratios and a small
        ``error_floor``; the quality flag FEW_MODELS marks pixels where they are too few.
    seed : int, optional
        Seed of the models.
    prior : `~picasssso.sps.SEDPrior`, optional
        Prior of the populations; by default ``SEDPrior()``, which describes nearby galaxies.
        ``SEDPrior.flat()`` is uninformative. The choice can change masses by 0.1-0.2 dex and
        attenuation by 0.5 mag (:ref:`priors`).
    grid : `~picasssso.sps.SSPGrid`, optional
        Simple stellar populations; ``SSPGrid.default()`` if not given.
    attenuation_law : str or `~picasssso.sps.AttenuationLaw`, optional
        ``"calzetti"``, ``"two_component"``, or a law.
    nebular : bool, optional
        Whether ionized gas adds its continuum and lines.
    error_floor : float, optional
        Error of the models, as a fraction of the flux in each band, added in quadrature.
        Model spectra disagree by 5-10 % in colors.
    template_error : bool or `~picasssso.sps.TemplateError`, optional
        Error of the stellar grid as a function of rest-frame wavelength, also added in
        quadrature. True uses that packaged for the grid; False none.
    model_uncertainty : bool, optional
        Whether errors of totals and profiles include the disagreement between codes for the same
        photometry (Pacifici et al. 2023): 0.1 dex in mass, 0.3 dex in star formation rate,
        0.3 mag in attenuation, 0.15 dex in age, 0.2 dex in metallicity.
    mass_definition : {"surviving", "formed"}, optional
        Whether stellar mass is that of living stars and remnants, or all mass ever formed.
        It also weights age and metallicity.
    device : str, optional
        ``"cpu"``, ``"cuda"``, ``"cuda:1"`` ...; by default CUDA if there is one.

    Raises
    ------
    InvalidInputError
        If a parameter cannot be used; the message says what is expected.

    Notes
    -----
    **Units.** A fit needs no distance. Fluxes per solid angle of pixel are compared with
    the surface brightness of 1 Msun/kpc2 of each model at the images' redshift, which is
    dimmed by (1 + z)^3 in flux per frequency (``picasssso.sps.photometry``).

    **Prior.** Models have the same weight at the same brightness, and for a given model the
    prior is flat in linear mass. Percentiles are for positive masses. The mean is not truncated
    at zero: it may be negative where noise dominates, so that its sum over pixels, the total of
    a galaxy, is unbiased.

    **Shared error.** Even without noise, a posterior has a width due to the error floor and to
    degeneracies. It does not average out over pixels, since it comes from the same models
    everywhere. It is therefore treated as shared by all pixels, also in joint samples.

    **Model uncertainty.** Percentiles and samples are those of the posterior for these models
    and this prior. The disagreement with other models is the systematic ``"models"`` of the
    maps: common to all pixels, like zero-point errors, and included in the error of every total
    and profile unless ``model_uncertainty=False``.

    **Quality.** MISSING_BAND; BAD_FIT where the probability of a larger chi2 from noise alone is
    less than 1e-4 (chi2 includes the error floor); PRIOR_EDGE where more than half of the
    posterior
    lies in the outermost 5 % of metallicity (either end), attenuation (upper end) or
    oldest age (lower end); UPPER_LIMIT where the amplitude is below 2 sigma; FEW_MODELS
    where fewer than 24 effective models make up the posterior; NO_DATA with fewer than two
    valid bands. The map ``reduced_chi2`` gives the quality of the best fit.

    The age of the universe that limits the age of stars is that of the Planck18 cosmology.

    Examples
    --------
    >>> from picasssso import SEDFitEstimator
    >>> from picasssso.testing import make_galaxy
    >>> images = make_galaxy((4, 5), bands=("sdss2010-g", "sdss2010-r", "sdss2010-i"))
    >>> maps = SEDFitEstimator(n_models=2000, device="cpu").estimate(images)
    >>> maps["stellar_age"].unit
    Unit("Gyr")
    """

    tags = EstimatorTags(
        properties=(
            "stellar_mass",
            "stellar_metallicity",
            "stellar_age",
            "sfr",
            "attenuation_v",
            "reduced_chi2",
        ),
        definitions={"reduced_chi2": _REDUCED_CHI2},
        minimum_bands=2,
        supports_samples=True,
        models_stars_only=True,
    )

    def __init__(
        self,
        *,
        n_models: int = 50_000,
        seed: int = 0,
        prior: SEDPrior | None = None,
        grid: SSPGrid | None = None,
        attenuation_law: str | AttenuationLaw = "calzetti",
        nebular: bool = True,
        error_floor: float = 0.03,
        template_error: bool | TemplateError = True,
        model_uncertainty: bool = True,
        mass_definition: str = "surviving",
        device: str | None = None,
    ) -> None:
        self.n_models = n_models
        self.seed = seed
        self.prior = prior
        self.grid = grid
        self.attenuation_law = attenuation_law
        self.nebular = nebular
        self.error_floor = error_floor
        self.template_error = template_error
        self.model_uncertainty = model_uncertainty
        self.mass_definition = mass_definition
        self.device = device
        self._validate()

    # ---- parameters -----------------------------------------------------------------

    def _validate(self) -> None:
        check_models(self.n_models)
        check_integer("seed", self.seed)
        for name, kind in (("prior", SEDPrior), ("grid", SSPGrid)):
            value: Any = getattr(self, name)
            if value is not None and not isinstance(value, kind):
                raise InvalidTypeError(
                    f"{name}={value!r}: expected a picasssso.sps.{kind.__name__}, or None for the "
                    "default one."
                )
        get_law(self.attenuation_law)
        for name in ("nebular", "model_uncertainty"):
            check_flag(name, getattr(self, name))
        floor: Any = self.error_floor
        if isinstance(floor, bool) or not isinstance(floor, Real) or not 0 <= float(floor) < 1:
            raise InvalidInputError(
                f"error_floor={floor!r}: expected a fraction of the flux, 0 <= error_floor < 1."
            )
        if not isinstance(self.template_error, bool | np.bool_ | TemplateError):
            raise InvalidTypeError(
                f"template_error={self.template_error!r}: expected True, False, or a "
                "picasssso.sps.TemplateError."
            )
        check_choice("mass_definition", self.mass_definition, MASS_DEFINITIONS)
        check_device(self.device)

    def _fitter(self, context: EstimationContext) -> Fitter:
        from picasssso.estimators._sed_fit.fitters import FitterOptions, get_fitter

        grid = SSPGrid.default() if self.grid is None else self.grid
        curve = self.template_error
        if curve and not isinstance(curve, TemplateError):
            curve = TemplateError.for_grid(grid.name)
        return get_fitter(
            FitterOptions(
                bands=context.bands,
                redshift=float(context.redshift),
                n_models=int(self.n_models),
                seed=int(self.seed),
                prior=SEDPrior() if self.prior is None else self.prior,
                grid=grid,
                attenuation_law=get_law(self.attenuation_law),
                nebular=bool(self.nebular),
                error_floor=float(self.error_floor),
                template_error=curve or None,
                mass_definition=self.mass_definition,
                device=resolve_device(self.device),
            )
        )

    # ---- one SED --------------------------------------------------------------------

    def fit_sed(
        self,
        images: BandImages | Mapping[str, CCDData],
        region: Any = None,
        *,
        redshift: float | None = None,
    ) -> SEDFit:
        """Fit the summed light of a region, or that of a pixel.

        All bands are summed over the same pixels: those that have data in all of them. A band
        with data in less than half of the region is left out, with a warning.

        Parameters
        ----------
        images : BandImages or mapping of str to `~astropy.nddata.CCDData`
            The images.
        region : tuple, `~astropy.coordinates.SkyCoord`, aperture, array or int, optional
            A pixel as ``(x, y)`` or by its position on the sky; an aperture of photutils, in
            pixels or on the sky; a boolean array of shape (y, x), True inside; the number of a
            label; or ``"frame"``, the whole image. By default the target's label, or without
            labels the whole image.
        redshift : float, optional
            Redshift of the galaxy; needed with a mapping, refused with `BandImages`.

        Returns
        -------
        SEDFit
            Fluxes, posterior, samples, plot, and the comparison with the sum of the pixels.

        Raises
        ------
        InvalidInputError, InvalidTypeError
            If the region is none, lies off the image or has no pixel that at least two bands
            measure, and for all that `estimate` refuses.

        Warns
        -----
        PicassssoWarning
            If a band is left out.

        Notes
        -----
        The errors of sums hold the correlation of the noise (``images.noise_scaling``); the sky's
        error adds up over all pixels. The posterior is that which `estimate` gives for a pixel
        of these fluxes.

        Examples
        --------
        >>> import astropy.units as u
        >>> from photutils.aperture import SkyCircularAperture
        >>> from picasssso import SEDFitEstimator
        >>> from picasssso.data import load_example
        >>> images, truth = load_example()
        >>> center = images.wcs.pixel_to_world(64, 64)
        >>> estimator = SEDFitEstimator(n_models=2000, device="cpu")
        >>> sed = estimator.fit_sed(images, SkyCircularAperture(center, 3 * u.arcsec))
        >>> print(f"{sed.n_pixels:.0f} pixels in {len(sed.bands)} bands")
        180 pixels in 5 bands
        """
        return SEDFit(self, self._as_band_images(images, redshift), region)

    # ---- the contract ---------------------------------------------------------------

    def _select_bands(self, available: tuple[str, ...]) -> tuple[str, ...]:
        if len(available) < self.tags.minimum_bands:
            raise MissingBandError(
                f"SEDFitEstimator needs at least {self.tags.minimum_bands} bands; the images have "
                f"{', '.join(available) or 'none'}."
            )
        return tuple(available)

    def shared_error(self, context: EstimationContext) -> Mapping[str, float]:
        """Return the error that all pixels share, dex."""
        return self._fitter(context).shared_error.dex

    @property
    def model_properties(self) -> tuple[str, ...]:
        """Properties whose maps include the disagreement between codes (tuple of str)."""
        return tuple(MODEL_UNCERTAINTY) if self.model_uncertainty else ()

    def bytes_per_pixel(self, n_bands: int, n_samples: int) -> float:
        """Return the working memory needed per pixel of a block, in bytes."""
        # Fluxes in both precisions, all planes twice, samples with what orders them, and the
        # planes of two shared errors in each band.
        n_properties = len(self.properties)
        planes = 48.0 + 32.0 * n_samples + 8.0 * n_bands
        return 24.0 * n_bands + planes * n_properties

    def describe(self, context: EstimationContext) -> Mapping[str, Any]:
        """Return additional metadata of the maps."""
        return {
            "library": dict(self._fitter(context).record),
            "prior": dict(self._fitter(context).prior),
            "mass_definition": MASS_DEFINITIONS[self.mass_definition],
            "sfr_averaging_time_yr": 1e8,
        }

    def _estimate(
        self, flux: FloatArray, inverse_variance: FloatArray, context: EstimationContext
    ) -> dict[str, PropertyArrays]:
        return run_calmly(self._fit, flux, inverse_variance, context, ())[0]

    def _estimate_shifted(
        self,
        flux: FloatArray,
        inverse_variance: FloatArray,
        context: EstimationContext,
        shifts: Sequence[FluxShift],
    ) -> tuple[dict[str, PropertyArrays], dict[str, dict[str, FloatArray]] | None]:
        if type(self)._estimate is not SEDFitEstimator._estimate:
            return super()._estimate_shifted(flux, inverse_variance, context, shifts)
        return run_calmly(self._fit, flux, inverse_variance, context, shifts)

    def _fit(
        self,
        flux: FloatArray,
        inverse_variance: FloatArray,
        context: EstimationContext,
        shifts: Sequence[FluxShift],
    ) -> tuple[dict[str, PropertyArrays], dict[str, dict[str, FloatArray]]]:
        shape = flux.shape[1:]
        valid = (inverse_variance > 0).sum(axis=0) >= self.tags.minimum_bands
        fluxes, weights = flux[:, valid].T, inverse_variance[:, valid].T
        number, origin = np.indices(shape, np.int64), context.origin
        index = ((number[0] + origin[0]) << 32 | (number[1] + origin[1]))[valid]
        inverse: Any = slice(None)
        if context.binned:
            # All pixels of a bin repeat one measurement: it is fitted, and drawn, once.
            table = np.ascontiguousarray(np.concatenate([fluxes, weights], axis=1))
            table, inverse = np.unique(table, axis=0, return_inverse=True)
            inverse = inverse.reshape(-1)
            fluxes, weights = np.split(table, 2, axis=1)
            index = np.array([_number_of(row) for row in table], np.int64)
        fitter = self._fitter(context)
        summary = fitter.posterior.evaluate(
            fluxes,
            weights,
            n_samples=context.n_samples,
            seed=context.seed,
            pixel_index=index,
            shifts=shifts,
        )
        samples = _ordered_samples(summary, fitter.shared_error, index, context.seed)

        def planes(values: FloatArray, scale: float = 1.0) -> FloatArray:
            filled = np.full((*values.shape[:-1], *shape), np.nan, np.float32)
            filled[..., valid] = (values * np.float32(scale))[..., inverse]
            return filled

        result = {}
        moved: dict[str, dict[str, FloatArray]] = {shift.name: {} for shift in shifts}
        for name, percentiles in summary.percentiles.items():
            # Flux per pixel was fitted with flux per arcsec2.
            density = name in ("stellar_mass", "sfr")
            scale = 1 / context.pixel_solid_angle_arcsec2 if density else 1.0
            result[name] = PropertyArrays(
                planes(percentiles.numpy(), scale),
                mean=planes(summary.mean[name].numpy(), scale),
                samples=planes(samples[name], scale) if context.n_samples else None,
            )
            if summary.moves is not None:
                for shift, move in zip(shifts, summary.moves[name].numpy(), strict=True):
                    moved[shift.name][name] = planes(move, scale)
        chi2 = planes(summary.reduced_chi2.numpy())
        quality = np.zeros(shape, QUALITY_DTYPE)
        quality[valid] = _quality(summary)[inverse]
        result["reduced_chi2"] = PropertyArrays(
            np.broadcast_to(chi2, (5, *shape)), mean=chi2, quality=quality
        )
        return result, moved


def _number_of(row: FloatArray) -> int:
    """Return a number that belongs to the content of a row, whatever the block."""
    digest = hashlib.blake2b(row.tobytes(), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


def _quality(summary: PosteriorSummary) -> npt.NDArray[np.int32]:
    """Return the bits that the fit itself sets."""
    from scipy.special import chdtri

    freedom = np.maximum(summary.n_bands.numpy() - 1, 1)
    worst = chdtri(np.arange(freedom.max(initial=1) + 1), _BAD_FIT_PROBABILITY)[freedom]
    flags: dict[Any, BoolArray] = {
        QualityFlag.BAD_FIT: summary.chi2.numpy() > worst,
        QualityFlag.PRIOR_EDGE: summary.edge_probability.numpy() > _EDGE_PROBABILITY,
        QualityFlag.UPPER_LIMIT: summary.signal_to_noise.numpy() < _DETECTION,
        QualityFlag.FEW_MODELS: summary.n_effective.numpy() < _FEWEST_MODELS,
    }
    quality = np.zeros(freedom.shape, QUALITY_DTYPE)
    for flag, where in flags.items():
        quality[where] |= int(flag)
    return quality


def _ordered_samples(
    summary: PosteriorSummary, shared: SharedError, index: npt.NDArray[np.int64], seed: int
) -> dict[str, FloatArray]:
    """Return joint samples, (n_samples, n_pixel), in an order that shares the shared error."""
    if summary.samples is None:
        return {}
    import torch
    from scipy.special import ndtri

    from picasssso._core.random import uniform_numbers
    from picasssso.estimators._sed_fit.shared_error import order_draws
    from picasssso.maps.propagation import mean_square_error, relative_variance

    names = list(shared.dex)
    draws = np.stack([summary.samples[name].numpy() for name in names])
    shared_part = np.zeros((len(names), draws.shape[2]))
    for k, name in enumerate(names):
        mean = summary.mean[name].numpy().astype(np.float64)
        variance = mean_square_error(summary.percentiles[name].numpy(), mean)
        common = relative_variance(shared.dex[name]) * mean**2
        np.divide(common, variance, out=shared_part[k], where=variance > 0)
    numbers = torch.from_numpy(index)
    noise = np.stack(
        [
            ndtri(uniform_numbers(seed, numbers, draws.shape[1], _SHARED_USE + k).numpy().T)
            for k in range(len(names))
        ]
    )
    order = order_draws(draws, np.clip(shared_part, 0, 1), shared.correlation, noise, seed=seed)
    return {
        name: np.take_along_axis(draw, order, axis=0)
        for name, draw in zip(names, draws, strict=True)
    }
