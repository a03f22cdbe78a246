"""PSFs measured from stars, and images brought to one PSF."""

import warnings
from itertools import pairwise

import astropy.units as u
import numpy as np
import pytest
from photutils.aperture import CircularAperture

from picasssso.bands.psf_width import kernel_fwhm
from picasssso.exceptions import InvalidInputError, PicassssoWarning
from picasssso.preparation import match_psf, storage
from picasssso.preparation import psf_matching as module
from picasssso.preparation.psf import measure_psf, model_psf, with_measured_psf
from picasssso.preparation.psf_matching import match_quality, matching_kernel

from .conftest import FWHM, SCALE, galaxy_light, make_field


def test_psf_from_stars(field):
    images, true = field
    measured = with_measured_psf(images)
    (record,) = measured.meta["preparation"]
    for band, kernel in true.items():
        assert record["stars"][band] >= 4
        found = kernel_fwhm(measured.psf[band])
        assert found == pytest.approx(kernel_fwhm(kernel), rel=0.04)
        assert measured.psf[band].sum() == pytest.approx(1)


def test_psf_of_given_stars(field):
    images, true = field
    stars = measure_psf(images, "sdss2010-r").positions
    found = measure_psf(images, "sdss2010-r", stars=stars[:4])
    assert found.fwhm_pixels == pytest.approx(kernel_fwhm(true["sdss2010-r"]), rel=0.05)


def test_no_stars_is_said_and_not_made_up():
    images, _ = make_field((120, 120), n_stars=0)
    assert measure_psf(images, "sdss2010-r") is None
    with pytest.warns(PicassssoWarning, match="psf="):
        same = with_measured_psf(images)
    assert not same.psf
    assert same.meta["preparation"][-1]["stars"]["sdss2010-g"] == 0


@pytest.mark.parametrize("profile", ["moffat", "gaussian"])
@pytest.mark.parametrize(("source", "target"), [(3.0, 4.5), (2.5, 3.0), (4.0, 4.2), (2.2, 6.0)])
def test_kernels_match_without_ringing(profile, source, target):
    one, two = (model_psf(width, profile=profile) for width in (source, target))
    kernel = matching_kernel(one, two)
    quality = match_quality(one, two, kernel)
    assert kernel.sum() == pytest.approx(1)
    assert abs(quality.aperture_error_mag) < 0.005
    assert quality.residual < 0.02
    assert quality.ring < 1e-3
    assert quality.ringing < 0.5


def test_rings_of_stars_after_matching_measured_psfs():
    """Judged on the profiles of the true PSFs, which nothing here has seen."""
    images, true = make_field((420, 430), n_stars=25)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PicassssoWarning)
        measured = with_measured_psf(images)
        matched = match_psf(measured)
    goal = true["sdss2010-g"]
    for band in ("sdss2010-r", "sdss2010-i"):
        kernel = matching_kernel(measured.psf[band], measured.psf["sdss2010-g"])
        assert match_quality(true[band], goal, kernel).ring < 3e-3
        assert matched.meta["preparation"][-1]["bands"][band]["ring"] < 2e-3


def test_rings_that_are_left_warn_with_the_figure(field):
    images, psf = field
    rng = np.random.default_rng(3)
    noisy = {
        band: np.maximum(kernel + rng.normal(0, 0.0015 * kernel.max(), kernel.shape), 0)
        for band, kernel in psf.items()
    }
    with pytest.warns(PicassssoWarning, match=r"rings around stars in .* \(\d\.\d\d %\)"):
        match_psf(images.replace(psf=noisy))


def test_elongated_psfs_that_cannot_be_matched_warn(field):
    images, _ = field
    y, x = np.indices((41, 41)) - 20
    wide = np.exp(-0.5 * (x / 3.2) ** 2 - 0.5 * (y / 1.2) ** 2)
    tall = np.exp(-0.5 * (x / 1.2) ** 2 - 0.5 * (y / 3.0) ** 2)
    bands = images.select(["sdss2010-g", "sdss2010-r"]).replace(
        psf={"sdss2010-g": wide, "sdss2010-r": tall}
    )
    with pytest.warns(PicassssoWarning, match="broader target"):
        matched = match_psf(bands)
    quality = matched.meta["preparation"][-1]["bands"]["sdss2010-r"]
    assert quality["residual"] > 0.1


def test_rings_have_their_figure_beside_that_of_apertures(field):
    images, _ = field
    y, x = np.indices((41, 41)) - 20
    round_ = np.exp(-0.5 * (x**2 + y**2) / 1.9**2)
    tall = np.exp(-0.5 * (x / 1.0) ** 2 - 0.5 * (y / 2.9) ** 2)
    bands = images.select(["sdss2010-g", "sdss2010-r"]).replace(
        psf={"sdss2010-g": round_, "sdss2010-r": tall}
    )
    with pytest.warns(PicassssoWarning, match=r"mag, rings of \d\.\d\d %\)"):
        match_psf(bands, "sdss2010-g")


def colors(planes, radius, center):
    sums = [CircularAperture(center, radius).do_photometry(p.astype(float))[0][0] for p in planes]
    return [-2.5 * np.log10(a / b) for a, b in pairwise(sums)]


