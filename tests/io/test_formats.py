"""The registry of formats: recognition, plugins, and the contract of readers broken on purpose."""

import textwrap

import numpy as np
import pytest
import survey_layouts as layouts
from astropy.io import fits

from picasssso import BandImages
from picasssso.exceptions import InvalidInputError, PicassssoWarning
from picasssso.io import ImageReader, Recognition, formats, list_formats, recognize
from picasssso.testing import check_reader, make_galaxy

BUILT_IN = {
    "casu", "des", "eso", "euclid", "generic", "hst_jwst", "legacy", "lsst", "panstarrs",
    "picasssso", "sdss", "spitzer", "wise",
}  # fmt: skip


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install make-believe plugins of readers, found through real entry points."""
    monkeypatch.syspath_prepend(str(tmp_path))
    forget = lambda: vars(formats.FORMATS).pop("plugins", None)  # noqa: E731

    def _install(distribution, entries, text):
        info = tmp_path / f"{distribution}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n"
        )
        lines = [f"{name} = {value}" for name, value in entries.items()]
        (info / "entry_points.txt").write_text("\n".join(["[picasssso.readers]", *lines, ""]))
        (tmp_path / f"{distribution}.py").write_text(textwrap.dedent(text))
        forget()

    yield _install
    forget()


@pytest.fixture
def image(tmp_path):
    """A file of make-believe survey, of one band."""
    header = layouts.tangent_wcs((8, 9), 0.4).to_header()
    header.update(SURVEY="MINE", FILTER="g")
    path = tmp_path / "g.fits"
    noise = fits.ImageHDU(np.full((8, 9), 0.5, "f4"), name="RMS")
    fits.HDUList([fits.PrimaryHDU(np.ones((8, 9), "f4"), header), noise]).writeto(path)
    return path


class Mine(ImageReader):
    title = "mine"

    def recognize(self, file):
        return Recognition("SURVEY") if file.get("SURVEY") == "MINE" else None

    def read(self, file):
        band = file.band_of(file.text("FILTER"), {"g": "sdss2010-g"})
        return [file.plane(0, band, "nmgy", noise=("std", file.find("RMS")))]


def test_every_built_in_is_listed():
    assert set(list_formats()) >= BUILT_IN
    assert all(list_formats().values())


def test_own_files_are_recognized_and_read_whole(tmp_path):
    images = make_galaxy((12, 14))
    images.write(tmp_path / "own.fits")
    found = recognize(tmp_path / "own.fits")
    assert (found.format, found.certainty) == ("picasssso", 1.0)
    again = BandImages.read([tmp_path / "own.fits"], redshift=0.2)
    assert again.redshift == 0.2
    assert again.bands == images.bands


def test_a_plugin_reads_its_own_files(install, image):
    install("mine_reader", {"mine": "mine_reader:Mine"}, """
        from picasssso.io import ImageReader, Recognition

        class Mine(ImageReader):
            title = "mine"
            def recognize(self, file):
                return Recognition("S") if file.get("SURVEY") == "MINE" else None
            def read(self, file):
                return [file.plane(0, file.band or "sdss2010-g", "uJy")]
        """)  # fmt: skip
    assert recognize(image).format == "mine"
    assert str(BandImages.read(image, redshift=0.1)["sdss2010-g"].unit) == "uJy"
    given = BandImages.read({"sdss2010-g": image}, redshift=0.1, format="generic", unit="nmgy")
    assert str(given["sdss2010-g"].unit) == "nmgy"


def test_a_broken_plugin_only_warns(install, image):
    install("broken_reader", {"broken": "broken_reader:No"}, "import nothing_here")
    with pytest.warns(PicassssoWarning, match="'broken'.*cannot be imported.*nothing_here"):
        assert "broken" not in list_formats()


def test_a_taken_name_is_ignored_with_a_warning(install):
    install("greedy_reader", {"sdss": "greedy_reader:No"}, "No = None")
    with pytest.warns(PicassssoWarning, match="greedy_reader:No.*taken by.*SDSSReader"):
        assert list_formats()["sdss"] == "SDSS frame"


def test_an_unknown_format_is_named(image):
    with pytest.raises(InvalidInputError, match="'mine': installed are casu, des, eso"):
        BandImages.read(image, redshift=0.1, format="mine")


class LooksAtPixels(Mine):
    def recognize(self, file):
        return Recognition("pixels") if file.array(0).any() else None


class TakesEverything(Mine):
    def recognize(self, file):
        return Recognition("it is mine")


class KnowsBetter(Mine):
    def read(self, file):
        return [file.plane(0, "sdss2010-g", "nmgy")]


class ReadsNoiseAnyway(Mine):
    def read(self, file):
        (plane,) = super().read(file)
        plane.image.mask = np.zeros((8, 9), bool)
        return [plane]


@pytest.mark.parametrize(
    ("reader", "words"),
    [
        (LooksAtPixels, "only headers"),
        (TakesEverything, "without keywords"),
        (KnowsBetter, "band that the user names"),
        (ReadsNoiseAnyway, "although the user names others"),
    ],
)
def test_the_contract_finds_what_is_wrong(reader, words, image):
    assert check_reader(Mine(), image).bands == ("sdss2010-g",)
    with pytest.raises(AssertionError, match=words):
        check_reader(reader(), image)


@pytest.mark.parametrize("survey", ["sdss", "des", "lsst", "eso", "panstarrs", "legacy"])
def test_built_in_readers_keep_it(survey, tmp_path):
    wcs, flux = layouts.tangent_wcs((20, 24), 0.262), np.ones((20, 24))
    path = tmp_path / "r.fits"
    if survey == "panstarrs":
        path = layouts.ps1_stack(tmp_path, "r", flux, wcs, sigma=0.1)[0]
    elif survey == "legacy":
        layouts.legacy_cutout(path, "r", flux[None], wcs, inverse_variance=flux[None])
    else:
        write = {"sdss": layouts.sdss_frame, "des": layouts.des_coadd, "eso": layouts.eso_image}
        more = {"sigma": 0.1} if survey == "lsst" else {}
        write.get(survey, layouts.lsst_image)(path, "r", flux, wcs, **more)
    check_reader(formats.get_reader(survey), path)
