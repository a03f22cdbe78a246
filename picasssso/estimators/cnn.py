"""Maps of all properties from a network that sees colors and morphology together."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from picasssso._core.arguments import check_choice, check_flag, check_integer
from picasssso._core.devices import check_device, has_bfloat16, resolve_device
from picasssso._core.threads import run_calmly
from picasssso.estimators._cnn.weight_files import (
    check_weights,
    list_packaged,
    read_card,
    weights_path,
)
from picasssso.estimators.base import PropertyMapEstimator
from picasssso.estimators.context import EstimationContext
from picasssso.estimators.tags import EstimatorTags
from picasssso.exceptions import InvalidInputError, OutsideTrainingWarning
from picasssso.maps.arrays import PropertyArrays

if TYPE_CHECKING:
    from picasssso.bands import BandImages
    from picasssso.maps import PropertyMaps
    from picasssso.networks.config import TrainingConfig
    from picasssso.networks.weights import TrainedModel
    from picasssso.pairs.source import PairSource

__all__ = ["CNNEstimator"]

FloatArray = npt.NDArray[np.floating]

RESOLUTIONS = ("psf", "native")

_ALL = (
    "stellar_mass",
    "stellar_metallicity",
    "stellar_age",
    "sfr",
    "gas_mass",
    "gas_metallicity",
    "hi_mass",
    "attenuation_v",
)
_BASELINE = "buck_wolf_2021"


class CNNEstimator(PropertyMapEstimator):
    """All properties, gas included, from a convolutional network.

    The network uses the colors of a pixel and its surroundings: spiral arms, bulge, clumps and
    their brightness. It takes one or more of u, g, r, i and z from any survey, each with its own
    PSF, and returns a distribution for every property and pixel, with quantiles calibrated on
    galaxies not used in training.

    Parameters
    ----------
    weights : str, path-like or None, optional
        ``"default"`` or another name from `list_pretrained`; the path of other weights (two
        files with the endings ``.safetensors`` and ``.json``); or None for an untrained network,
        to be trained with `fit`.
    resolution : {"psf", "native"}, optional
        Resolution of the maps: that of the broadest PSF, or sharpened to that of the pixels, as
        far as the network can.
    orientations : {1, 8}, optional
        8 averages over rotated and mirrored images: slightly better, eight times slower.
    mixed_precision : bool, optional
        Whether to compute in bfloat16, which is faster on CUDA and on CPUs that support it
        (``benchmarks/cnn_speed.py``).
    device : str, optional
        ``"cpu"``, ``"cuda"``, ``"cuda:1"`` ...; by default CUDA if there is one.

    Attributes
    ----------
    model_ : ``picasssso.networks.weights.TrainedModel``
        The trained networks and their calibration.

    Raises
    ------
    FileFormatError
        If the weights do not exist.
    InvalidInputError
        If a parameter cannot be used; the message says what is expected.

    See Also
    --------
    picasssso.SEDFitEstimator : Fits each pixel independently, without training.

    Notes
    -----
    **Properties that may be absent.** Star formation, gas and hydrogen have a probability of
    being present. Percentiles are those of the whole distribution, and are zero where absence is
    more likely. The mean is that probability times the mean if present. Neutral
    hydrogen never exceeds gas / 1.36, in any percentile, mean or sample.

    **Required.** An uncertainty and the PSF of every band, and a distance (by default that of
    the redshift), since the size of a pixel in kpc is an input of the network.

    **Quality.** OUTSIDE_TRAINING where the redshift, pixel size, PSF or a wavelength is outside
    the range of the calibration galaxies (then in all pixels), where the noise, brightness or
    colors of a pixel are, or where the members of the ensemble disagree more than in all but one
    in a thousand of their pixels; also for binned images. UPPER_LIMIT where star formation, gas or
    hydrogen is more likely absent than present. MISSING_BAND and NO_DATA as everywhere.

    **Samples** have the correlations between pixels and properties of the errors on the
    calibration galaxies.

    Weights of the network of Buck & Wolf (2021, arXiv:2111.01154) can also be used. It predicts
    seven properties without uncertainties: its percentiles are the distribution of residuals on
    other galaxies, the same for all pixels. There are no samples, and its receptive field is the
    whole image.

    Examples
    --------
    >>> from picasssso import CNNEstimator
    >>> CNNEstimator(weights=None, resolution="native")
    CNNEstimator(weights=None, resolution='native')
    """

    def __init__(
        self,
        *,
        weights: str | os.PathLike[str] | None = "default",
        resolution: str = "psf",
        orientations: int = 1,
        mixed_precision: bool = False,
        device: str | None = None,
    ) -> None:
        self.weights = weights
        self.resolution = resolution
        self.orientations = orientations
        self.mixed_precision = mixed_precision
        self.device = device
        self._lock = threading.Lock()
        self._loaded: dict[str, TrainedModel] = {}
        self._card: dict[str, Any] | None = None
        self._validate()

    # ---- parameters -----------------------------------------------------------------

    def _validate(self) -> None:
        check_choice("resolution", self.resolution, RESOLUTIONS)
        if isinstance(self.orientations, bool) or self.orientations not in (1, 8):
            raise InvalidInputError(f"orientations={self.orientations!r}: expected 1 or 8.")
        check_flag("mixed_precision", self.mixed_precision)
        check_device(self.device)
        check_weights(self.weights)

    @classmethod
    def from_pretrained(cls, name: str = "default") -> CNNEstimator:
        """Return an estimator with weights that come with the package.

        Parameters
        ----------
        name : str, optional
            One of `list_pretrained`.

        Returns
        -------
        CNNEstimator
            ``CNNEstimator(weights=name)``.
        """
        return cls(weights=name)

    @staticmethod
    def list_pretrained() -> list[str]:
        """Return the names of the weights that come with the package.

        Returns
        -------
        list of str
            Sorted names.
        """
        return list_packaged()

    @property
    def model_card(self) -> dict[str, Any]:
        """Description of the weights: training, data, calibration and accuracy (dict)."""
        import copy

        return copy.deepcopy(self._read_card())

    def _read_card(self) -> dict[str, Any]:
        if hasattr(self, "model_"):
            return self.model_.card
        if self.weights is None:
            raise InvalidInputError(
                "CNNEstimator(weights=None) is untrained: train it with fit(pairs, steps=...), or "
                "take trained weights, CNNEstimator.from_pretrained()."
            )
        if self._card is None:
            self._card = read_card(self.weights)
        return self._card

    @property
    def _is_baseline(self) -> bool:
        if hasattr(self, "model_"):
            return self.model_.config.architecture == _BASELINE
        if self.weights is None:
            return False
        return self._read_card().get("training", {}).get("architecture") == _BASELINE

    def _model(self, device: str = "cpu") -> TrainedModel:
        """Return the trained model on a device, read once."""
        self._read_card()
        with self._lock:
            if "cpu" not in self._loaded:
                if hasattr(self, "model_"):
                    self._loaded["cpu"] = self.model_
                else:
                    from picasssso.networks.weights import read_weights

                    assert self.weights is not None
                    self._loaded["cpu"] = run_calmly(read_weights, weights_path(self.weights))
            if device not in self._loaded:
                self._loaded[device] = _moved(self._loaded["cpu"], device)
            return self._loaded[device]

    # ---- the contract ---------------------------------------------------------------

    @property
    def tags(self) -> EstimatorTags:  # type: ignore[override]
        """Output and requirements, which depend on the weights (EstimatorTags)."""
        return EstimatorTags(
            properties=_ALL[:-1] if self._is_baseline else _ALL,
            supports_samples=not self._is_baseline,
            # Each band comes with the width of its own PSF.
            assumes_common_psf=False,
            needs_noise_level=True,
            # Other pixels are merged where a slice starts beside the grid of the network.
            # Medians move by a few hundredths of their 95 % range then, the worst in a hundred
            # by a tenth.
            shift_tolerance=0.2,
        )

    @property
    def receptive_field(self) -> int | None:
        """Farthest pixel that can change an output pixel; None: the whole image matters."""
        if self._is_baseline or not self._is_trained:
            return None
        from picasssso.networks.conformal import SIGNAL_RADIUS
        from picasssso.networks.detection import REACH
        from picasssso.networks.training_range import RADIUS

        reach = self._model().ensemble.reach
        return None if reach is None else max(reach, SIGNAL_RADIUS, RADIUS, REACH)

    @property
    def stride(self) -> int:
        """Grid, in pixels, on which the network is exactly shift-equivariant (int)."""
        return self._model().ensemble.stride if self._is_trained else 1

    @property
    def _is_trained(self) -> bool:
        return self.weights is not None or hasattr(self, "model_")

    def _select_bands(self, available: tuple[str, ...]) -> tuple[str, ...]:
        from picasssso.estimators._cnn.block_inputs import select_slots

        return select_slots(available)

    def check_images(self, images: BandImages) -> None:
        """Raise an error for images without the PSF of a band, or without a distance."""
        unknown = [band for band in images.bands if images.psf_fwhm(band) is None]
        if unknown:
            raise InvalidInputError(
                f"CNNEstimator needs the PSF of every band, but that of {', '.join(unknown)} is "
                "unknown. Give its full width at half maximum: images.replace(psf=1.3 * "
                "u.arcsec), or by band, psf={'" + unknown[0] + "': 1.3 * u.arcsec, ...}."
            )
        if images.angular_diameter_distance is None:
            raise InvalidInputError(
                "CNNEstimator needs the size of a pixel in kpc, but redshift "
                f"{images.redshift:g} gives no distance: give it, "
                "images.replace(luminosity_distance=20 * u.Mpc)."
            )

    def measure(self, images: BandImages, context: EstimationContext) -> tuple[float, ...]:
        """Return the statistics of the whole image that were calibrated."""
        calibration = self._model().calibration if self._is_trained else None
        if calibration is None or calibration.structure is None:
            return ()
        from picasssso.estimators._cnn.block_inputs import image_structure
        from picasssso.estimators._cnn.reasons import pixel_statistics

        looks = run_calmly(image_structure, images, context)
        return (*looks, *run_calmly(pixel_statistics, images, context, calibration))

    def review(self, maps: PropertyMaps) -> None:
        """Warn if the galaxy is unlike the training set."""
        from picasssso.maps.notices import outside_notice

        notice = outside_notice(maps)
        if notice is not None:
            warnings.warn(notice, OutsideTrainingWarning, stacklevel=3)

    def bytes_per_pixel(self, n_bands: int, n_samples: int) -> float:
        """Return the working memory needed per pixel of a block, in bytes."""
        widths = self._read_card().get("training", {}).get("network", {}).get("widths", (32,))
        # Features of the first level a dozen times, raw outputs and what is made of them.
        return 4.0 * (12 * widths[0] + 700 + 10 * n_samples)

    def describe(self, context: EstimationContext) -> Mapping[str, Any]:
        """Return additional metadata of the maps."""
        card = self._read_card()
        model = self._model()
        # The versioned name of packaged weights, or the file's; none once trained on.
        known = self.weights is not None and not hasattr(self, "model_")
        record: dict[str, Any] = {
            "weights": {
                "name": weights_path(self.weights or "").name if known else None,
                "sha256": card.get("sha256"),
                "written_by": card.get("package_version"),
                "architecture": model.config.architecture,
                "members": model.config.members,
            },
            "calibrated": model.calibration is not None,
            "resolution": self.resolution,
            "mass_definition": "living stars and remnants, Chabrier 0.1-100 Msun",
            "sfr_averaging_time_yr": 1e8,
        }
        if self.resolution == "native":
            record["resolution_fwhm_arcsec"] = context.pixel_scale_arcsec
        if model.calibration is not None:
            from picasssso.estimators._cnn.reasons import outside

            names, reasons = outside(context, model.calibration)
            record |= {"outside_training": names, "outside_training_reasons": reasons}
        return record

    def _estimate(
        self, flux: FloatArray, inverse_variance: FloatArray, context: EstimationContext
    ) -> dict[str, PropertyArrays]:
        return self._estimate_batch([flux], [inverse_variance], [context])[0]

    def _cheaper(self) -> PropertyMapEstimator:
        """Return one member alone: how far members move differs less than what they find."""
        import copy

        from picasssso.networks.ensemble import Ensemble

        device = resolve_device(self.device)
        model = self._model(device)
        if self._is_baseline or len(model.ensemble.networks) == 1:
            return self
        one = copy.copy(self)
        one.model_ = replace(model, ensemble=Ensemble(model.ensemble.networks[:1]))
        one._loaded = {device: one.model_}
        return one

    def _estimate_batch(
        self,
        flux: Sequence[FloatArray],
        inverse_variance: Sequence[FloatArray],
        contexts: Sequence[EstimationContext],
    ) -> list[dict[str, PropertyArrays]]:
        """Estimate blocks of one shape together."""
        return run_calmly(self._answer, flux, inverse_variance, contexts)

    def _answer(
        self,
        flux: Sequence[FloatArray],
        inverse_variance: Sequence[FloatArray],
        contexts: Sequence[EstimationContext],
    ) -> list[dict[str, PropertyArrays]]:
        from picasssso.estimators._cnn.answers import answer, baseline_answer
        from picasssso.estimators._cnn.block_inputs import (
            cut_frame,
            frame_of,
            in_frame,
            make_input,
        )

        frame = frame_of(flux[0].shape[-2:], self.stride)
        flux, inverse_variance = in_frame(flux, frame), in_frame(inverse_variance, frame)

        device = resolve_device(self.device)
        model = self._model(device)
        sharp = self.resolution == "native"
        inputs = make_input(flux, inverse_variance, contexts, sharp=sharp, device=device)
        orientations = int(self.orientations)
        if model.config.architecture == _BASELINE:
            results = baseline_answer(model, inputs, orientations=orientations)
        else:
            results = answer(
                model,
                inputs,
                contexts,
                orientations=orientations,
                mixed_precision=bool(self.mixed_precision) and has_bfloat16(device),
            )
        return [cut_frame(result, frame) for result in results]

    # ---- training ---------------------------------------------------------------------

    def fit(
        self,
        pairs: PairSource | Sequence[tuple[BandImages, PropertyMaps]],
        *,
        steps: int = 1000,
        batch_size: int = 16,
        learning_rate: float = 3e-4,
        seed: int = 0,
        size: int = 64,
        config: TrainingConfig | None = None,
        calibrate_on: PairSource | Sequence[tuple[BandImages, PropertyMaps]] | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        time_limit: float | None = None,
        progress: bool | None = None,
    ) -> Self:
        """Train on images with known maps: fine-tune the weights, or start from scratch.

        Parameters
        ----------
        pairs : sequence of (BandImages, PropertyMaps), or PairSource
            Images and true maps on the same pixels, with maps at the resolution of the broadest
            PSF. Properties may be missing and pixels masked: these are ignored, but their
            estimates may drift during training, so keep fine-tuning short.
        steps : int, optional
            Number of steps.
        batch_size : int, optional
            Squares per step.
        learning_rate : float, optional
            Largest learning rate; 3e-4 is suitable for fine-tuning, 2e-3 for training from
            scratch.
        seed : int, optional
            Seed of the order, the augmentation and, from scratch, the initial weights.
        size : int, optional
            Side, in pixels, of the squares that images are cut into.
        config : `~picasssso.training.TrainingConfig`, optional
            Architecture, members and augmentation for training from scratch (``weights=None``);
            steps, batches, learning rate and seed are those given here.
        calibrate_on : sequence of (BandImages, PropertyMaps), or PairSource, optional
            Galaxies not used in training, on which uncertainties are calibrated. By default the
            previous calibration is kept, which may not be valid for new images; from scratch
            there is none.
        checkpoint : str or path-like, optional
            Checkpoint file, written every two minutes; if it exists, training continues from it.
        time_limit : float, optional
            Seconds after which to stop early.
        progress : bool, optional
            Whether to show progress bars on stderr; by default only on a terminal.

        Returns
        -------
        CNNEstimator
            The estimator itself, with ``model_``.

        Raises
        ------
        InvalidInputError
            If pairs or settings cannot be used.
        """
        import sys

        from picasssso.estimators._cnn import fitting

        show = sys.stderr.isatty() if progress is None else bool(progress)
        start = self._model() if self._is_trained else None
        if start is not None and config is not None:
            raise InvalidInputError(
                "config= defines a new network: omit it to continue from trained weights, or use "
                "CNNEstimator(weights=None)."
            )
        sources = fitting.make_sources(self._prepare, pairs, size)
        known = None
        if calibrate_on is not None:
            known = fitting.make_sources(self._prepare, calibrate_on, size)
        settings = fitting.configuration(
            config if start is None else start.config, sources, steps=steps,
            batch_size=batch_size, learning_rate=learning_rate, seed=seed,
        )  # fmt: skip
        model = fitting.train(
            settings, sources, start, calibration=known, device=resolve_device(self.device),
            checkpoint=checkpoint, time_limit=time_limit, progress=show,
        )  # fmt: skip
        with self._lock:
            self.model_ = model
            self._loaded = {}
        return self

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> dict[str, Any]:
        """Write the weights, for ``CNNEstimator(weights=path)``.

        Parameters
        ----------
        path : str or path-like
            Name of the two files, with or without extension.
        overwrite : bool, optional
            Whether to replace existing files.

        Returns
        -------
        dict
            The model card as written.

        Raises
        ------
        FileFormatError
            If a file exists and may not be replaced.
        InvalidInputError
            If there is nothing to write: the estimator is untrained.
        """
        from picasssso.networks.weights import write_weights

        return write_weights(path, self._model(), overwrite=overwrite)

    # ---- many images ----------------------------------------------------------------

    def estimate_many(
        self,
        images: Sequence[BandImages],
        *,
        batch_size: int = 32,
        n_samples: int = 0,
        seed: int | None = None,
        progress: bool | None = None,
    ) -> list[PropertyMaps]:
        """Estimate maps of many cutouts, several at a time.

        Parameters
        ----------
        images : sequence of BandImages
            The cutouts. Those of the same shape are processed together, whatever their bands and
            redshifts.
        batch_size : int, optional
            Number processed at a time, as far as the memory budget allows.
        n_samples : int, optional
            Joint posterior samples to keep.
        seed : int, optional
            Seed of the samples of the first image; that of image k is ``seed + k``.
        progress : bool, optional
            Whether to show a progress bar on stderr; by default only on a terminal.

        Returns
        -------
        list of PropertyMaps
            In the order of the images, each as from ``estimate(images[k], seed=seed + k)``
            up to the rounding of single precision.

        Raises
        ------
        InvalidInputError
            If an image cannot be used by `estimate`; the message says which.
        """
        from picasssso.estimators._cnn.many import estimate_jobs

        check_integer("batch_size", batch_size, 1, 10**6)
        n_samples, seed = self._check_sampling(n_samples, seed)
        jobs = [self._prepare(k, one, n_samples, seed + k) for k, one in enumerate(images)]
        return estimate_jobs(self, jobs, batch_size, progress)

    def _prepare(
        self, number: int, images: BandImages, n_samples: int, seed: int
    ) -> tuple[BandImages, EstimationContext]:
        try:
            images = self._as_band_images(images, None)
            images = images.select(self._checked_bands(images))
            self._check_usable(images)
        except InvalidInputError as error:
            raise type(error)(f"Image {number}: {error}") from error
        return images, self._make_context(images, n_samples, seed)


def _moved(model: TrainedModel, device: str) -> TrainedModel:
    """Return a copy of a model on another device."""
    import copy

    from picasssso.networks.ensemble import Ensemble

    networks = [copy.deepcopy(network).to(device) for network in model.ensemble.networks]
    return replace(model, ensemble=Ensemble(networks))
