"""Flux, masks, noise and PSF through a change of pixel grid."""

import astropy.units as u
import numpy as np
import pytest
import reproject
from astropy.nddata import CCDData, InverseVariance, StdDevUncertainty
from astropy.wcs import WCS

from picasssso.bands import BandImages, NoiseScaling, align, resampling
from picasssso.bands.resampling import METHODS, resampling_weights

G, R = "sdss2010-g", "sdss2010-r"
SIDE = 36
TARGETS = [(0.5, 33.0), (1.0, 33.0), (1.7, 0.0), (1.7, 33.0)]


def gaussian(shape, x, y, sigma):
    rows, columns = np.indices(shape)
    return np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2))


@pytest.fixture(scope="module")
def target(make_wcs):
    """Return a function: a grid around the same center that holds the rotated image."""

    def make(scale, rotation, side=SIDE):
        side = int(np.ceil(1.45 * side / scale))
        return make_wcs((side, side), scale=0.4 * scale, rotation=rotation), (side, side)

    return make


@pytest.fixture(scope="module")
def galaxy(make_wcs):
    """A Gaussian well inside the image, off the pixel centers, in several units."""
    shape = (SIDE, SIDE)
    flux = gaussian(shape, 17.3, 18.8, 2.9)
    wcs = make_wcs(shape)
    softening = 1e-10
    magnitudes = -2.5 / np.log(10) * (np.arcsinh(flux / (2e9 * softening)) + np.log(softening))
    images = {
        "sdss2010-u": (flux, "nmgy"),
        "sdss2010-g": (flux / 0.16, "nmgy / arcsec2"),
        "sdss2010-r": (flux, "adu"),
        "sdss2010-i": (flux * 1e-18, "erg / (s cm2 AA)"),
        "sdss2010-z": (magnitudes, "mag"),
    }
    return BandImages(
        {b: CCDData(values, unit=unit, wcs=wcs) for b, (values, unit) in images.items()},
        redshift=0.1,
        zero_point=27 * u.ABmag,
        asinh_softening={"sdss2010-z": softening},
    )


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("scale", "rotation"), TARGETS)
def test_flux_is_conserved(galaxy, target, method, scale, rotation):
    grid, shape = target(scale, rotation)
    found = galaxy.reproject_to(grid, shape, method=method)
    before, after = (np.sum(images.to_arrays()[0], axis=(1, 2)) for images in (galaxy, found))
    np.testing.assert_allclose(after, before, rtol=1e-5 if method == "exact" else 1e-3)
    units = [found[band].unit for band in found]
    assert units == [*(galaxy[band].unit for band in galaxy.bands[:4]), u.nmgy]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("scale", "rotation"), TARGETS)
def test_weights_are_those_of_reproject(make_wcs, method, scale, rotation):
    """The matrix found with combs does what reproject does to any image."""
    shape_in, shape_out = (31, 27), (22, 24)
    wcs_in = make_wcs(shape_in, sip=True)
    wcs_out = make_wcs(shape_out, scale=0.4 * scale, rotation=rotation)
    image = np.random.default_rng(0).normal(size=shape_in)
    weights = resampling_weights(wcs_in, shape_in, wcs_out, shape_out, method)
    found = (weights.matrix @ image.ravel()).reshape(shape_out)
    coverage = weights.matrix.sum(axis=1).reshape(shape_out)
    function = getattr(reproject, f"reproject_{method}")
    expected, footprint = function((image, wcs_in), wcs_out, shape_out=shape_out)
    whole = (footprint > 1 - 1e-9) & np.isfinite(expected)
    assert whole.sum() > 150
    np.testing.assert_allclose(found[whole], expected[whole], atol=1e-8)
    np.testing.assert_allclose(coverage[whole], 1, atol=1e-7)


