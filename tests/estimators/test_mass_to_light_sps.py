"""The relation derived from stellar population models, for any bands at any redshift."""

import re

import astropy.units as u
import numpy as np
import pytest
from astropy.nddata import CCDData, StdDevUncertainty

from picasssso import BandImages, GalacticExtinction, MassToLightEstimator
from picasssso.exceptions import InvalidInputError, MissingBandError
from picasssso.quality import QualityFlag
from picasssso.sps import ModelLibrary
from picasssso.testing import make_galaxy, parametrize_with_checks
from picasssso.testing.galaxy import make_wcs

HSC = ("hsc2017-g", "hsc2017-r", "hsc2017-z")


@parametrize_with_checks([MassToLightEstimator(relation="sps")])
def test_contract(estimator, check):
    check(estimator)


def model_images(bands, redshift, n=400, noise=1e-3):
    """Each pixel a model population of 10^7 Msun / kpc2 in living stars and remnants."""
    # Another seed than the estimator's own models.
    library = ModelLibrary.build(bands, redshift, n_models=n, seed=77)
    mass = 1e7 / library.properties["surviving_fraction"]
    side = int(n**0.5)
    wcs = make_wcs((side, side))
    images = {}
    for k, band in enumerate(bands):
        flux = (mass * library.fluxes[:, k] * 0.396**2).reshape(side, side)
        images[band] = CCDData(
            flux.astype(np.float32),
            unit=u.nmgy,
            wcs=wcs,
            uncertainty=StdDevUncertainty(noise * flux),
        )
    return BandImages(
        images,
        redshift=redshift,
        psf=1 * u.arcsec,
        galactic_extinction=GalacticExtinction(ebv=0, scale="SF11", applied=True),
    )


@pytest.mark.parametrize(
    ("bands", "redshift", "options"),
    [
        (("sdss2010-g", "sdss2010-i"), 0.05, {}),
        (HSC, 0.8, {"color": ("r", "z"), "luminosity_band": "z"}),
        (("galex-nuv", "twomass-J"), 0.01, {}),
    ],
)
def test_models_get_their_mass_back(bands, redshift, options):
    if "galex-nuv" in bands:
        options = {"color": bands, "luminosity_band": bands[1]}
    estimator = MassToLightEstimator(relation="sps", color_mode="pixel", **options)
    maps = estimator.estimate(model_images(bands, redshift))
    residual = np.log10(maps["stellar_mass"].data / 1e7)
    scatter = maps.shared_error["stellar_mass"]
    assert abs(np.median(residual)) < 3 * scatter / 20
    assert np.std(residual) == pytest.approx(scatter, rel=0.25)
    assert scatter < 0.3


def test_agrees_with_published_relations_on_sdss_bands():
    images = make_galaxy(central_signal_to_noise=300)
    masses = [
        MassToLightEstimator(relation=name)
        .estimate(images)
        .mean("stellar_mass")
        .value[18:24, 18:24]
        for name in ("sps", "taylor2011", "zibetti2009")
    ]
    for published in masses[1:]:
        assert abs(np.median(np.log10(masses[0] / published))) < 0.2


def test_the_record_holds_the_relation_itself():
    meta = MassToLightEstimator(relation="sps").estimate(make_galaxy((6, 6))).meta
    relation = meta["relation"]
    assert len(relation["colors_mag"]) == len(relation["log_ratios"])
    assert np.all(np.diff(relation["colors_mag"]) > 0)
    assert "sdss2010-g - sdss2010-i" in relation["formula"]
    assert relation["library"]["grid_hash"]


def test_a_color_off_the_models_is_flagged():
    images = make_galaxy((9, 9), central_signal_to_noise=1000)
    blue = {
        "sdss2010-g": images["sdss2010-g"].multiply(40),
        "sdss2010-i": images["sdss2010-i"],
    }
    blue = BandImages(blue, redshift=0.05, galactic_extinction=images.galactic_extinction)
    maps = MassToLightEstimator(relation="sps", color_mode="pixel").estimate(blue)
    assert maps.quality[4, 4] & QualityFlag.PRIOR_EDGE


def test_a_missing_band_is_named():
    with pytest.raises(MissingBandError, match=r"'g'-'z'.*hsc2017-g, hsc2017-r"):
        MassToLightEstimator(relation="sps", color=("g", "z"))._select_bands(HSC[:2])


@pytest.mark.parametrize("color", ["gi", ("g",), ("g", "g"), ("g", 3)])
def test_bad_colors(color):
    with pytest.raises(InvalidInputError, match="color="):
        MassToLightEstimator(relation="sps", color=color)


def test_bands_without_a_published_relation_are_told_what_works():
    """The advice for HST's filters, taken word by word, gives maps."""
    bands = ("hst_acs_wfc-f814w", "hst_acs_wfc-f435w", "hst_acs_wfc-f606w")
    images = make_galaxy((12, 12), bands=bands)
    with pytest.raises(MissingBandError) as told:
        MassToLightEstimator().estimate(images)
    advice = re.search(r"relation=.*(?=; or use SEDFit)", str(told.value))[0]
    assert "Add bands" not in str(told.value)
    assert "color=('hst_acs_wfc-f435w', 'hst_acs_wfc-f814w')" in advice
    estimator = eval(f"MassToLightEstimator({advice})")
    assert np.isfinite(estimator.estimate(images)["stellar_mass"].data).any()
    with pytest.raises(InvalidInputError, match="any two bands have one with relation='sps'"):
        MassToLightEstimator(color=("hst_acs_wfc-f435w", "hst_acs_wfc-f814w"))
