import astropy.units as u
import numpy as np
import pytest
from astropy.nddata import CCDData, StdDevUncertainty

from picasssso.bands import BandImages, NoiseScaling
from picasssso.exceptions import InvalidInputError
from picasssso.preparation import bin_images, mask_sources
from picasssso.preparation.binning import apply_bins, grow_bins

from .conftest import make_field


@pytest.fixture(scope="module")
def galaxy():
    images, psf = make_field((150, 170), n_stars=0)
    return mask_sources(images.replace(psf=psf))


def snr_of_bins(images, bins, band):
    flux, precision = (plane[0].astype(float) for plane in images.to_arrays(bands=[band]))
    good = bins >= 0
    signal = np.bincount(bins[good], weights=flux[good])
    count = np.bincount(bins[good])
    variance = np.bincount(bins[good], weights=1 / precision[good])
    return signal / np.sqrt(variance * images.noise_scaling[band](count)), count


def test_bins_reach_the_ratio_and_are_no_larger_than_needed(galaxy):
    binned = bin_images(galaxy, 20)
    bins = np.asarray(binned.bins)
    ratios = []
    for band in galaxy:
        ratio, count = snr_of_bins(galaxy, bins, band)
        # Pixels left over join bins that were complete without them.
        assert (ratio > 19).mean() > 0.9
        ratios.append(ratio)
    worst = np.min(ratios, axis=0)
    assert np.median(worst[count > 4]) < 26
    assert bins.max() > 50
    # Inner bins are small.
    assert np.count_nonzero(bins == bins[75, 85]) <= 4


def test_bins_hold_means_and_errors_and_keep_the_flux(galaxy):
    binned = bin_images(galaxy, 20)
    bins = np.asarray(binned.bins)
    inside = bins >= 0
    for band in galaxy:
        before, after = (i.to_arrays(bands=[band])[0][0] for i in (galaxy, binned))
        assert after[inside].sum(dtype=float) == pytest.approx(
            before[inside].sum(dtype=float), rel=1e-4
        )
        number = bins[75, 95]
        sigma = binned[band].uncertainty.array[75, 95]
        n = np.count_nonzero(bins == number)
        assert sigma == pytest.approx(
            galaxy[band].uncertainty.array[75, 95] / np.sqrt(n), rel=1e-3
        )
    assert binned["sdss2010-r"].mask[~inside].all()


def test_correlated_noise_makes_larger_bins(galaxy):
    correlated = galaxy.replace(noise_scaling=NoiseScaling([1, 1000], [1.0, 8.0]))
    plain, careful = (np.max(i.bins) for i in (bin_images(galaxy, 20), bin_images(correlated, 20)))
    assert careful < 0.8 * plain


def test_bins_are_round_and_whole():
    from scipy.ndimage import label

    y, x = np.indices((60, 70))
    signal = 8 * np.exp(-np.hypot(y - 30, x - 35) / 8)
    bins = grow_bins(signal, np.ones(signal.shape), 12.0)
    assert sorted(np.unique(bins)) == list(range(bins.max() + 1))
    pieces = [label(bins == number, np.ones((3, 3)))[1] for number in range(bins.max() + 1)]
    assert np.mean(np.array(pieces) == 1) > 0.9
    inner = bins[30, 45]
    rows, columns = np.nonzero(bins == inner)
    assert max(np.ptp(rows), np.ptp(columns)) + 1 <= 2.2 * np.sqrt(rows.size)


def test_too_little_signal_is_one_bin():
    bins = grow_bins(np.full((5, 5), 0.1), np.ones((5, 5)), 100.0)
    assert (bins == 0).all()


def test_pixels_that_do_not_count():
    signal, variance = np.full((8, 8), 2.0), np.ones((8, 8))
    variance[0, 0] = 0
    where = np.ones((8, 8), bool)
    where[:, 7] = False
    bins = grow_bins(signal, variance, 3.0, where=where)
    assert bins[0, 0] == -1
    assert (bins[:, 7] == -1).all()
    assert sorted(np.unique(bins)) == list(range(-1, bins.max() + 1))


def test_given_bins_and_what_is_refused(galaxy):
    bins = np.zeros(galaxy.shape, int)
    bins[:50] = -1
    binned = apply_bins(galaxy, bins)
    assert np.ptp(binned["sdss2010-r"].data[50:]) == 0
    with pytest.raises(InvalidInputError, match="positive numbers"):
        grow_bins(np.ones((4, 4)), np.ones((4, 4)), -3)
    with pytest.raises(InvalidInputError, match="already binned"):
        bin_images(binned, 10)
    with pytest.raises(InvalidInputError, match="no bin"):
        apply_bins(galaxy, np.full(galaxy.shape, -1))


def test_a_dark_center_does_not_swallow_the_galaxy():
    # Two bright spots with nothing between them, where the center of all light lies.
    y, x = np.indices((40, 60))
    signal = sum(30.0 * np.exp(-0.5 * ((y - 20) ** 2 + (x - at) ** 2) / 9.0) for at in (12, 48))
    bins = grow_bins(signal[None], np.ones((1, 40, 60)), snr=10.0)
    assert bins.max() >= 20
    assert bins[20, 12] != bins[20, 48]


def _two_bands(masks, shape=(4, 6)):
    """Two bands of one color, brighter to the right, with masks of their own."""
    slope = np.tile(np.linspace(1, 6, shape[1]), (shape[0], 1))
    ccds = {
        band: CCDData(
            factor * slope, unit="nmgy", mask=mask, uncertainty=StdDevUncertainty(0.1 * slope)
        )
        for band, factor, mask in zip(("sdss2010-g", "sdss2010-r"), (1.0, 2.0), masks, strict=True)
    }
    return BandImages(ccds, redshift=0.02, pixel_scale=0.4 * u.arcsec)


def test_all_bands_of_a_bin_are_means_over_the_same_pixels():
    mask = np.zeros((4, 6), bool)
    mask[:, 4:] = True  # of g alone, where both are brightest
    binned = apply_bins(_two_bands((mask, np.zeros_like(mask))), np.zeros((4, 6), int))
    flux, precision = binned.to_arrays()
    np.testing.assert_allclose(flux[1] / flux[0], 2.0, rtol=1e-6)
    np.testing.assert_allclose(flux[0], 2.5, rtol=1e-6)
    assert np.all(precision > 0)


def test_a_band_with_less_than_half_of_a_bin_is_masked_there_and_costs_the_others_nothing():
    mask = np.zeros((4, 6), bool)
    mask[:, 1:] = True
    binned = apply_bins(_two_bands((mask, np.zeros_like(mask))), np.zeros((4, 6), int))
    flux, precision = binned.to_arrays()
    assert np.all(precision[0] == 0)
    np.testing.assert_allclose(flux[1], 7.0, rtol=1e-6)
