"""The checks of the estimator contract.

Each takes an estimator and the bands and redshift to try it with, raises
`AssertionError` with a message where the contract is broken, and skips, saying why,
where it does not apply.
"""

from __future__ import annotations

import inspect
import pickle
import tempfile
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial, wraps
from pathlib import Path
from typing import Any, NoReturn

import astropy.units as u
import numpy as np
from astropy.io import fits
from astropy.nddata import CCDData

from picasssso.estimators import PropertyMapEstimator
from picasssso.exceptions import (
    InvalidInputError,
    MissingBandError,
    OutsideTrainingWarning,
    PicassssoWarning,
)
from picasssso.properties import get_property
from picasssso.quality import QualityFlag
from picasssso.testing.comparisons import (
    ROUNDING,
    assert_close,
    assert_same,
    copy_of,
    images_for,
    message_of,
    rebuild,
    used_bands,
    with_band,
)
from picasssso.testing.galaxy import make_galaxy

Check = Callable[..., None]
Bands = tuple[str, ...]

#: The checks by name, in the order they run.
CHECKS: dict[str, Check] = {}


def check_names() -> list[str]:
    """Return the names of all checks, in the order they run."""
    return list(CHECKS)


def _check(function: Check) -> Check:
    @wraps(function)
    def checked(*arguments: Any, **options: Any) -> None:
        # The images are made to exercise code: no estimator need have been trained on such.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", OutsideTrainingWarning)
            warnings.filterwarnings("ignore", "About .* % of the target", PicassssoWarning)
            function(*arguments, **options)

    CHECKS[function.__name__.removeprefix("check_")] = checked
    return checked


def _skip(reason: str) -> NoReturn:
    import pytest

    raise pytest.skip.Exception(reason)


# ---- construction -----------------------------------------------------------------------


@_check
def check_parameters(estimator: PropertyMapEstimator, *, bands: Bands, redshift: float) -> None:
    """Keyword-only parameters, stored as passed; the same parameters give the same maps."""
    cls = type(estimator)
    if cls.__init__ is not object.__init__:
        declared = list(inspect.signature(cls.__init__).parameters.values())[1:]
        wrong = [str(p) for p in declared if p.kind is not inspect.Parameter.KEYWORD_ONLY]
        assert not wrong, (
            f"{cls.__name__}.__init__ takes {wrong}: expected keyword-only parameters"
        )
        defaults = {p.name: p.default for p in declared}
        missing = [
            name for name, default in defaults.items() if default is inspect.Parameter.empty
        ]
        assert not missing, f"{cls.__name__} has parameters without a default: {missing}"
    parameters = estimator.get_params()
    twin = cls(**parameters)
    for name, value in parameters.items():
        assert getattr(twin, name) is value, f"{name} is not stored exactly as passed"
    if not hasattr(estimator, "fit"):
        images = images_for(estimator, bands, redshift)
        assert_same(estimator.estimate(images), twin.estimate(images), "an equal estimator")


@_check
def check_properties(estimator: PropertyMapEstimator, *, bands: Bands, redshift: float) -> None:
    """Properties are declared, known, and the ones estimated."""
    assert estimator.properties, "properties is empty"
    for name in estimator.properties:
        definition = estimator.definitions.get(name) or get_property(name)
        assert definition.name == name, f"definitions[{name!r}] is called {definition.name!r}"
    assert estimator.stride >= 1, "stride is less than 1"
    assert estimator.receptive_field is None or estimator.receptive_field >= 0
    maps = estimator.estimate(images_for(estimator, bands, redshift))
    assert tuple(maps) == tuple(estimator.properties), f"estimated {tuple(maps)}"


@_check
def check_repr(estimator: PropertyMapEstimator, *, bands: Bands, redshift: float) -> None:
    """The repr names the class and every parameter that is not a default."""
    text = repr(estimator)
    assert text.startswith(type(estimator).__name__ + "("), text
    defaults = estimator._parameter_defaults()
    for name, value in estimator.get_params().items():
        if repr(value) != repr(defaults[name]):
            assert f"{name}={value!r}" in text, f"{name} is missing from {text}"


