"""Images of cubes of a mock are the mock's images."""

import astropy.units as u
import numpy as np
import pytest
from astropy.nddata import CCDData, StdDevUncertainty
from ifu_layouts import write_califa, write_manga, write_muse, write_sami

from picasssso import BandImages, GalacticExtinction, SEDFitEstimator
from picasssso.exceptions import InvalidInputError
from picasssso.ifu import box_filter, read_cube, synthetic_images
from picasssso.ifu.coverage import coverage, cut_filter
from picasssso.ifu.example_cube import flat_cube

NO_DUST = GalacticExtinction(0.0, scale="SF11", applied=True)
NMGY_OF_FLAT = 1e-17 * u.erg / u.s / u.cm**2 / u.AA


def magnitudes(images, mock):
    """Differences of magnitude by band, of spaxels that have data."""
    found = {}
    for band in images.bands:
        image = images[band]
        # The mock's spaxels are 0.25 arcsec2, whatever the survey's are.
        ratio = image.data / mock.flux[band]
        found[band] = np.abs(2.5 * np.log10(ratio[~image.mask])).max()
    return found


@pytest.mark.parametrize(
    ("write", "bands"),
    [
        (write_manga, ["g", "r", "i", "z"]),
        (write_califa, ["g", "r"]),
        (write_muse, ["r", "i"]),
    ],
)
def test_magnitudes_are_those_of_the_mock(write, bands, mock, tmp_path):
    write(tmp_path / "cube.fits", mock.spectra)
    cube = read_cube(tmp_path / "cube.fits", redshift=mock.redshift)
    images = synthetic_images(cube, bands, survey="sdss")
    assert {band[-1] for band in images.bands} == set(bands)
    for band, difference in magnitudes(images, mock).items():
        assert difference < 0.01, band


def test_sed_fit_of_the_cube_is_that_of_the_mock(mock, tmp_path):
    write_manga(tmp_path / "cube.fits", mock.spectra)
    cube = read_cube(tmp_path / "cube.fits", redshift=mock.redshift)
    images = synthetic_images(cube, list(mock.flux), galactic_extinction=NO_DUST)
    planes = {
        band: CCDData(
            mock.flux[band], unit="nmgy", wcs=images.wcs, mask=images[band].mask,
            uncertainty=StdDevUncertainty(images[band].uncertainty.array),
        )
        for band in mock.flux
    }  # fmt: skip
    own = BandImages(
        planes, redshift=mock.redshift, zero_point_error=5 * u.percent, galactic_extinction=NO_DUST
    )
    fits = [SEDFitEstimator(n_models=3000).estimate(one) for one in (images, own)]
    for name in ("stellar_mass", "stellar_age", "attenuation_v"):
        of_cube, of_mock = (maps[name] for maps in fits)
        np.testing.assert_array_equal(of_cube.mask, of_mock.mask)
        shift = (of_cube.data - of_mock.data)[~of_cube.mask]
        width = of_mock.uncertainty.array[~of_cube.mask]
        assert np.max(np.abs(shift) / width) < 0.1, name


def test_a_flat_spectrum_has_its_magnitude_in_any_band():
    cube = flat_cube(3000, 11500)
    images = synthetic_images(cube, ["sdss2010-g", "sdss2010-z"])
    for band in images.bands:
        from picasssso.filters.curves import pivot_wavelength

        to = u.spectral_density(pivot_wavelength(band))
        flux = NMGY_OF_FLAT.to(u.erg / u.s / u.cm**2 / u.Hz, to) / (3.630781e-29)
        np.testing.assert_allclose(images[band].data, flux.value, rtol=1e-5)
        # Independent pixels, 10 % each.
        n = 1 / (images[band].uncertainty.array / images[band].data / 0.1) ** 2
        assert (n > 400).all()
        assert (n < 1200).all()


def test_box_over_one_arm_keeps_the_flux():
    cube = flat_cube(6000, 7000)
    edges = cube._edges(0)
    box_filter("box-half", edges[0], edges[250])
    image = synthetic_images(cube, ["box-half"])["box-half"]
    # int f_lambda lambda dlambda / (c int dlambda / lambda)
    expected = 1e-17 * (edges[250] ** 2 - edges[0] ** 2) / 2 / 2.99792458e18
    expected /= np.log(edges[250] / edges[0]) * 3.630781e-29
    np.testing.assert_allclose(image.data, expected, rtol=1e-5)


def test_what_is_covered_is_said_and_a_tilt_makes_up_for_the_rest(mock, tmp_path):
    assert coverage(flat_cube(3600, 7600), "sdss2010-r") == 1
    assert coverage(flat_cube(3600, 6100), "sdss2010-r") == pytest.approx(0.45, abs=0.1)
    cube = flat_cube(3600, 10000)
    images = synthetic_images(cube, ["sdss2010-z"])
    covered = images.meta["ifu"]["covered"]["sdss2010-z"]
    assert 0.95 < covered < 0.99
    whole = synthetic_images(flat_cube(3600, 11500), ["sdss2010-z"])
    # f_lambda flat is f_nu ~ lambda^2, nearly linear over a band.
    np.testing.assert_allclose(images["sdss2010-z"].data, whole["sdss2010-z"].data, rtol=2e-3)