def test_blocks_do_not_show(galaxy, target, monkeypatch):
    grid, shape = target(1.7, 33)
    whole = galaxy.reproject_to(grid, shape)
    monkeypatch.setattr(resampling, "_STACK_SIZE", 3e4)
    in_blocks = galaxy.reproject_to(grid, shape)
    for one, two in zip(whole.to_arrays(), in_blocks.to_arrays(), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("method", METHODS)
def test_flat_sky_stays_flat(make_wcs, target, method):
    shape = (40, 40)
    flat = {
        G: CCDData(np.full(shape, 3.0), unit="nmgy / arcsec2", wcs=make_wcs(shape)),
        R: CCDData(np.full(shape, 3.0), unit="nmgy", wcs=make_wcs(shape)),
    }
    grid, shape = target(1.7, 33, 40)
    found = BandImages(flat, redshift=0.1).reproject_to(grid, shape, method=method)
    for band, expected in ((G, 3.0), (R, 3.0 * 1.7**2)):
        values = found[band].data[~found[band].mask]
        assert values.size > 300
        # Also where only part of a pixel lies on the image: the part stands for the whole.
        np.testing.assert_allclose(values, expected, rtol=2e-5)


@pytest.fixture(scope="module")
def binned_two_by_two(make_wcs):
    """Grids of which every coarse pixel holds exactly 2 x 2 fine ones."""
    fine, coarse = make_wcs((12, 12)), make_wcs((6, 6), scale=0.8)
    return fine, coarse


def test_known_answer_of_binning(binned_two_by_two):
    """Sums of four pixels, of which masked ones are made up for by the others."""
    fine, coarse = binned_two_by_two
    rng = np.random.default_rng(3)
    data, sigma = rng.normal(5, 1, (12, 12)), rng.uniform(0.5, 2, (12, 12))
    mask = np.zeros((12, 12), bool)
    for (y, x), n_bad in {(2, 2): 1, (4, 6): 2, (6, 8): 3, (8, 4): 4}.items():
        mask[y : y + 2, x : x + 2] = np.arange(4).reshape(2, 2) < n_bad
    data[mask] = np.where(np.arange(mask.sum()) % 2, 1e30, np.nan)
    sigma[3, 9] = np.nan  # invalid for another reason
    ccd = CCDData(data, unit="nmgy", wcs=fine, mask=mask, uncertainty=StdDevUncertainty(sigma))
    found = BandImages({R: ccd}, redshift=0.1).reproject_to(coarse, (6, 6))
    valid = ~mask & np.isfinite(sigma)
    blocks = [
        np.where(valid, a, 0).reshape(6, 2, 6, 2).sum(axis=(1, 3))
        for a in (np.ones((12, 12)), np.nan_to_num(data), np.nan_to_num(sigma) ** 2)
    ]
    n_valid, flux, variance = blocks
    assert sorted(set(n_valid.ravel())) == [0, 1, 2, 3, 4]
    good = n_valid >= 2
    n_valid = np.maximum(n_valid, 1)
    assert np.array_equal(found[R].mask, ~good)
    np.testing.assert_allclose(found[R].data[good], (flux * 4 / n_valid)[good], rtol=1e-6)
    expected = (np.sqrt(variance) * 4 / n_valid)[good]
    np.testing.assert_allclose(found[R].uncertainty.array[good], expected, rtol=1e-6)
    assert np.isnan(found[R].data[~good]).all()
    assert found.noise_scaling[R](36) == pytest.approx(1, abs=1e-3)  # pixels share nothing


def test_known_answer_of_splitting(binned_two_by_two):
    """Each fine pixel holds a quarter; four of them share all their noise."""
    fine, coarse = binned_two_by_two
    data = np.random.default_rng(3).normal(5, 1, (6, 6))
    ccd = CCDData(data, unit="nmgy", wcs=coarse, uncertainty=InverseVariance(np.full((6, 6), 4.0)))
    images = BandImages({R: ccd}, redshift=0.1, sky_error=0.3 * u.nmgy, psf=2 * u.arcsec)
    found = images.reproject_to(fine, (12, 12))
    np.testing.assert_allclose(found[R].data, np.kron(data, np.ones((2, 2))) / 4, rtol=1e-6)
    np.testing.assert_allclose(found[R].uncertainty.array, 0.5 / 4, rtol=1e-6)
    scaling = found.noise_scaling[R]
    assert scaling(1) == 1
    # 2 x 2 at the 4 places: whole, two halves (twice), four corners: 16 (4 + 2 + 2 + 1) / 4.
    assert scaling(4) == pytest.approx((4 + 2 + 2 + 1) / 4, rel=0.03)
    assert scaling(1e6) == pytest.approx(4, rel=0.02)
    assert found.sky_error_nmgy(R) == pytest.approx(0.3 / 4, rel=1e-5)
    # Moved by a quarter of 0.8 arcsec in each axis.
    expected = np.hypot(2, np.sqrt(8 * np.log(2)) * 0.2)
    assert found.psf_fwhm(R).to_value(u.arcsec) == pytest.approx(expected, rel=1e-4)


def test_whole_pixel_shift_changes_nothing(make_wcs):
    wcs = make_wcs((20, 20))
    rng = np.random.default_rng(0)
    sigma = rng.uniform(1, 2, (20, 20))
    ccd = CCDData(
        rng.normal(size=(20, 20)), unit="nmgy", wcs=wcs, uncertainty=StdDevUncertainty(sigma)
    )
    images = BandImages({R: ccd}, redshift=0.1, psf=1 * u.arcsec)
    found = images.reproject_to(wcs[3:15, 5:30], (12, 25))
    np.testing.assert_allclose(found[R].data[:, :15], ccd.data[3:15, 5:], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found[R].uncertainty.array[:, :15], sigma[3:15, 5:], rtol=1e-5)
    assert np.array_equal(found[R].mask[0], np.arange(25) >= 15)
    assert found.noise_scaling[R](100) == pytest.approx(1, abs=1e-4)
    assert found.psf_fwhm(R).to_value(u.arcsec) == pytest.approx(1, abs=1e-3)


def test_same_grid_is_left_alone(galaxy):
    assert galaxy.reproject_to(galaxy.wcs) is galaxy


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("scale", "rotation"), [(0.5, 33.0), (1.0, 10.0), (1.7, 33.0)])
def test_noise_of_sums(make_wcs, target, method, scale, rotation):
    """Sums over squares of resampled white noise scatter as recorded, single pixels too."""
    shape = (110, 110)
    rng = np.random.default_rng(11)
    ccd = CCDData(
        rng.normal(0, 2, shape),
        unit="nmgy",
        wcs=make_wcs(shape),
        uncertainty=StdDevUncertainty(np.full(shape, 2.0)),
    )
    images = BandImages({R: ccd}, redshift=0.1)
    side = int(72 / scale)
    found = images.reproject_to(
        make_wcs((side, side), scale=0.4 * scale, rotation=rotation), (side, side), method=method
    )
    data, variance = found[R].data.astype(float), found[R].uncertainty.array.astype(float) ** 2
    assert not found[R].mask.any()
    for k in (1, 3, 8):
        n = side // k
        sums, expected = (
            a[: n * k, : n * k].reshape(n, k, n, k).sum(axis=(1, 3)) for a in (data, variance)
        )
        ratio = np.mean(sums**2) / (expected.mean() * found.noise_scaling[R](k * k))
        independent = min(n * n, (72 / max(k * scale, 1.5)) ** 2)
        assert ratio == pytest.approx(1, abs=4 * np.sqrt(2 / independent) + 0.02), k