@_check
def check_pickle(estimator: PropertyMapEstimator, *, bands: Bands, redshift: float) -> None:
    """Pickling keeps parameters and learned state, so the copy gives the same maps."""
    images = images_for(estimator, bands, redshift)
    before = estimator.estimate(images)
    twin = pickle.loads(pickle.dumps(estimator))
    assert repr(twin) == repr(estimator)
    assert_same(before, twin.estimate(images), "after pickling")


# ---- input ------------------------------------------------------------------------------


@_check
def check_input_unmodified(
    estimator: PropertyMapEstimator, *, bands: Bands, redshift: float
) -> None:
    """The images are the same after as before."""
    images = images_for(estimator, bands, redshift)
    before = {b: (images[b].data.copy(), images[b].uncertainty.array.copy()) for b in images}
    estimator.estimate(images)
    for band, (data, sigma) in before.items():
        assert np.array_equal(images[band].data, data), f"the data of {band} changed"
        assert np.array_equal(images[band].uncertainty.array, sigma), (
            f"the noise of {band} changed"
        )


@_check
def check_read_only_memory_mapped_big_endian(
    estimator: PropertyMapEstimator, *, bands: Bands, redshift: float
) -> None:
    """Images straight from a FITS file (big-endian, mapped, read-only) give the same maps."""
    images = images_for(estimator, bands, redshift)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "images.fits"
        hdus = [fits.PrimaryHDU()]
        for band in images:
            hdus += [fits.ImageHDU(np.array(images[band].data))]
            hdus += [fits.ImageHDU(np.array(images[band].uncertainty.array))]
        fits.HDUList(hdus).writeto(path)
        with fits.open(path, memmap=True, mode="readonly") as file:
            ccds = {
                band: copy_of(images[band], data=file[1 + 2 * k].data, sigma=file[2 + 2 * k].data)
                for k, band in enumerate(images)
            }
            for ccd in ccds.values():
                assert ccd.data.dtype.byteorder == ">", "the file is not big-endian"
                ccd.data.flags.writeable = False
            mapped = estimator.estimate(rebuild(images, ccds))
            del ccds
    assert_same(estimator.estimate(images), mapped, "memory-mapped input")


@_check
def check_missing_band(estimator: PropertyMapEstimator, *, bands: Bands, redshift: float) -> None:
    """Without a band there are maps, or a `MissingBandError` that says what is missing."""
    images = images_for(estimator, bands, redshift)
    for band in used_bands(estimator, bands):
        rest = tuple(b for b in bands if b != band)
        if not rest:
            continue
        message = message_of(MissingBandError, estimator._select_bands, rest)
        if message is None:
            selected = estimator._select_bands(rest)
            assert set(selected) <= set(rest), f"selected {selected} from {rest}"
            assert tuple(estimator.estimate(images.select(rest))) == tuple(estimator.properties)
        else:
            letter = repr(band.rpartition("-")[2])
            assert band in message or letter in message, f"{band} is not named: {message}"


@_check
def check_missing_uncertainty(
    estimator: PropertyMapEstimator, *, bands: Bands, redshift: float
) -> None:
    """A band without uncertainty is refused with the way out, if one is needed."""
    if not estimator.tags.needs_uncertainty:
        _skip("the estimator does without uncertainties")
    images = images_for(estimator, bands, redshift)
    band = used_bands(estimator, bands)[0]
    bare = CCDData(np.array(images[band].data), unit=images[band].unit, wcs=images[band].wcs)
    without = rebuild(images, {b: bare if b == band else copy_of(images[b]) for b in images})
    message = message_of(InvalidInputError, estimator.estimate, without)
    assert message is not None, "a band without uncertainty was accepted"
    for word in (band, "with_estimated_noise"):
        assert word in message, f"the error does not name {word}: {message}"


