"""All steps in order, from files of surveys."""

import astropy.units as u
import numpy as np
import pytest
import survey_layouts as layouts
from astropy.coordinates import SkyCoord

from picasssso import BandImages
from picasssso.exceptions import InvalidInputError, InvalidTypeError, PicassssoWarning
from picasssso.io import read_survey
from picasssso.io.reading import read_parts
from picasssso.preparation import prepare
from picasssso.preparation.registration import measure_shifts

from .conftest import COLORS, make_field

# Ten faint stars do not give PSFs to a part in a thousand, and it is said so.
pytestmark = pytest.mark.filterwarnings("ignore:PSF matching leaves rings")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The field as DES coadds, one band on another grid, with a sky."""
    folder = tmp_path_factory.mktemp("des")
    images, _ = make_field((200, 210), n_stars=10)
    paths = []
    for letter in "gri":
        image = images[f"sdss2010-{letter}"]
        paths.append(
            layouts.des_coadd(
                folder / f"{letter}.fits", letter, image.data + 0.05, image.wcs, sigma=0.02
            )
        )
    return paths


@pytest.fixture(scope="module")
def prepared(files):
    return prepare(files, redshift=0.03)


def steps(images):
    return [step["step"] for step in images.meta["preparation"]]


def test_everything_in_order(files):
    images = prepare(files, redshift=0.03, ebv=0.02, ebv_scale="SFD98", cutout=4, snr=15)
    assert steps(images) == [
        "read", "background", "noise", "psf measurement", "psf matching", "extinction", "mask",
        "cutout", "binning",
    ]  # fmt: skip
    assert images.bins is not None
    assert images.galactic_extinction.applied
    assert len({kernel.tobytes() for kernel in images.psf.values()}) == 1
    record = {step["step"]: step for step in images.meta["preparation"]}
    for quality in record["psf matching"]["bands"].values():
        assert abs(quality["aperture_error_mag"]) < 0.02
    assert set(images.meta["source"]) == set(images.bands)


def test_colors_of_the_galaxy_survive(prepared):
    images = prepared
    y, x = np.indices(images.shape)
    near = np.hypot(x - 104.5, y - 99.5) < 12
    sums = {b[-1]: plane[near].sum() for b, plane in
            zip(images.bands, images.to_arrays()[0], strict=True)}  # fmt: skip
    for letter in "gi":
        found = sums[letter] / sums["r"]
        assert found == pytest.approx(COLORS[letter] / COLORS["r"], rel=0.03)


def test_it_can_be_written_and_read(prepared, tmp_path):
    images = prepared
    images.write(tmp_path / "bands.fits")
    again = BandImages.read(tmp_path / "bands.fits")
    assert steps(again) == steps(images)
    np.testing.assert_array_equal(again.to_arrays()[0], images.to_arrays()[0])


def test_bands_on_different_grids(files, tmp_path):
    wcs = layouts.tangent_wcs((100, 100), 0.6, rotation=15)
    other = layouts.des_coadd(
        tmp_path / "z.fits", "z", np.random.default_rng(1).normal(0, 0.02, (100, 100)), wcs,
        sigma=0.02,
    )  # fmt: skip
    quick = {"redshift": 0.03, "match": False, "noise": False, "sky": None}
    images = prepare([*files, other], **quick)
    record = next(s for s in images.meta["preparation"] if s["step"] == "alignment")
    # Onto the largest pixels, which loses nothing that the worst band has.
    assert record["onto"] == "decam2014-z"
    assert record["resampled"] == ["decam2014-g", "decam2014-r", "decam2014-i"]
    assert images.shape == (100, 100)
    onto = prepare([*files, other], onto="decam2014-g", mask=False, resampling="interp", **quick)
    assert onto.shape == (200, 210)


def test_steps_can_be_left_out(files):
    images = prepare(files, redshift=0.03, sky=None, noise=False, match=False, mask=False)
    assert steps(images) == ["read"]
    plain = read_survey(files, redshift=0.03)
    np.testing.assert_array_equal(images.to_arrays()[0], plain.to_arrays()[0])


def test_band_images_and_parts(files):
    images = read_survey(files, redshift=0.03)
    one = prepare(images, match=False)
    two = prepare(read_parts(files, redshift=0.03), match=False)
    np.testing.assert_array_equal(one.to_arrays()[0], two.to_arrays()[0])


def test_given_psfs(files):
    psf = {"decam2014-g": 1.7 * u.arcsec, "decam2014-r": 1.3 * u.arcsec,
           "decam2014-i": 1.1 * u.arcsec}  # fmt: skip
    images = prepare(files, redshift=0.03, psf=psf)
    assert "psf measurement" not in steps(images)
    assert images.psf_fwhm("decam2014-i").value == pytest.approx(1.7, rel=0.03)


def test_without_stars_matching_is_left_out_and_says_so():
    images, _ = make_field((140, 140), n_stars=0)
    with pytest.warns(PicassssoWarning, match="Give it"):
        found = prepare(images)
    record = next(s for s in found.meta["preparation"] if s["step"] == "psf matching")
    assert "left_out" in record
    with pytest.warns(PicassssoWarning), pytest.raises(InvalidInputError, match="psf="):
        prepare(images, match=2 * u.arcsec)


def test_a_galaxy_that_fills_the_image_keeps_its_sky(monkeypatch):
    from picasssso.preparation import pipeline

    monkeypatch.setattr(
        pipeline, "mask_sky_sources", lambda images, **k: np.ones(images.shape, bool)
    )
    images, _ = make_field((60, 60), n_stars=0)
    with pytest.warns(PicassssoWarning, match="sky was not subtracted"):
        found = prepare(images, match=False)
    assert "background" not in steps(found)


def test_a_peak_in_the_middle_of_a_field_whose_galaxy_lies_elsewhere():
    """Nobody asked for it: the galaxy would be masked as a neighbor."""
    shape = (161, 161)
    spot = np.zeros(shape)
    spot[78:83, 78:83] = 0.15
    images, psf = make_field(shape, n_stars=0, extra=spot, center=(80, 30), size=4.0)
    images = images.replace(psf=psf)
    with pytest.warns(PicassssoWarning, match=r"% of the light of the brightest, at \(3\d, 8\d\)"):
        prepare(images, sky=None, match=False)
    prepare(images, sky=None, match=False, position=(30, 80))  # as one that is asked for


def test_nothing_in_the_middle():
    images, _ = make_field((140, 140), n_stars=0, flux=1e-9)
    with pytest.warns(PicassssoWarning, match="position="):
        prepare(images, match=False)
    with pytest.raises(InvalidInputError, match="position="):
        prepare(images, match=False, cutout=3)


def test_memory_mapped_output(files, prepared, tmp_path):
    mapped = prepare(files, redshift=0.03, folder=tmp_path)
    np.testing.assert_array_equal(prepared.to_arrays()[0], mapped.to_arrays()[0])
    assert not list(tmp_path.iterdir())


def test_what_is_refused(files):
    with pytest.raises(InvalidInputError, match="sky="):
        prepare(files, redshift=0.03, sky="flat")
    with pytest.raises(InvalidTypeError, match="files or BandImages"):
        prepare(3, redshift=0.03)
    with pytest.raises(InvalidInputError, match="dustmaps"):
        prepare(files, redshift=0.03, ebv="maps", match=False)
    with pytest.raises(InvalidInputError, match="14 %"):
        prepare(files, redshift=0.03, ebv=0.1, match=False)
    images = read_survey(files, redshift=0.03)
    with pytest.raises(InvalidInputError, match="replace"):
        prepare(images, zero_point=30 * u.ABmag)
    with pytest.raises(InvalidInputError, match="onto='sdss2010-g'"):
        prepare(images, onto="sdss2010-g", match=False)


@pytest.fixture(scope="module")
def displaced():
    """A field whose i band lies 0.7 and -0.5 pixels off."""
    from scipy.ndimage import shift

    images, psf = make_field((180, 190), n_stars=6)
    i = images["sdss2010-i"]
    i.data = shift(i.data, (-0.5, 0.7), order=3, mode="nearest")
    return images.with_planes({"sdss2010-i": i}, psf=psf)


QUICK = {"sky": None, "noise": False, "match": False, "mask": False}


def test_bands_that_disagree_in_position_warn_with_the_shift(displaced):
    with pytest.warns(PicassssoWarning, match=r"sdss2010-i by \(-0\.[67]\d, \+0\.[45]\d\)"):
        images = prepare(displaced, **QUICK)
    np.testing.assert_array_equal(images.to_arrays()[0], displaced.to_arrays()[0])
    assert "sdss2010-i" in images.meta["preparation"][-1]["shift_needed_pixels"]


def test_registration_mends_them(displaced):
    images = prepare(displaced, register=True, **QUICK)
    assert images.bands == displaced.bands
    assert np.abs(list(measure_shifts(images).values())).max() < 0.1
    flux, before = (i.to_arrays(bands=["sdss2010-i"])[0].sum() for i in (images, displaced))
    assert flux == pytest.approx(before, rel=0.01)
    assert not images.noise_scaling["sdss2010-i"].is_white
    again = prepare(images, register=True, **QUICK)
    np.testing.assert_array_equal(again.to_arrays()[0], images.to_arrays()[0])
    assert steps(again) == ["registration", "registration"]


def test_large_shifts_are_known_as_well(field):
    images, psf = field
    moved = images["sdss2010-i"]
    moved.data = np.roll(moved.data, (-6, 8), axis=(0, 1))
    found = measure_shifts(images.with_planes({"sdss2010-i": moved}, psf=psf))
    np.testing.assert_allclose(found["sdss2010-i"], (-8, 6), atol=0.1)


def test_registration_of_bands_that_agree_and_of_those_without_wcs(displaced, field):
    images, psf = field
    assert prepare(images.replace(psf=psf), **QUICK).meta == {}
    bare = {band: displaced[band] for band in displaced}
    for image in bare.values():
        image.wcs = None
    lost = BandImages(bare, redshift=0.03, pixel_scale=0.4 * u.arcsec)
    with pytest.raises(InvalidInputError, match="without WCS"):
        prepare(lost, register=True, **QUICK)


@pytest.mark.filterwarnings("ignore:Found fewer than 3 usable stars")
@pytest.mark.filterwarnings("ignore:Galactic extinction is unknown")
def test_real_des_with_a_position_five_arcsec_off(shared_data):
    """The bar: the mass inside 24 arcsec within 0.06 dex, wherever the position is."""
    from astropy.coordinates import SkyCoord
    from photutils.aperture import SkyCircularAperture

    from picasssso import MassToLightEstimator

    files = sorted((shared_data / "real/j0151_des").glob("DES_*.fits"))
    nucleus = SkyCoord(27.9521, 0.2639, unit="deg")
    masses = []
    for east, north in ((0, 0), (5, 0), (-3.5, -3.5)):
        position = nucleus.spherical_offsets_by(east * u.arcsec, north * u.arcsec)
        images = prepare(files, redshift=0.02, position=position)
        maps = MassToLightEstimator().estimate(images)
        inside = SkyCircularAperture(nucleus, 24 * u.arcsec)
        masses.append(maps.total("stellar_mass", inside, correlation="independent").value.value)
    assert np.ptp(np.log10(masses)) < 0.01


def test_real_des(shared_data):
    with pytest.warns(PicassssoWarning, match="PSF"):
        images = prepare(
            sorted((shared_data / "real/j0151_des").glob("DES_*.fits")), redshift=0.02
        )
    record = {step["step"]: step for step in images.meta["preparation"]}
    # The star on the disk, where it is known to be; the nucleus stays.
    from astropy.coordinates import SkyCoord

    for ra, dec, masked in ((27.9547, 0.2655, True), (27.9521, 0.2639, False)):
        x, y = images.wcs.world_to_pixel(SkyCoord(ra, dec, unit="deg"))
        assert images["decam2014-r"].mask[round(float(y)), round(float(x))] == masked
    assert record["mask"]["stars_on_target"] >= 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"noise": "measured"}, "noise='measured': expected True or False"),
        ({"position": "150 2"}, "position='150 2', expected a SkyCoord"),
        ({"position": SkyCoord([150, 151], [2, 3], unit="deg")}, "found 2 positions"),
        ({"mask": np.zeros((200, 210), bool)}, r"(?s)found mask=array.{,400}$"),
    ],
)
def test_arguments_of_another_kind(field, arguments, message):
    with pytest.raises((InvalidInputError, InvalidTypeError), match=message):
        prepare(field[0], **{"match": False, "sky": None, **arguments})
