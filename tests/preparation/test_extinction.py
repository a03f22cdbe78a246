import astropy.units as u
import numpy as np
import pytest
from astropy.nddata import CCDData, StdDevUncertainty

from picasssso import BandImages, GalacticExtinction
from picasssso.exceptions import InvalidInputError, MissingDependencyError, PicassssoWarning
from picasssso.preparation import correct_extinction
from picasssso.preparation.extinction import band_extinction, look_up_ebv

#: A_band / E(B-V)_SFD at R_V = 3.1: Schlafly & Finkbeiner (2011), table 6.
PUBLISHED = {
    "sdss2010-u": 4.239, "sdss2010-g": 3.303, "sdss2010-r": 2.285, "sdss2010-i": 1.698,
    "sdss2010-z": 1.263, "decam2014-g": 3.237, "decam2014-r": 2.176, "decam2014-i": 1.595,
    "decam2014-z": 1.217, "panstarrs-g": 3.172, "panstarrs-r": 2.271, "panstarrs-i": 1.682,
    "panstarrs-z": 1.322, "panstarrs-y": 1.087,
}  # fmt: skip


@pytest.fixture
def images():
    make = CCDData(
        np.full((4, 4), 2.0), unit="nmgy", uncertainty=StdDevUncertainty(np.full((4, 4), 0.1))
    )
    return BandImages(
        {"sdss2010-g": make, "sdss2010-r": make},
        redshift=0.05,
        pixel_scale=0.4 * u.arcsec,
        sky_error=0.01 * u.nmgy,
    )


@pytest.mark.parametrize(("band", "published"), PUBLISHED.items())
def test_against_published_coefficients(band, published):
    """They normalize the same law a little differently: 3 %."""
    assert band_extinction(band, 0.01, scale="SFD98") / 0.01 == pytest.approx(published, rel=0.03)


def test_the_two_scales():
    one = band_extinction("sdss2010-r", 0.01, scale="SFD98")
    two = band_extinction("sdss2010-r", 0.0086, scale="SF11")
    assert one == pytest.approx(two, rel=1e-6)


@pytest.mark.parametrize("law", ["CCM89", "O94", "F04", "F19", "G23"])
def test_other_laws(law):
    found = band_extinction("sdss2010-g", 0.1, scale="SF11", law=law)
    assert found == pytest.approx(band_extinction("sdss2010-g", 0.1, scale="SF11"), rel=0.1)


def test_integrated_over_the_filter():
    """Much dust reddens the light within the band, so its extinction grows less than E(B-V)."""
    little = band_extinction("sdss2010-g", 0.01, scale="SF11") / 0.01
    much = band_extinction("sdss2010-g", 2.0, scale="SF11") / 2.0
    assert 0.9 * little < much < little


def test_correction_and_record(images):
    corrected = correct_extinction(images, 0.1, scale="SF11")
    dust = corrected.galactic_extinction
    assert (dust.ebv, dust.scale, dust.applied) == (0.1, "SF11", True)
    for band in images:
        added = corrected.meta["preparation"][-1]["added_mag"][band]
        factor = 10 ** (0.4 * added)
        assert corrected[band].data[0, 0] == pytest.approx(2 * factor, rel=1e-4)
        assert corrected[band].uncertainty.array[0, 0] == pytest.approx(0.1 * factor, rel=1e-4)
        assert corrected.sky_error_nmgy(band) == pytest.approx(0.01 * factor, rel=1e-4)


def test_known_but_not_removed(images):
    known = images.replace(
        galactic_extinction=GalacticExtinction(0.1, scale="SFD98", applied=False)
    )
    corrected = correct_extinction(known)
    assert corrected.galactic_extinction.applied
    with pytest.raises(InvalidInputError, match="corrected already"):
        correct_extinction(corrected)


def test_what_is_refused(images):
    with pytest.raises(InvalidInputError, match="14 %"):
        correct_extinction(images, 0.1)
    with pytest.raises(InvalidInputError, match="expected ebv="):
        correct_extinction(images)
    with pytest.raises(InvalidInputError, match="CCM89"):
        correct_extinction(images, 0.1, scale="SF11", law="Nobody98")
    with pytest.raises(InvalidInputError, match="law='G23'"):
        band_extinction("wise2010-W3", 0.1, scale="SF11")


@pytest.mark.parametrize("ebv", [50, -0.1, np.nan])
def test_more_dust_than_there_is_is_refused_with_a_reason(ebv):
    with pytest.raises(InvalidInputError, match=r"from 0 to 10 of mag: .* not A\(V\)"):
        GalacticExtinction(ebv, scale="SF11", applied=False)


def test_dust_that_hides_galaxies_is_told(images):
    with pytest.warns(PicassssoWarning, match=r"E\(B-V\) = 3, .* mag in .*, expected at most 5"):
        correct_extinction(images, 3, scale="SF11")


def test_maps_that_are_not_installed():
    from astropy.coordinates import SkyCoord

    with pytest.raises(MissingDependencyError, match="ebv="):
        look_up_ebv(SkyCoord(150, 2, unit="deg"))