@_check
def check_units(estimator: PropertyMapEstimator, *, bands: Bands, redshift: float) -> None:
    """Nanomaggies and Jansky of the same flux give the same maps."""
    images = images_for(estimator, bands, redshift)
    factor = (1 * u.nmgy).to_value(u.Jy, u.zero_point_flux(1 * u.ABflux))
    in_jansky = {
        band: copy_of(
            images[band],
            data=images[band].data.astype(np.float64) * factor,
            sigma=images[band].uncertainty.array.astype(np.float64) * factor,
            unit=u.Jy,
        )
        for band in images
    }
    assert_same(
        estimator.estimate(images),
        estimator.estimate(rebuild(images, in_jansky)),
        "Jy against nmgy",
        ROUNDING,
    )


# ---- masks ------------------------------------------------------------------------------


@_check
def check_masked_in_all_bands(
    estimator: PropertyMapEstimator, *, bands: Bands, redshift: float
) -> None:
    """Such a pixel is masked, and nothing beyond the receptive field changes."""
    images = images_for(estimator, bands, redshift, beyond_reach=True)
    y, x = images.shape[0] // 2, images.shape[1] // 2
    mask = np.zeros(images.shape, bool)
    mask[y, x] = True
    ccds = {}
    for band in images:
        data = np.array(images[band].data)
        data[y, x] = np.nan if band == images.bands[0] else 1e30
        ccds[band] = copy_of(images[band], data=data, mask=mask)
    whole, holed = estimator.estimate(images), estimator.estimate(rebuild(images, ccds))
    assert holed.quality[y, x] & QualityFlag.NO_DATA, "the pixel is not flagged as NO_DATA"
    for name in holed:
        assert holed[name].mask[y, x], f"the pixel is not masked in {name}"
        assert np.isnan(holed[name].data[y, x]), f"the pixel of {name} is not NaN"
    if estimator.receptive_field is None:
        return
    distance = np.maximum(*np.abs(np.indices(images.shape) - np.array([y, x])[:, None, None]))
    beyond = distance > max(estimator.receptive_field, 0)
    assert_same(whole, holed, "beyond the receptive field", ROUNDING, beyond)


@_check
def check_masked_in_some_bands(
    estimator: PropertyMapEstimator, *, bands: Bands, redshift: float
) -> None:
    """Such a pixel is estimated from the rest or masked, and flagged either way."""
    images = images_for(estimator, bands, redshift)
    band = used_bands(estimator, bands)[0]
    y, x = images.shape[0] // 2, images.shape[1] // 2
    mask = np.zeros(images.shape, bool)
    mask[y, x] = True
    data = np.where(mask, np.float32(1e30), images[band].data)
    maps = estimator.estimate(with_band(images, band, data=data, mask=mask))
    assert maps.quality[y, x] & QualityFlag.MISSING_BAND, "the pixel is not flagged"
    flagged = bool(maps.quality[y, x] & QualityFlag.NO_DATA)
    for name in maps:
        assert maps[name].mask[y, x] == np.isnan(maps[name].data[y, x])
        assert not flagged or maps[name].mask[y, x], f"NO_DATA but not masked in {name}"
        value = maps[name].data[y, x]
        assert np.isnan(value) or abs(value) < 1e20, f"the masked flux leaked into {name}"


