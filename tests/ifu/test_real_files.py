"""Real cubes and maps: SAMI 41144, and NGC 4047 of the package edge_pydb; skipped without them."""

import importlib.util
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits

from picasssso import SEDFitEstimator
from picasssso.evaluation import compare_estimates
from picasssso.filters.library import load_filter
from picasssso.ifu import (
    PublishedMap,
    box_filter,
    maps_from_table,
    read_cube,
    read_maps,
    synthetic_images,
)
from picasssso.preparation import correct_extinction

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "data" / "ifu" / "sami_41144"
ARMS = [FOLDER / f"41144_A_sectors_{arm}.fits.gz" for arm in ("blue", "red")]
HALVES = {"sami-red1": (6300.0, 6860.0), "sami-red2": (6860.0, 7420.0)}

needs_sami = pytest.mark.skipif(not FOLDER.is_dir(), reason="needs ../shared/data/ifu")
EDGE = importlib.util.find_spec("edge_pydb")
needs_edge = pytest.mark.skipif(EDGE is None, reason="needs the package edge_pydb")


@pytest.fixture(scope="module")
def cube():
    return read_cube(ARMS)


@pytest.fixture(scope="module")
def images(cube):
    for name, (low, high) in HALVES.items():
        box_filter(name, low, high)
    return synthetic_images(cube, ["sdss2010-g", *HALVES])


def read_arm(number):
    """Wavelengths (air, AA) and fluxes of an arm, by its header alone."""
    with fits.open(ARMS[number]) as hdus:
        header, data = hdus[0].header, hdus[0].data
        pixel = np.arange(len(data)) + 1 - header["CRPIX3"]
        return header["CRVAL3"] + pixel * header["CDELT3"], np.nan_to_num(data) * 1e-16


@needs_sami
def test_g_is_a_plain_integral(images):
    wave, flux = read_arm(0)
    curve = load_filter("sdss2010-g")
    response = np.interp(wave, curve.wavelength, curve.response)
    photons = np.tensordot(wave * response, flux, 1)
    plain = photons / (2.99792458e18 * np.sum(response / wave)) / 3.631e-29
    image = images["sdss2010-g"]
    good = ~image.mask
    assert good.sum() == 892
    total = 2.5 * np.log10(image.data[good].sum() / plain[good].sum())
    assert abs(total) < 0.05
    assert np.abs(2.5 * np.log10(image.data[good] / plain[good])).max() < 0.05


@needs_sami
def test_the_flux_of_both_arms_is_kept(cube):
    # Photons of all wavelengths of an arm that have data, with and without the package.
    for number, (low, high) in enumerate([(3700.0, 5750.0), (6300.0, 7420.0)]):
        name = f"sami-whole{number}"
        edges = cube.edges(number)
        inside = np.flatnonzero((edges[:-1] > low) & (edges[1:] < high))
        ends = edges[inside[0]], edges[inside[-1] + 1]
        box_filter(name, *ends)
        image = synthetic_images(cube, [name])[name]
        wave, flux = read_arm(number)
        step = wave[1] - wave[0]
        photons = np.tensordot(wave[inside], flux[inside], 1) * step
        kept = image.data * 3.630781e-29 * 2.99792458e18 * np.log(ends[1] / ends[0])
        ratio = (kept / photons)[~image.mask]
        np.testing.assert_allclose(ratio, 1, atol=1e-3)
        assert kept[~image.mask].sum() == pytest.approx(photons[~image.mask].sum(), rel=1e-3)


@needs_sami
def test_the_survey_s_own_dust(cube, images):
    # By the band, and by the factor that the file has for each wavelength.
    corrected = correct_extinction(images)
    with fits.open(ARMS[0]) as hdus:
        factor = hdus["DUST"].data
    wave, flux = read_arm(0)
    curve = load_filter("sdss2010-g")
    weight = wave * np.interp(wave, curve.wavelength, curve.response)
    spectrum = flux.sum(axis=(1, 2))
    expected = (weight * spectrum * factor).sum() / (weight * spectrum).sum()
    ratio = corrected["sdss2010-g"].data / images["sdss2010-g"].data
    assert 2.5 * np.log10(np.nanmedian(ratio) / expected) == pytest.approx(0, abs=0.005)


@needs_sami
def test_sed_fit_with_filters_of_ones_own_beside_the_survey(cube, images):
    maps = SEDFitEstimator(n_models=5000).estimate(correct_extinction(images))
    total = maps.total("stellar_mass", correlation="full")
    # log M* = 10.34 in the survey's catalog; the cube does not reach all of the galaxy.
    assert np.log10(total.value.value) == pytest.approx(10.34, abs=0.25)
    theirs = read_maps(
        FOLDER / "41144_A_sfr-dens_sectors_1-comp.fits", wcs=cube.wcs, redshift=cube.redshift,
        bins=cube.bins, approximate=["sfr"], resolution_fwhm=2.085 * u.arcsec,
    )  # fmt: skip
    (found,) = compare_estimates(maps, theirs)
    assert found.name == "sfr"
    assert found.n_pixels > 700
    assert abs(found.bias) < 0.5
    assert found.coverage_95 > 0.8


@needs_edge
def test_ngc_4047_as_maps():
    from astropy.table import Table

    folder = Path(EDGE.origin).parent / "img_califa"
    table = Table.read(folder / "NGC4047_allpix.pipe3d.hdf5", path="SSP")
    log = {"weighting": "mass", "average": "log"}
    maps = maps_from_table(
        table,
        {
            "stellar_mass": PublishedMap("sigstar_Avcor", None, imf="salpeter"),
            "stellar_age": PublishedMap("age_mwt", u.dex(u.yr), **log),
            "stellar_metallicity": PublishedMap(
                "ZH_mwt", u.dex, solar_metallicity=0.019, **log
            ),
        },
        sky=("ra_abs", "dec_abs"),
        redshift=0.0114,
        luminosity_distance=49.1 * u.Mpc,
    )  # fmt: skip
    assert maps.properties == ("stellar_mass", "stellar_age_log", "stellar_metallicity_log")
    assert maps.pixel_solid_angle.to_value(u.arcsec**2) == pytest.approx(1, rel=0.01)
    total = maps.total("stellar_mass", correlation="independent").value
    # log M* = 10.77 on Salpeter in the table of the sample (caMstars).
    assert np.log10(total.value) == pytest.approx(10.77 + np.log10(0.61), abs=0.15)