def test_noise_that_was_correlated_before(make_wcs):
    """Resampling twice: the records multiply, and still say how sums scatter."""
    shape = (130, 130)
    ccd = CCDData(
        np.random.default_rng(2).normal(0, 1, shape),
        unit="nmgy",
        wcs=make_wcs(shape),
        uncertainty=StdDevUncertainty(np.ones(shape)),
    )
    once = BandImages({R: ccd}, redshift=0.1).reproject_to(
        make_wcs((115, 115), rotation=20), (115, 115), method="adaptive"
    )
    coarse = make_wcs((40, 40), scale=0.8, rotation=45)
    twice = once.reproject_to(coarse, (40, 40))
    valid = ~twice[R].mask
    found = np.std(twice[R].data[valid])
    # The single pixel is good to the approximation that it covers a square.
    assert np.median(twice[R].uncertainty.array[valid]) == pytest.approx(found, rel=0.1)
    sums = np.where(valid, twice[R].data, 0).reshape(10, 4, 10, 4).sum(axis=(1, 3))
    expected = np.where(valid, twice[R].uncertainty.array ** 2, 0).reshape(10, 4, 10, 4)
    expected = expected.sum(axis=(1, 3)) * twice.noise_scaling[R](16)
    assert np.mean(sums**2 / expected) == pytest.approx(1, abs=0.45)