def test_colors_at_one_fwhm_and_total_flux():
    """The bars: 0.02 mag in colors, 0.3 % in flux, and that without matching they fail."""
    images, psf = make_field((241, 241), n_stars=0, sigma=0.0, size=4.0)
    images = images.replace(psf=psf)
    matched = match_psf(images)
    center, radius = (120, 120), FWHM["g"] / 2
    before, after = (colors(i.to_arrays()[0], radius, center) for i in (images, matched))
    true = [-2.5 * np.log10(0.6 / 1.0), -2.5 * np.log10(1.0 / 1.3)]
    assert np.max(np.abs(np.subtract(after, true))) < 0.02
    assert np.max(np.abs(np.subtract(before, true))) > 0.05
    for one, two in zip(images.to_arrays()[0], matched.to_arrays()[0], strict=True):
        assert two.sum(dtype=float) == pytest.approx(one.sum(dtype=float), rel=0.003)


def test_a_neighbor_keeps_its_flux():
    extra = np.zeros((201, 201))
    extra[100, 140] = 30.0
    images, psf = make_field((201, 201), n_stars=0, sigma=0.0, extra=extra, flux=1e-6)
    matched = match_psf(images.replace(psf=psf), target=2.5 * u.arcsec)
    for plane in matched.to_arrays()[0]:
        flux = CircularAperture((140, 100), 30).do_photometry(plane.astype(float))[0][0]
        assert flux == pytest.approx(30, rel=0.01)


def test_masked_pixels_do_not_spread(field):
    images, psf = field
    hole = np.zeros(images.shape, bool)
    hole[98:103, 110:115] = True
    records = {b: r.add_mask(hole) for b, r in images._records.items()}
    holed = images._derive(records=records).replace(psf=psf)
    matched, plain = match_psf(holed), match_psf(images.replace(psf=psf))
    mask = matched["sdss2010-i"].mask
    assert mask[100, 112]
    assert mask.sum() < 150
    difference = matched["sdss2010-i"].data - plain["sdss2010-i"].data
    peak = plain["sdss2010-i"].data.max()
    assert np.abs(difference[~mask]).max() < 0.05 * peak


def test_blocks_with_a_halo_are_the_whole(field, monkeypatch, tmp_path):
    images, psf = field
    images = images.replace(psf=psf)
    whole = match_psf(images)
    monkeypatch.setattr(
        module, "transform", lambda *a, **k: storage.transform(*a, **{**k, "bytes_per_pixel": 2e4})
    )
    blocks = match_psf(images, folder=tmp_path)
    for band in images:
        np.testing.assert_allclose(blocks[band].data, whole[band].data, atol=2e-5)
        np.testing.assert_allclose(
            blocks[band].uncertainty.array, whole[band].uncertainty.array, rtol=1e-4
        )


def test_targets(field):
    images, psf = field
    images = images.replace(psf=psf)
    to_band = match_psf(images, "sdss2010-g")
    assert to_band.meta["preparation"][-1]["target"] == "sdss2010-g"
    to_fwhm = match_psf(images, 2.4 * u.arcsec)
    assert to_fwhm.psf_fwhm("sdss2010-i").value == pytest.approx(2.4, rel=0.03)
    with pytest.raises(InvalidInputError, match="cannot sharpen"):
        match_psf(images, "sdss2010-i")
    with pytest.raises(InvalidInputError, match="Check its unit"):
        match_psf(images, 2.4 * u.deg)
    with pytest.raises(InvalidInputError, match="Check its unit"):
        match_psf(images.replace(psf=2 * u.deg))
    with pytest.raises(InvalidInputError, match="expected an angle"):
        match_psf(images, 2.4 * u.kpc)
    with pytest.raises(InvalidInputError, match="sdss2010-z"):
        match_psf(images, "sdss2010-z")
    with pytest.raises(InvalidInputError, match="with_measured_psf"):
        match_psf(images.replace(psf={"sdss2010-g": 1 * u.arcsec}))


def test_widths_alone_are_enough(field):
    images, _ = field
    psf = {f"sdss2010-{band}": width * SCALE * u.arcsec for band, width in FWHM.items()}
    matched = match_psf(images.replace(psf=psf))
    widths = {kernel_fwhm(kernel) for kernel in matched.psf.values()}
    assert len(widths) == 1
    assert galaxy_light((9, 9)).shape == (9, 9)


@pytest.mark.parametrize("width", [1.2, 3.0, 8.0])
def test_the_width_is_that_of_the_whole_kernel_interpolated(width):
    from scipy.ndimage import zoom

    kernel = model_psf(width)
    rng = np.random.default_rng(1)
    kernel = kernel + rng.normal(0, 0.02 * kernel.max(), kernel.shape)
    fine = zoom(np.pad(kernel, 2), 16, order=3, mode="grid-constant", grid_mode=True)
    area = np.count_nonzero(fine > fine.max() / 2) / 16**2
    assert kernel_fwhm(kernel) == pytest.approx(2 * np.sqrt(area / np.pi), rel=1e-6)


def test_a_kernel_of_nothing_has_no_width():
    assert kernel_fwhm(np.zeros((7, 7))) == 0


@pytest.mark.parametrize("profile", ["moffat", "gaussian"])
@pytest.mark.parametrize("width", [1.5, 2.0, 3.03, 8.0])
def test_a_stated_width_is_that_of_the_kernel_on_pixels(width, profile):
    """Stars on the image have it, so that the average over pixels must not widen it again."""
    assert kernel_fwhm(model_psf(width, profile=profile)) == pytest.approx(width, rel=0.02)