@_check
def check_all_masked(estimator: PropertyMapEstimator, *, bands: Bands, redshift: float) -> None:
    """An image without valid pixels in a region gives masked pixels there, not an error."""
    images = images_for(estimator, bands, redshift)
    mask = np.ones(images.shape, bool)
    mask[:, : images.shape[1] // 2] = False
    masked = rebuild(images, {band: copy_of(images[band], mask=mask) for band in images})
    corner = (slice(0, 4), slice(images.shape[1] - 4, images.shape[1]))
    for maps in (estimator.estimate(masked)[corner], estimator.estimate(masked[corner])):
        for name in maps:
            assert maps[name].mask.all(), f"{name} has values where nothing was measured"


# ---- output -----------------------------------------------------------------------------


@_check
def check_wcs_shape_units(
    estimator: PropertyMapEstimator, *, bands: Bands, redshift: float
) -> None:
    """Maps have the images' shape and WCS and the properties' units; percentiles ascend."""
    images = images_for(estimator, bands, redshift)
    maps = estimator.estimate(images)
    pixels = np.array([[0.0, 0.0], [images.shape[1] - 1.0, images.shape[0] - 1.0]])
    assert images.wcs is not None
    for name in maps:
        ccd, definition = maps[name], maps.definition(name)
        assert ccd.shape == images.shape, f"{name} has shape {ccd.shape}"
        assert ccd.unit == definition.unit, f"{name} has unit {ccd.unit}"
        assert np.asarray(ccd.mask).dtype.kind == "b", f"{name} has no boolean mask"
        expected = images.wcs.wcs_pix2world(pixels, 0)
        np.testing.assert_allclose(ccd.wcs.wcs_pix2world(pixels, 0), expected, atol=1e-12)
        ladder = np.stack([maps.percentile(name, q).value for q in (2.5, 16, 50, 84, 97.5)])
        valid = ~ccd.mask
        assert valid.any(), f"{name} is masked everywhere"
        assert np.isfinite(ladder[:, valid]).all(), f"{name} has percentiles that are not finite"
        assert (np.diff(ladder[:, valid], axis=0) >= 0).all(), f"percentiles of {name} cross"
        width = (ladder[3] - ladder[1])[valid] / 2
        np.testing.assert_allclose(ccd.uncertainty.array[valid], width, rtol=1e-5)
    assert maps.meta["estimator"] == type(estimator).__name__
    assert maps.meta["redshift"] == redshift


@_check
def check_slicing(estimator: PropertyMapEstimator, *, bands: Bands, redshift: float) -> None:
    """Estimating a slice equals slicing the estimate, where the slice's edge is not seen."""
    reach, stride = estimator.receptive_field, estimator.stride
    if reach is None:
        _skip("the whole image matters to every pixel")
    images = images_for(estimator, bands, redshift, beyond_reach=True)
    whole = estimator.estimate(images)
    tolerance = estimator.tags.shift_tolerance
    for start in (stride, stride + 1):
        window = (slice(start, images.shape[0]), slice(start, images.shape[1]))
        inside = (slice(reach, None), slice(reach, None))
        sliced, estimated = whole[window], estimator.estimate(images[window])
        if start == stride or tolerance == 0:
            assert_same(sliced, estimated, f"from {start}", ROUNDING, inside)
        else:
            assert_close(sliced, estimated, f"from {start}", tolerance, inside)


@_check
def check_blocks(estimator: PropertyMapEstimator, *, bands: Bands, redshift: float) -> None:
    """Blocks put together equal the whole."""
    if estimator.receptive_field is None:
        _skip("the whole image matters, so it is never cut")
    images = images_for(estimator, bands, redshift, beyond_reach=True)
    whole = estimator.estimate(images)
    frugal = pickle.loads(pickle.dumps(estimator))
    # An attribute of the instance, so that no other estimator is affected.
    n_bands = len(used_bands(estimator, bands))
    n_pixels = images.shape[0] * images.shape[1]
    frugal.memory_budget = int(estimator.bytes_per_pixel(n_bands, 0) * n_pixels / 6)
    _, n_blocks = frugal._blocks(images, 0)
    assert n_blocks > 1, "the memory budget is not honored"
    assert_same(whole, frugal.estimate(images, progress=False), "in blocks", ROUNDING)


@_check
def check_odd_shapes(estimator: PropertyMapEstimator, *, bands: Bands, redshift: float) -> None:
    """1 x 1, 1 x N, N x 1 and odd sizes work."""
    images = make_galaxy((23, 31), bands=bands, redshift=redshift)
    for shape in ((1, 1), (1, 31), (23, 1), (7, 5), (23, 31)):
        window = (slice(23 - shape[0], 23), slice(31 - shape[1], 31))
        maps = estimator.estimate(images[window])
        for name in maps:
            assert maps[name].shape == shape, f"{name} has shape {maps[name].shape}, not {shape}"


@_check
def check_same_answer_twice(
    estimator: PropertyMapEstimator, *, bands: Bands, redshift: float
) -> None:
    """The same images give exactly the same maps."""
    images = images_for(estimator, bands, redshift)
    assert_same(estimator.estimate(images), estimator.estimate(images), "the second time")


@_check
def check_threads(estimator: PropertyMapEstimator, *, bands: Bands, redshift: float) -> None:
    """Two threads may share one estimator."""
    first = images_for(estimator, bands, redshift)
    second = images_for(estimator, bands, redshift, seed=2)
    expected = [estimator.estimate(first), estimator.estimate(second)]
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(estimator.estimate, [first, second] * 2))
    for k, maps in enumerate(found):
        assert_same(expected[k % 2], maps, f"in thread {k}", ROUNDING)