@pytest.mark.parametrize(
    ("method", "scale", "rotation", "as_kernel"),
    [
        ("exact", 0.5, 33.0, False),
        ("exact", 1.7, 10.0, True),
        ("adaptive", 1.7, 33.0, True),
        ("adaptive", 0.5, 10.0, False),
        ("interp", 0.5, 33.0, False),
        ("interp", 1.0, 10.0, True),
    ],
)
def test_psf_broadens_as_recorded(make_wcs, target, method, scale, rotation, as_kernel):
    """Stars at random places, resampled; their mean second moment against the PSF."""
    shape, sigma = (60, 60), 2.2
    rng = np.random.default_rng(8)
    places = 15 + 30.0 * np.indices((2, 2)).reshape(2, -1) + rng.uniform(-0.5, 0.5, (2, 4))
    stars = sum(gaussian(shape, x, y, sigma) for x, y in places.T)
    width = np.sqrt(8 * np.log(2))
    psf = gaussian((31, 31), 15, 15, sigma) if as_kernel else sigma * width * 0.4 * u.arcsec
    images = BandImages(
        {R: CCDData(stars, unit="nmgy", wcs=make_wcs(shape))}, redshift=0.1, psf=psf
    )
    found = images.reproject_to(*target(scale, rotation, 60), method=method)
    moments = []
    sky = images.wcs.pixel_to_world(*places)
    for x, y in np.transpose(found.wcs.world_to_pixel(sky)):
        radius = int(5.5 * sigma / scale)
        yy, xx = np.mgrid[-radius : radius + 1, -radius : radius + 1] + np.rint([[[y]], [[x]]])
        star = np.nan_to_num(found[R].data[yy.astype(int), xx.astype(int)].astype(float))
        star /= star.sum()
        center = (star * xx).sum(), (star * yy).sum()
        assert center == pytest.approx((x, y), abs=0.05)  # where it was
        moments.append((((xx - center[0]) ** 2 + (yy - center[1]) ** 2) * star).sum() / 2)
    measured = np.sqrt(np.mean(moments)) * width * 0.4 * scale
    recorded = found.psf_fwhm(R).to_value(u.arcsec)
    assert recorded == pytest.approx(measured, rel=0.015)
    assert recorded > images.psf_fwhm(R).to_value(u.arcsec)
    if as_kernel:
        assert found.psf[R].shape[0] % 2 == 1
        assert found.psf[R].sum() == pytest.approx(1)