def test_a_band_that_is_not_covered_is_refused_cut_or_left():
    cube = flat_cube(3600, 7600)
    with pytest.raises(InvalidInputError, match=r"covers 6\d % of the filter.*partly='cut'"):
        synthetic_images(cube, ["g", "i"], survey="sdss")
    assert synthetic_images(cube, ["g", "i"], survey="sdss", partly="leave").bands == (
        "sdss2010-g",
    )
    with pytest.raises(InvalidInputError, match="covers none of"):
        synthetic_images(cube, ["i"], survey="sdss", partly="leave")
    with pytest.raises(InvalidInputError, match="expected some of it on the cube"):
        cut_filter(cube, "twomass-J")
    with pytest.raises(InvalidInputError, match="partly='maybe'"):
        synthetic_images(cube, ["g"], survey="sdss", partly="maybe")


def test_a_cut_filter_serves_the_sed_fit(mock, tmp_path):
    write_califa(tmp_path / "cube.fits", mock.spectra)
    cube = read_cube(tmp_path / "cube.fits", redshift=mock.redshift)
    images = synthetic_images(cube, ["g", "r", "i"], survey="sdss", partly="cut")
    name = "cut_3700_7500-sdss2010_i"
    assert images.bands == ("sdss2010-g", "sdss2010-r", name)
    assert images.meta["ifu"]["covered"][name] == pytest.approx(1)
    # The library's models through the cut filter are what the cube shows.
    from picasssso.sps import ModelLibrary

    again = ModelLibrary.build([name], mock.redshift, n_models=42, seed=4)
    expected = again.fluxes[:, 0] * np.geomspace(1e8, 1e9, 42) * 0.25
    image = images[name]
    ratio = image.data.ravel() / expected
    assert np.abs(2.5 * np.log10(ratio[~image.mask.ravel()])).max() < 0.01
    images.write(tmp_path / "images.fits")
    maps = SEDFitEstimator(n_models=1000).estimate(BandImages.read(tmp_path / "images.fits"))
    assert np.isfinite(maps["stellar_mass"].data[~image.mask]).all()


def test_masked_wavelengths_are_made_up_for_and_too_many_mask_the_spaxel():
    cube = flat_cube(3600, 7600)
    mask = np.zeros(cube.arms[0].shape, bool)
    mask[1100:1105] = True  # few
    mask[1000:1300, 2, 3] = True  # too many, in one spaxel
    cube.arms[0].mask = mask
    image = synthetic_images(cube, ["sdss2010-r"])["sdss2010-r"]
    assert image.mask.sum() == 1
    assert image.mask[2, 3]
    whole = synthetic_images(flat_cube(3600, 7600), ["sdss2010-r"])["sdss2010-r"]
    np.testing.assert_allclose(image.data[~image.mask], whole.data[~image.mask], rtol=1e-6)
    cube.arms[0].mask = np.ones_like(mask)
    with pytest.raises(InvalidInputError, match="no spaxel has data"):
        synthetic_images(cube, ["sdss2010-r"])


def test_noise_is_as_large_as_stated(mock, tmp_path):
    write_manga(tmp_path / "cube.fits", mock.spectra, noisy=1.0)
    images = synthetic_images(read_cube(tmp_path / "cube.fits", redshift=0.03), ["sdss2010-r"])
    image = images["sdss2010-r"]
    pull = (image.data - mock.flux["sdss2010-r"]) / image.uncertainty.array
    assert 0.6 < np.std(pull[~image.mask]) < 1.4


def test_what_the_survey_says_goes_along(mock, tmp_path):
    write_manga(tmp_path / "cube.fits", mock.spectra)
    images = synthetic_images(read_cube(tmp_path / "cube.fits", redshift=0.03), ["sdss2010-r"])
    assert images.psf_fwhm("sdss2010-r").to_value(u.arcsec) == pytest.approx(2.55, abs=0.01)
    # Law et al. (2016): 1 + 1.62 log10(n) in the noise.
    assert images.noise_scaling["sdss2010-r"](16) == pytest.approx(2.95**2, rel=0.01)
    assert images.zero_point_error["sdss2010-r"].value == pytest.approx(0.05, rel=0.2)
    assert (images.galactic_extinction.ebv, images.galactic_extinction.applied) == (0.03, False)
    assert images.meta["ifu"]["notes"] == []
    assert images["sdss2010-r"].mask[0, 0]
    assert images["sdss2010-r"].mask.sum() == 1

    write_muse(tmp_path / "muse.fits", mock.spectra)
    images = synthetic_images(read_cube(tmp_path / "muse.fits", redshift=0.03), ["sdss2010-r"])
    assert images.meta["ifu"]["notes"] == [
        "correlation of the noise of spaxels not stated, taken as none", "PSF not stated",
    ]  # fmt: skip


def test_bins_and_covariances_of_sami(mock, tmp_path):
    bins = np.tile([0, 1, 1, 2, 2, 2, 2], (6, 1))
    cube = read_cube(write_sami(tmp_path, mock.spectra, bins=bins))
    images = synthetic_images(cube, ["sdss2010-g"])
    np.testing.assert_array_equal(images.bins, np.where(bins > 0, bins, -1))
    assert images.noise_scaling["sdss2010-g"].is_white
    cube = read_cube(write_sami(tmp_path, mock.spectra, covariance=0.2))
    # All 24 neighbors share 0.2: in the limit 1 + 24 x 0.2; in 2 x 2, 1 + 0.2 x (4 - 1).
    assert cube.noise_scaling(4) == pytest.approx(1 + 0.2 * 3)
    assert cube.noise_scaling(1024) == pytest.approx(5.8, rel=0.1)
    # g is on the blue arm, r falls into the gap between the arms.
    assert coverage(cube, "sdss2010-g") > 0.99
    assert 0.6 < coverage(cube, "sdss2010-r") < 0.85
    for band, difference in magnitudes(synthetic_images(cube, ["sdss2010-g"]), mock).items():
        assert difference < 0.01, band