@_check
def check_samples(estimator: PropertyMapEstimator, *, bands: Bands, redshift: float) -> None:
    """Joint samples repeat with their seed and do not depend on slicing."""
    images = images_for(estimator, bands, redshift)
    if not estimator.tags.supports_samples:
        refused = message_of(InvalidInputError, partial(estimator.estimate, n_samples=2), images)
        assert refused is not None, "supports_samples is False, yet samples are given"
        _skip("the estimator has no samples, and says so")
    maps = estimator.estimate(images, n_samples=3, seed=5)
    again = estimator.estimate(images, n_samples=3, seed=5)
    other = estimator.estimate(images, n_samples=3, seed=6)
    for name in maps:
        if name in estimator.definitions and maps._planes(name).samples is None:
            continue  # an estimator's own figure of merit, which has no posterior
        draws = maps.samples(name).value
        assert draws.shape == (3, *images.shape), f"samples of {name} have shape {draws.shape}"
        np.testing.assert_array_equal(draws, again.samples(name).value)
        assert not np.array_equal(draws, other.samples(name).value, equal_nan=True)


@_check
def check_samples_share_the_shared_error(
    estimator: PropertyMapEstimator, *, bands: Bands, redshift: float
) -> None:
    """Sums of joint samples scatter by at least the error declared as shared by all pixels."""
    if not estimator.tags.supports_samples:
        _skip("the estimator has no samples")
    images = images_for(estimator, bands, redshift)
    n_samples = 40
    maps = estimator.estimate(images, n_samples=n_samples, seed=5)
    shared = {name: dex for name, dex in maps.shared_error.items() if dex > 0}
    if not shared:
        _skip("no error is shared")
    for name, dex in shared.items():
        totals = np.nansum(maps.samples(name).value, axis=(1, 2))
        scatter = np.std(totals) / np.abs(np.mean(totals)) / np.log(10)
        # The scatter of so few samples is known to 11 %: this leaves five times that.
        assert scatter > 0.4 * dex, f"sums of {name} scatter by {scatter:.3g}, not {dex:.3g} dex"


@_check
def check_torch_untouched(
    estimator: PropertyMapEstimator, *, bands: Bands, redshift: float
) -> None:
    """No global setting of torch changes."""
    import sys

    if "torch" not in sys.modules:
        estimator.estimate(images_for(estimator, bands, redshift))
        if "torch" not in sys.modules:
            _skip("torch is not used")
    import torch

    def state() -> tuple[Any, ...]:
        return (
            torch.get_default_dtype(),
            torch.get_num_threads(),
            torch.is_grad_enabled(),
            torch.are_deterministic_algorithms_enabled(),
            torch.backends.cudnn.benchmark,
            torch.get_float32_matmul_precision(),
            torch.random.get_rng_state().sum().item(),
        )

    before = state()
    estimator.estimate(images_for(estimator, bands, redshift))
    assert state() == before, f"torch's global state changed from {before} to {state()}"


@_check
def check_cuda(estimator: PropertyMapEstimator, *, bands: Bands, redshift: float) -> None:
    """CPU and CUDA agree to 1e-3 dex."""
    if "device" not in estimator.get_params():
        _skip("the estimator has no device parameter")
    import torch

    if not torch.cuda.is_available():
        _skip("no CUDA device")
    images = images_for(estimator, bands, redshift)
    parameters = estimator.get_params()
    on_cpu, on_cuda = (
        type(estimator)(**{**parameters, "device": d}).estimate(images) for d in ("cpu", "cuda")
    )
    assert_same(on_cpu, on_cuda, "CUDA against CPU", 10**1e-3 - 1)