def test_bins_and_labels_take_the_nearest_pixel(make_wcs):
    """Binned fluxes stay constant over a bin, and so does the error that they share."""
    shape = (30, 30)
    bins = (np.indices(shape)[0] // 10 * 3 + np.indices(shape)[1] // 10).astype(np.int16)
    values = np.arange(1.0, 10)
    ccd = CCDData(
        values[bins],
        unit="nmgy",
        wcs=make_wcs(shape),
        uncertainty=StdDevUncertainty(0.1 * values[bins]),
    )
    images = BandImages({R: ccd}, redshift=0.1, bins=bins, labels=bins.astype(np.uint8) + 1)
    found = images.reproject_to(make_wcs((40, 40), scale=0.2, rotation=30), (40, 40))
    assert found.bins.dtype == np.int16
    assert set(np.unique(found.bins)) == set(range(9))
    assert np.array_equal(found.labels, found.bins + 1)
    np.testing.assert_allclose(found[R].data, values[found.bins] / 4, rtol=1e-6)
    np.testing.assert_allclose(found[R].uncertainty.array, 0.1 * values[found.bins] / 4, rtol=1e-6)
    wide = images.reproject_to(make_wcs((100, 100), scale=0.4), (100, 100))
    assert wide.bins.min() == -1
    assert wide.labels.min() == 0
    assert np.array_equal(wide.bins < 0, wide[R].mask)


def test_distorted_images_go_where_they_belong(make_wcs):
    """A source in the corner of a SIP image lands on its sky position, with its flux."""
    shape = (80, 80)
    ccd = CCDData(gaussian(shape, 68, 12, 2.0), unit="nmgy", wcs=make_wcs(shape, sip=True))
    images = BandImages({R: ccd}, redshift=0.1)
    found = images.reproject_to(make_wcs((120, 120), scale=0.35), (120, 120))
    data = np.nan_to_num(found[R].data)
    y, x = (np.sum(data * axis) / data.sum() for axis in np.indices(data.shape))
    there = images.wcs.pixel_to_world(68, 12)
    assert found.wcs.pixel_to_world(x, y).separation(there).arcsec < 0.01
    undistorted = make_wcs(shape).pixel_to_world(68, 12)
    assert there.separation(undistorted).arcsec > 0.1
    # To the interpolation of the distorted pixels' areas.
    assert data.sum() == pytest.approx(ccd.data.sum(), rel=1e-4)


def test_band_without_data_there_is_only_masked(make_wcs):
    """As in a slice; but a grid on which nothing lies at all is an error."""
    mask = np.zeros((20, 20), bool)
    mask[:, 10:] = True
    ccds = {
        band: CCDData(np.ones((20, 20)), unit="nmgy", wcs=make_wcs((20, 20)), mask=m)
        for band, m in ((G, None), (R, mask))
    }
    images = BandImages(ccds, redshift=0.1)
    found = images.reproject_to(make_wcs((20, 20), scale=0.3)[:, 12:], (20, 8), method="interp")
    assert found[R].mask.all()
    assert not found[G].mask.any()
    with pytest.raises(ValueError, match="no overlap"):
        images.reproject_to(make_wcs((20, 20))[:, 20:], (20, 8), method="interp")


def test_header_as_grid_and_big_endian_images(make_wcs, target):
    grid, shape = target(1.7, 33, 24)
    header = grid.to_header()
    header["NAXIS"], header["NAXIS1"], header["NAXIS2"] = 2, shape[1], shape[0]
    data = np.random.default_rng(0).normal(size=(24, 24))
    found = [
        BandImages(
            {R: CCDData(data.astype(dtype), unit="nmgy", wcs=make_wcs((24, 24)))}, redshift=0.1
        ).reproject_to(*to)
        for dtype, to in ((">f4", (header,)), ("<f8", (grid, shape)))
    ]
    a, b = (images.to_arrays()[0] for images in found)
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_progress_bar(galaxy, target, monkeypatch, capsys):
    monkeypatch.setattr(resampling, "_STACK_SIZE", 2e4)
    images, (grid, shape) = galaxy[8:28, 8:28], target(1.0, 33, 20)
    images.reproject_to(grid, shape, progress=True)
    assert "reproject" in capsys.readouterr().err
    images.reproject_to(grid, shape, progress=False)
    images.reproject_to(grid, shape)  # not a terminal
    assert capsys.readouterr().err == ""


# ---- align --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def misaligned(make_wcs):
    """The same Gaussian galaxy seen by two cameras."""
    bands = {}
    for band, scale, side, rotation, unit in (
        ("g", 0.4, 60, 0.0, "nmgy"),
        ("twomass-Ks", 1.0, 30, 20.0, "adu"),
    ):
        wcs = make_wcs((side, side), scale=scale, rotation=rotation)
        sigma = 3.0 / scale  # 3 arcsec
        data = gaussian((side, side), (side - 1) / 2, (side - 1) / 2, sigma) * scale**2
        noise = StdDevUncertainty(np.full((side, side), 0.1))
        bands[band] = CCDData(data, unit=unit, wcs=wcs, uncertainty=noise)
    return bands


def test_align_onto_a_band(misaligned):
    images = align(
        misaligned,
        onto="g",
        survey="sdss",
        redshift=0.1,
        zero_point=22.5 * u.ABmag,
        psf={"g": 1.2 * u.arcsec, "twomass-Ks": 2.9 * u.arcsec},
        sky_error={"twomass-Ks": 0.2 * u.adu},
        bins=None,
        meta={"a": 1},
    )
    assert images.bands == (G, "twomass-Ks")
    assert images.shape == (60, 60)
    # The band that was on the grid is untouched; the other has lost nothing.
    assert np.shares_memory(images[G].data, misaligned["g"].data)
    assert images.noise_scaling[G] == NoiseScaling.white()
    assert images.noise_scaling["twomass-Ks"](100) > 2
    assert images.psf_fwhm(G) == 1.2 * u.arcsec
    assert 2.9 < images.psf_fwhm("twomass-Ks").to_value(u.arcsec) < 3.1
    assert images.sky_error_nmgy("twomass-Ks") == pytest.approx(0.2 * 0.16, rel=1e-4)
    assert images.meta == {"a": 1}
    flux, _ = images.to_arrays()
    central = (slice(None), slice(10, 50), slice(10, 50))
    total = 2 * np.pi * 3.0**2
    assert flux.sum(axis=(1, 2)) == pytest.approx([total, total], rel=1e-3)
    np.testing.assert_allclose(flux[central][0], flux[central][1], atol=0.012)


def test_align_onto_a_grid(misaligned, make_wcs):
    grid = make_wcs((50, 50), scale=0.7)
    one = align(misaligned, onto=grid, shape=(50, 50), survey="sdss", redshift=0.1,
                zero_point={"twomass-Ks": 22.5 * u.ABmag}, method="adaptive")  # fmt: skip
    grid.array_shape = (50, 50)
    two = align(list(misaligned.items()), onto=grid, survey="sdss", redshift=0.1,
                zero_point=22.5 * u.ABmag, method="adaptive")  # fmt: skip
    assert one.shape == two.shape == (50, 50)
    assert np.array_equal(one.to_arrays(), two.to_arrays())
    assert isinstance(one.wcs, WCS)


# ---- a real galaxy ------------------------------------------------------------------------


# The bar first: half and 1.7 times the pixel scale, rotated by 33 degrees.
REAL_CASES = [("exact", 0.5, 33.0), ("exact", 1.7, 33.0), ("adaptive", 1.7, 33.0)]
MORE_CASES = [
    (method, scale, rotation)
    for method in METHODS
    for scale in (0.5, 1.7)
    for rotation in (0.0, 33.0)
    if (method, scale, rotation) not in REAL_CASES
]


@pytest.mark.parametrize(
    ("method", "scale", "rotation"),
    REAL_CASES + [pytest.param(*case, marks=pytest.mark.slow) for case in MORE_CASES],
)
def test_flux_of_a_real_galaxy(shared_data, make_wcs, method, scale, rotation):
    """The DES galaxy keeps its flux inside 24 arcsec of the nucleus to 0.5 %."""
    from astropy.coordinates import SkyCoord
    from photutils.aperture import SkyCircularAperture

    path = shared_data / "real" / "j0151_des" / "DES_r.fits"
    images = BandImages.read({"decam2014-r": f"{path}[SCI]"}, redshift=0.02, weight="WGT")
    nucleus = SkyCoord(27.952, 0.264, unit="deg")
    images = images.cutout(nucleus, 186)
    side = int(188 / scale)
    grid = make_wcs(
        (side, side),
        scale=0.263 * scale,
        rotation=rotation,
        center=(float(nucleus.ra.deg), float(nucleus.dec.deg)),
    )
    found = images.reproject_to(grid, (side, side), method=method)
    totals = []
    for each in (images, found):
        aperture = SkyCircularAperture(nucleus, 24 * u.arcsec).to_pixel(each.wcs)
        totals.append(aperture.do_photometry(each.to_arrays()[0][0].astype(float))[0][0])
    assert totals[1] == pytest.approx(totals[0], rel=5e-3)
