"""Stellar mass from one color and one luminosity, by a published relation."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np
import numpy.typing as npt

from picasssso._core.arguments import check_choice, check_flag
from picasssso._core.random import pixel_normals, shared_normal
from picasssso.estimators._mass_to_light.adaptive_colors import (
    MAG,
    ColorFluxes,
    measure_colors,
    resum,
)
from picasssso.estimators._mass_to_light.k_corrections import check_redshift
from picasssso.estimators._mass_to_light.library_model import (
    LibraryMassModel,
    LibraryPlan,
    make_library_model,
    make_library_plan,
)
from picasssso.estimators._mass_to_light.mass_model import MassModel
from picasssso.estimators._mass_to_light.plan import BandPlan, make_plan
from picasssso.estimators._mass_to_light.products import product_percentiles
from picasssso.estimators._mass_to_light.relations import get_relation
from picasssso.estimators.base import PropertyMapEstimator
from picasssso.estimators.context import EstimationContext
from picasssso.estimators.tags import EstimatorTags
from picasssso.exceptions import InvalidInputError
from picasssso.maps.arrays import PropertyArrays
from picasssso.quality import QUALITY_DTYPE, QualityFlag

__all__ = ["MassToLightEstimator"]

FloatArray = npt.NDArray[np.floating]
BoolArray = npt.NDArray[np.bool_]

#: The relation that is not published but derived from stellar population models.
LIBRARY_RELATION = "sps"

LN10 = float(np.log(10))
#: Steps, in mag, of the derivatives with respect to a magnitude: its own error, but
#: neither so small that rounding counts nor so large that it leaves the galaxy colors.
_STEPS = (0.02, 0.3)
#: A luminosity of less than this many sigma counts as not detected.
_DETECTION = 2.0


class MassToLightEstimator(PropertyMapEstimator):
    """Stellar mass maps from a color-mass-to-light relation.

    The mass is the luminosity in one band times a mass-to-light ratio computed from a rest-frame
    color. The method is fast and transparent, and the relations scatter by about 0.1 dex. It
    returns only stellar mass, converted to a Chabrier IMF (0.1-100 Msun), with living stars and
    remnants.

    Magnitudes of other surveys are converted to SDSS AB magnitudes with published color terms,
    and k-corrected with published polynomials up to redshift 0.5; higher redshifts raise an
    error.

    Parameters
    ----------
    relation : str, optional
        ``"taylor2011"`` (default), ``"bell2003"``, ``"zibetti2009"``,
        ``"into_portinari2013"``, ``"roediger_courteau2015_bc03"`` or
        ``"roediger_courteau2015_fsps"``. Or ``"sps"``: the median relation of the models
        of `picasssso.sps.ModelLibrary` in the observed bands at the redshift of the galaxy,
        which needs neither color terms nor k-corrections and works for any filters.
    color : tuple of str, optional
        Two SDSS band letters, the bluer first: a color that the relation has. With
        ``"sps"`` any two bands, as letters or full names (``"twomass-J"``).
    luminosity_band : str, optional
        SDSS band letter that the relation has for this color; with ``"sps"`` any band.
    color_mode : {"adaptive", "pixel"}, optional
        ``"adaptive"``: where the color of a pixel has an error above ``max_color_error``, the
        color (not the luminosity) of a square around it is used, which grows until its error is
        small enough. ``"pixel"``: the color of each pixel, however noisy; masses of faint pixels
        are then biased.
    max_color_error : float, optional
        Required error of the color, mag.
    max_radius : int, optional
        Half-width of the largest square, in pixels. Pixels that never reach the error, or
        without signal in a third band that is needed, are flagged LOW_SIGNAL; their color is
        combined with a prior of typical galaxies.
    model_uncertainty : bool, optional
        Whether errors of totals and profiles include the 0.1 dex by which codes disagree for the
        same photometry (Pacifici et al. 2023).

    Raises
    ------
    InvalidInputError
        If a parameter is invalid; the message lists the options.
    InvalidTypeError
        If ``model_uncertainty`` is neither True nor False.

    Notes
    -----
    The error of a pixel is that of its flux (normal, so that masses of empty sky scatter
    about zero and can be negative) times that of the mass-to-light ratio (log-normal):
    photometric error of the color, scatter of the relation, of the color terms and of
    the k-corrections. These scatters are treated as shared by all pixels. The uncertainty of
    stellar models behind all relations is the systematic ``"models"`` of the maps, which is
    included in totals and profiles but not in percentiles.

    The mean is corrected for the bias of the mass-to-light ratio due to noise, so that its sum
    over pixels is unbiased. Quality flags: LOW_SIGNAL (above), UPPER_LIMIT
    (luminosity below 2 sigma), PRIOR_EDGE (rest-frame color outside the range of stellar
    populations, and clipped), NO_DATA (no luminosity or no color).

    References
    ----------
    Bell et al. 2003 (2003ApJS..149..289B); Zibetti, Charlot & Rix 2009
    (2009MNRAS.400.1181Z); Taylor et al. 2011 (2011MNRAS.418.1587T); Into & Portinari 2013
    (2013MNRAS.430.2715I); Roediger & Courteau 2015 (2015MNRAS.452.3209R); Chilingarian,
    Melchior & Zolotukhin 2010 (2010MNRAS.405.1409C); Chilingarian & Zolotukhin 2012
    (2012MNRAS.419.1727C).

    Examples
    --------
    >>> from picasssso.estimators.mass_to_light import MassToLightEstimator
    >>> MassToLightEstimator(relation="zibetti2009", color=("g", "r"), luminosity_band="r")
    MassToLightEstimator(relation='zibetti2009', color=('g', 'r'), luminosity_band='r')
    """

    tags = EstimatorTags(
        properties=("stellar_mass",), supports_samples=True, models_stars_only=True
    )

    def __init__(
        self,
        *,
        relation: str = "taylor2011",
        color: tuple[str, str] = ("g", "i"),
        luminosity_band: str = "i",
        color_mode: str = "adaptive",
        max_color_error: float = 0.1,
        max_radius: int = 16,
        model_uncertainty: bool = True,
    ) -> None:
        self.relation = relation
        self.color = color
        self.luminosity_band = luminosity_band
        self.color_mode = color_mode
        self.max_color_error = max_color_error
        self.max_radius = max_radius
        self.model_uncertainty = model_uncertainty
        self._validate()

    # ---- parameters -----------------------------------------------------------------

    def _validate(self) -> None:
        if self.relation == LIBRARY_RELATION:
            self._validate_bands()
        else:
            self._validate_published()
        check_choice("color_mode", self.color_mode, ("adaptive", "pixel"))
        error: Any = self.max_color_error
        if isinstance(error, bool) or not isinstance(error, Real) or not 0 < float(error) < np.inf:
            raise InvalidInputError(
                f"max_color_error={error!r}: expected a positive number, in magnitudes."
            )
        radius: Any = self.max_radius
        if isinstance(radius, bool) or not isinstance(radius, Integral) or int(radius) < 1:
            raise InvalidInputError(
                f"max_radius={radius!r}: expected a whole number of pixels of at least 1; "
                "color_mode='pixel' takes each pixel for itself."
            )
        check_flag("model_uncertainty", self.model_uncertainty)

    def _validate_published(self) -> None:
        relation = get_relation(self.relation)
        known = ", ".join(f"({x!r}, {y!r})" for x, y in relation.colors)
        color: Any = self.color
        if not isinstance(color, tuple | list) or tuple(color) not in relation.colors:
            raise InvalidInputError(
                f"color={self.color!r}: expected a color that {self.relation} has, one of "
                f"{known}; any two bands have one with relation='sps'."
            )
        bands = relation.luminosity_bands(self._color)
        if self.luminosity_band not in bands:
            raise InvalidInputError(
                f"luminosity_band={self.luminosity_band!r}: expected a band that "
                f"{self.relation} has for the color {'-'.join(self.color)}, one of "
                f"{', '.join(map(repr, bands))}."
            )

    def _validate_bands(self) -> None:
        color: Any = self.color
        names = tuple(color) if isinstance(color, tuple | list) else ()
        if len(names) != 2 or names[0] == names[1]:
            raise InvalidInputError(
                f"color={color!r}: expected two different bands, the bluer first, as letters or "
                "full names: color=('g', 'i')."
            )
        for name in (*names, self.luminosity_band):
            if not isinstance(name, str) or not name:
                raise InvalidInputError(
                    f"{name!r} in color= or luminosity_band=: expected the letter or the full "
                    "name of a band."
                )

    @property
    def _color(self) -> tuple[str, str]:
        return (self.color[0], self.color[1])

    @property
    def receptive_field(self) -> int:
        """Half-width of the largest square from which a color is measured."""
        return int(self.max_radius) if self.color_mode == "adaptive" else 0

    # ---- the contract ---------------------------------------------------------------

    def _plan(self, available: tuple[str, ...]) -> BandPlan | LibraryPlan:
        make = make_library_plan if self.relation == LIBRARY_RELATION else make_plan
        return make(available, self._color, self.luminosity_band)

    def _select_bands(self, available: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(self._plan(available).bands.values())

    def _model(self, context: EstimationContext) -> MassModel | LibraryMassModel:
        plan = self._plan(context.bands)
        if isinstance(plan, LibraryPlan):
            return make_library_model(plan, context.redshift)
        check_redshift(context.redshift)
        return MassModel(get_relation(self.relation), plan, context.redshift)

    def shared_error(self, context: EstimationContext) -> Mapping[str, float]:
        """Return the error that all pixels share, dex."""
        return {"stellar_mass": self._model(context).shared_error()}

    @property
    def model_properties(self) -> tuple[str, ...]:
        """Properties whose maps include the disagreement between codes (tuple of str)."""
        return self.properties if self.model_uncertainty else ()

    def bytes_per_pixel(self, n_bands: int, n_samples: int) -> float:
        """Return the working memory needed per pixel of a block, in bytes."""
        # Double precision planes at the peak, counted for three bands: about 90.
        return 8.0 * (24 * n_bands + 24) + 4.0 * n_samples

    def describe(self, context: EstimationContext) -> Mapping[str, Any]:
        """Return additional metadata of the maps."""
        return {
            **self._model(context).describe(),
            # Neighboring pixels of a bin repeat one measurement: nothing is gained by them.
            "color_mode_used": "pixel" if context.binned else self.color_mode,
        }

    def _estimate(
        self, flux: FloatArray, inverse_variance: FloatArray, context: EstimationContext
    ) -> dict[str, PropertyArrays]:
        block = _Block(self, self._model(context), flux, inverse_variance, context)
        return {"stellar_mass": block.estimate()}


class _Block:
    """One block at work: what `MassToLightEstimator._estimate` needs more than once.

    In the code, x is the natural logarithm of mass / luminosity flux, and s its error.
    """

    def __init__(
        self,
        estimator: MassToLightEstimator,
        model: MassModel | LibraryMassModel,
        flux: FloatArray,
        inverse_variance: FloatArray,
        context: EstimationContext,
    ) -> None:
        self.model, self.context = model, context
        letters = model.plan.letters
        self.index = {letter: k for k, letter in enumerate(letters)}
        self.flux = flux.astype(np.float64)
        usable = inverse_variance > 0
        self.variance = np.where(usable, 1 / np.where(usable, inverse_variance, 1), 0.0)
        self.valid: BoolArray = np.logical_and.reduce(usable, axis=0)
        luminosity = self.index[model.plan.luminosity]
        self.has_luminosity = usable[luminosity]
        self.luminosity, self.luminosity_variance = (
            self.flux[luminosity],
            self.variance[luminosity],
        )
        blue, red = model.plan.color
        adaptive = estimator.color_mode == "adaptive" and not context.binned
        self.colors = measure_colors(
            self.flux,
            self.variance,
            self.valid,
            (self.index[blue], self.index[red]),
            float(estimator.max_color_error),
            int(estimator.max_radius) if adaptive else 0,
        )
        self.scale = model.surface_density_factor(context.pixel_solid_angle_arcsec2)
        prior, prior_error = model.prior()
        self.prior, self.prior_width = LN10 * prior, LN10 * prior_error
        self.shared_width = LN10 * model.shared_error()
        self._measure_mass_to_light()

    # ---- mass-to-light ratios -------------------------------------------------------

    def _positive(self, flux: FloatArray) -> tuple[FloatArray, BoolArray]:
        """Fluxes with a logarithm, and where there is a color at all.

        A third band enters through color terms and k-corrections only, whose colors are
        held within limits. It is kept from falling below a tenth of its noise, so that the
        sign of noise does not choose between two mass-to-light ratios.
        """
        pair = [self.index[letter] for letter in self.model.plan.color]
        positive: BoolArray = np.logical_and.reduce(flux[pair] > 0, axis=0)
        raised = np.maximum(flux, 0.1 * np.sqrt(self.colors.variance))
        raised[pair] = flux[pair]
        return np.where(positive & (raised > 0), raised, 1.0), positive

    def _magnitudes(self, positive_flux: FloatArray) -> dict[str, FloatArray]:
        """Magnitudes by band letter."""
        return {letter: -MAG * np.log(positive_flux[k]) for letter, k in self.index.items()}

    def _measure_mass_to_light(self) -> None:
        colors = self.colors
        flux, positive = self._positive(colors.flux)
        magnitudes = self._magnitudes(flux)
        relative = colors.variance / flux**2
        errors = {letter: MAG * np.sqrt(relative[k]) for letter, k in self.index.items()}
        if colors.reached.any():
            # The mean of the logarithm of a noisy flux is low by half its relative variance.
            for letter, k in self.index.items():
                shift = np.where(colors.reached, MAG * np.minimum(relative[k], 0.04) / 2, 0.0)
                magnitudes[letter] = magnitudes[letter] - shift
        log_factor, self.outside = self.model.log_factor(magnitudes)
        slopes = self._slopes(magnitudes, errors)
        widths2 = {x: (LN10 * slopes[x] * errors[x]) ** 2 for x in self.index}
        width2 = sum(widths2.values())
        # Where the color is less certain than asked for, it is weighed against what
        # galaxies have: empty sky would otherwise get the most extreme of all ratios. The
        # error cannot be larger than the spread of galaxies; the weight takes three times
        # that spread, since whatever is drawn towards the mean is biased.
        prior2 = self.prior_width**2
        # A third band may be noise where the color itself is certain.
        self.certain: BoolArray = colors.reached & positive
        for letter in set(self.index) - set(self.model.plan.color):
            self.certain &= (errors[letter] < MAG) & (widths2[letter] <= prior2)
        weight = np.where(self.certain, 1.0, 9 * prior2 / (9 * prior2 + width2))
        self.weight = np.where(positive, weight, 0.0)
        self.outside &= positive
        bounded2 = np.where(positive, width2 * prior2 / (width2 + prior2), prior2)
        self.width2 = np.where(self.certain, width2, bounded2)
        self.data_width2 = self.weight**2 * np.where(positive, width2, 0.0)
        self.x = self._weigh(log_factor)
        # Where a pixel's own flux is part of its color, the two errors are correlated.
        band = self.model.plan.luminosity
        # (A color of the noise itself is beyond correction: color_mode='pixel' only.)
        own = colors.includes_own & self.certain
        change = -LN10 * MAG * slopes[band] * self.weight / flux[self.index[band]]
        self.covariance = np.where(own, change * self.luminosity_variance, 0.0)

    def _weigh(self, log_factor: FloatArray) -> FloatArray:
        return self.weight * LN10 * log_factor + (1 - self.weight) * self.prior

    def _slopes(
        self, magnitudes: dict[str, FloatArray], errors: dict[str, FloatArray]
    ) -> dict[str, FloatArray]:
        """Return d log10(mass / flux) / d magnitude for each band, dex / mag."""
        slopes: dict[str, FloatArray] = {}
        for letter in self.index:
            step = np.clip(errors[letter], *_STEPS)
            ends = [
                self.model.log_factor({**magnitudes, letter: magnitudes[letter] + sign * step})[0]
                for sign in (-1, 1)
            ]
            slopes[letter] = (ends[1] - ends[0]) / (2 * step)
        return slopes

    # ---- masses ---------------------------------------------------------------------

    def estimate(self) -> PropertyArrays:
        """Return the mass surface density of every pixel."""
        estimated = self.has_luminosity & ~self.colors.empty
        signal2 = self.luminosity**2 + self.luminosity_variance
        correlation = 2 * self.covariance * self.luminosity / np.where(estimated, signal2, 1.0)
        width2 = np.maximum(self.width2 + correlation, 0.0) + self.shared_width**2
        sigma = np.sqrt(np.where(estimated, self.luminosity_variance, 1.0))
        percentiles = product_percentiles(self.luminosity / sigma, np.sqrt(width2))
        percentiles *= self.scale * np.exp(self.x) * sigma
        # For jointly normal f and x, E[f exp(x)] = exp(x + s^2 / 2) (f + cov): undone here.
        mean = self.scale * np.exp(self.x - self.data_width2 / 2)
        mean = mean * (self.luminosity - self.covariance)
        return PropertyArrays(
            np.where(estimated, percentiles, np.nan).astype(np.float32),
            mean=np.where(estimated, mean, np.nan).astype(np.float32),
            samples=self._samples(estimated) if self.context.n_samples else None,
            quality=self._quality(estimated, sigma),
        )

    def _quality(self, estimated: BoolArray, sigma: FloatArray) -> npt.NDArray[np.integer]:
        flags = {
            QualityFlag.NO_DATA: ~estimated,
            QualityFlag.PRIOR_EDGE: estimated & self.outside,
            QualityFlag.UPPER_LIMIT: estimated & (self.luminosity < _DETECTION * sigma),
            QualityFlag.LOW_SIGNAL: estimated & ~self.certain,
        }
        quality = np.zeros(estimated.shape, QUALITY_DTYPE)
        for flag, where in flags.items():
            quality[where] |= int(flag)
        return quality

    def _samples(self, estimated: BoolArray) -> FloatArray:
        """Draw joint samples: the images with fresh noise, their neighborhoods as chosen."""
        context, colors = self.context, self.colors
        shape, origin, seed = estimated.shape, context.origin, context.seed
        samples = np.empty((context.n_samples, *shape), np.float32)
        # What the posterior is broader than the data alone: the prior on the color.
        extra = np.sqrt(np.maximum(self.width2 - self.data_width2, 0.0))
        unbias = np.exp(-(extra**2 + 2 * self.data_width2) / 2)
        for draw in range(context.n_samples):
            noise = np.empty_like(self.flux)
            for k in range(len(self.flux)):
                normals = pixel_normals(shape, origin, seed=seed, draw=draw, band=k)
                noise[k] = normals * np.sqrt(self.variance[k])
            flux = self.flux + noise
            x = self._drawn_x(flux, colors)
            normals = pixel_normals(shape, origin, seed=seed, draw=draw, band=len(self.flux))
            shared = self.shared_width * shared_normal(seed=seed, draw=draw)
            luminosity = flux[self.index[self.model.plan.luminosity]]
            mass = np.exp(x + extra * normals + shared) * unbias
            mass = self.scale * mass * (luminosity - 2 * self.covariance)
            samples[draw] = np.where(estimated, mass, np.nan)
        return samples

    def _drawn_x(self, flux: FloatArray, colors: ColorFluxes) -> FloatArray:
        summed, positive = self._positive(resum(flux, self.valid, colors))
        log_factor, _ = self.model.log_factor(self._magnitudes(summed))
        # A draw that leaves no color has its pixel's own.
        return np.where(positive, self._weigh(log_factor), self.x)
