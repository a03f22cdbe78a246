"""Response curves: those of the libraries, one's own, and what happens when one is corrected."""

import os
import pickle
import subprocess
import sys
import warnings

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import CCDData, StdDevUncertainty
from astropy.table import Table
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from picasssso._cli.filters import filters
from picasssso.bands import BandImages, GalacticExtinction
from picasssso.estimators import get_estimator
from picasssso.exceptions import FileFormatError, InvalidInputError, PicassssoWarning
from picasssso.filters import list_filters, read_filter
from picasssso.filters.curves import _library_curve as load_filter_of_library
from picasssso.filters.curves import filter_hash, load_filter, pivot_of, pivot_wavelength
from picasssso.filters.user_curves import adopt_curves, own_curves
from picasssso.maps import PropertyMaps
from picasssso.sps import SSPGrid
from picasssso.sps.photometry import GridPhotometry

# A curve such as a laboratory measures, in nm.
NM = np.linspace(560, 640, 81)
CURVE = np.exp(-0.5 * ((NM - 600) / 12) ** 2)
NAME = "mine-r"


@pytest.fixture(autouse=True)
def session():
    """Forget the filters that a test defines."""
    from speclite.filters import _filter_cache

    before = dict(_filter_cache)
    yield
    _filter_cache.clear()
    _filter_cache.update(before)


def define(wavelength=NM * 10, response=CURVE, name=NAME):
    from speclite.filters import FilterResponse

    group, band = name.split("-")
    response = np.array(response, float)
    response[[0, -1]] = 0
    return FilterResponse(wavelength * u.AA, response, {"group_name": group, "band_name": band})


def write_text(path, wavelength=NM, response=CURVE):
    np.savetxt(path, np.transpose([wavelength, response]))
    return path


def make_images(*bands, flux=1.0):
    image = CCDData(
        np.full((2, 3), flux), unit="nmgy", uncertainty=StdDevUncertainty(np.full((2, 3), 0.05))
    )
    return BandImages(
        dict.fromkeys(bands, image),
        redshift=0.03,
        pixel_scale=0.4 * u.arcsec,
        galactic_extinction=GalacticExtinction(0, scale="SF11", applied=True),
    )


def run_python(code):
    """Return what code prints in a process of its own."""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


# ---- the libraries ------------------------------------------------------------------------

#: Pivot wavelengths in um as published, and how far curves and their dates may differ.
PUBLISHED = {
    # JWST user documentation: NIRCam filters, NIRISS filters; MIRI filters (nominal).
    "jwst_nircam": (0.006, "f070w 0.704 f090w 0.901 f115w 1.154 f150w 1.501 f200w 1.990"
                    " f277w 2.786 f356w 3.563 f444w 4.421 f182m 1.845 f335m 3.365"
                    " f410m 4.092 f480m 4.834"),
    "jwst_miri": (0.01, "f560w 5.6 f770w 7.7 f1000w 10.0 f1280w 12.8 f1500w 15.0 f2100w 21.0"),
    "jwst_niriss": (0.005, "f090w 0.902 f150w 1.493 f200w 1.993"),
    # Bohlin (2016, AJ 152, 60) and the ACS data handbook.
    "hst_acs_wfc": (0.003, "f435w 0.4329 f475w 0.4747 f606w 0.5921 f775w 0.7692 f814w 0.8057"
                    " f850lp 0.9033"),
    # WFC3 instrument handbook, tables 6.2 and 7.2.
    "hst_wfc3_ir": (0.001, "f105w 1.0552 f110w 1.1534 f125w 1.2486 f140w 1.3923 f160w 1.5369"),
    "hst_wfc3_uvis": (0.002, "f275w 0.2710 f336w 0.3355 f475w 0.4773 f606w 0.5889 f814w 0.8039"),
    # Schirmer et al. (2022, A&A 662, A92).
    "Euclid": (0.005, "Y 1.0809 J 1.3673 H 1.7714"),
    # Centers, Akeson et al. (2019, arXiv:1902.05569).
    "roman": (0.015, "f062 0.620 f087 0.869 f106 1.060 f129 1.293 f158 1.577 f184 1.842"),
    # Hewett et al. (2006, MNRAS 367, 454), effective wavelengths.
    "ukidss": (0.005, "J 1.2483 H 1.6313 K 2.2010"),
    # ESO's description of VIRCAM.
    "vista": (0.005, "Z 0.877 Y 1.021 J 1.254 H 1.646 Ks 2.149"),
    # Morrissey et al. (2007, ApJS 173, 682), effective wavelengths.
    "galex": (0.01, "fuv 0.15386 nuv 0.23157"),
    # Reach et al. (2005, PASP 117, 978), and the MIPS handbook.
    "spitzer": (0.005, "irac1 3.550 irac2 4.493 irac3 5.731 irac4 7.872 mips24 23.68"),
    # Wright et al. (2010, AJ 140, 1868), as isophotal wavelengths.
    "wise2010": (0.006, "W1 3.3526 W2 4.6028 W4 22.0883"),
}  # fmt: skip


@pytest.mark.parametrize("group", PUBLISHED)
def test_pivot_wavelengths_are_those_published(group):
    tolerance, text = PUBLISHED[group]
    words = text.split()
    for band, published in zip(words[::2], words[1::2], strict=True):
        found = pivot_wavelength(f"{group}-{band}").to_value(u.um)
        assert found == pytest.approx(float(published), rel=tolerance), band


def test_the_list_has_every_instrument_and_says_where_curves_are_from():
    table = list_filters()
    groups = {name.partition("-")[0] for name in table["name"]}
    assert set(PUBLISHED) | {"sdss2010", "twomass"} <= groups
    assert list(table["name"]) == sorted(table["name"], key=str.lower)
    assert all(len(source) > 3 for source in table["source"])
    assert np.all((table["pivot"] > 0.1 * u.um) & (table["width"] < table["pivot"]))
    # What is listed is what is used.
    for row in (table[0], table[-1], table[list(table["name"]).index("vista-Ks")]):
        assert row["pivot"].value == pytest.approx(pivot_wavelength(row["name"]).value, rel=1e-12)


@pytest.mark.parametrize("name", ["sdss2010-r", "panstarrs-g", "cfht_megacam-u"])
def test_curves_and_notes_are_those_that_speclite_reads(name):
    from speclite.filters import load_filter as load

    found, expected = load_filter_of_library(name), load(name)
    assert filter_hash(found) == filter_hash(expected)
    assert found.meta == dict(expected.meta)


@pytest.mark.parametrize("name", ["jwst_nircam-f200w", "hst_wfc3_ir-f160w", "spitzer-irac1"])
def test_magnitudes_are_on_the_ab_system(name):
    """A flat f_nu of 3631 Jy has magnitude 0; a black body that of sedpy's own integral."""
    from astropy.modeling.physical_models import BlackBody
    from sedpy.observate import Filter

    sedpy = {"jwst": "jwst_f200w", "hst_": "wfc3_ir_f160w", "spit": "spitzer_irac_ch1"}
    curve, wave = load_filter(name), np.geomspace(3000, 80000, 40000)
    flat = (3631 * u.Jy).to("erg/(s cm2 AA)", u.spectral_density(wave * u.AA))
    assert curve.get_ab_magnitude(flat, wave) == pytest.approx(0, abs=2e-4)
    star = BlackBody(5772 * u.K, scale=1e-20 * u.Unit("erg/(s cm2 AA sr)"))(wave * u.AA) * u.sr
    other = Filter(sedpy[name[:4]]).ab_mag(wave, star.value)
    assert curve.get_ab_magnitude(star, wave) == pytest.approx(other, abs=2e-3)


def test_unknown_names_say_what_there_is():
    for name, words in {
        "galex-NUV": ["'galex'", "galex-fuv, galex-nuv"],
        "nircam-F150W": ["jwst_nircam-f150w", "read_filter(FILE, 'nircam-F150W'"],
        "ukidss-Y": ["J", "H", "K"],
        "jwst_nircam-f999w": ["f070w", "f480m"],
        "sdss.ecsv": [],
    }.items():
        with pytest.raises(InvalidInputError) as caught:
            load_filter(name)
        assert all(word in str(caught.value) for word in [repr(name), *words])
        assert len(str(caught.value)) < 600


def test_without_sedpy_the_error_names_it(monkeypatch):
    from speclite.filters import _filter_cache

    from picasssso.filters import curves

    _filter_cache.pop("jwst_nircam-f200w", None)
    names = {n: p for n, p in curves._library_files().items() if p.endswith(".ecsv")}
    monkeypatch.setattr(curves, "_library_files", lambda: names)
    with pytest.raises(InvalidInputError, match="astro-sedpy"):
        load_filter("jwst_nircam-f200w")


# ---- one's own curve, from every kind of file -----------------------------------------------


@pytest.mark.parametrize("kind", ["text", "csv", "ecsv", "fits", "votable", "speclite", "many"])
def test_a_curve_is_read_from_every_kind_of_file(tmp_path, kind):
    expected = filter_hash(define())
    stated, unit = {"response": "photon"}, {"unit": "nm"}
    table = Table({"wavelength": NM * u.nm, "response": CURVE * (np.abs(NM - 600) < 39.5)})
    path = tmp_path / "curve"
    if kind == "text":
        write_text(path, table["wavelength"].value, table["response"])
    elif kind == "csv":
        Table({"a": NM, "b": table["response"]}).write(path, format="ascii.csv")
    elif kind == "speclite":
        # Its own files state all, name included.
        os.rename(define().save(tmp_path), path)
        assert filter_hash(read_filter(path)) == expected
        return
    else:
        unit = {}
        if kind == "many":
            # The columns are found by their names, whatever their order and number.
            table = Table({"error": CURVE, "Throughput": table["response"], "Lambda": NM * u.nm})
        table.write(path, format={"many": "ascii.ecsv", "ecsv": "ascii.ecsv"}.get(kind, kind))
    curve = read_filter(path, NAME, **unit, **stated)
    assert load_filter(NAME) is curve
    np.testing.assert_allclose(curve.wavelength, NM * 10, rtol=1e-6)
    np.testing.assert_allclose(curve(NM * 10), define()(NM * 10), atol=1e-6)


@pytest.mark.parametrize(
    ("written", "given_"), [("ANGSTROMS", None), ("Angstrom", "AA"), ("MICRONS", None),
                            ("NANOMETERS", "nm"), ("furlongs per day", "nm")]
)  # fmt: skip
def test_units_as_synphots_tables_write_them(tmp_path, written, given_):
    scale = {"A": 10, "M": 1e-3}.get(written[0], 1)
    columns = [
        fits.Column("WAVELENGTH", "D", unit=written, array=NM * scale),
        fits.Column("THROUGHPUT", "D", array=CURVE),
        fits.Column("ERROR", "D", array=CURVE * 0.01),
    ]
    hdus = [fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns)]
    fits.HDUList(hdus).writeto(tmp_path / "c.fits")
    curve = read_filter(tmp_path / "c.fits", NAME, unit=given_, response="photon")
    assert pivot_of(curve) == pytest.approx(pivot_of(define()), rel=1e-6)


def test_what_is_not_stated_is_never_guessed(tmp_path):
    path = write_text(tmp_path / "c.txt")
    for given_, lacking in [
        ({}, ["unit=", "response="]),
        ({"unit": "nm"}, ["response="]),
        ({"response": "photon"}, ["unit="]),
    ]:
        with pytest.raises(InvalidInputError) as caught:
            read_filter(path, NAME, **given_)
        assert all(word in str(caught.value) for word in lacking)
    with pytest.raises(InvalidInputError, match="name"):
        read_filter(path, unit="nm", response="photon")
    table = Table({"wavelength": NM * u.nm, "response": CURVE}, meta={"response": "energy"})
    table.write(tmp_path / "c.ecsv", format="ascii.ecsv")
    with pytest.raises(InvalidInputError, match="nm and um"):
        read_filter(tmp_path / "c.ecsv", NAME, unit="um")
    with pytest.raises(InvalidInputError, match="photon and energy"):
        read_filter(tmp_path / "c.ecsv", NAME, response="photon")


def test_a_response_to_energy_is_divided_by_wavelength(tmp_path):
    path = write_text(tmp_path / "c.txt", NM, CURVE * NM)
    energy = read_filter(path, NAME, unit="nm", response="energy")
    np.testing.assert_allclose(energy(NM[1:-1] * 10), CURVE[1:-1], rtol=1e-10)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "F150W"}, "GROUP-BAND"),
        ({"unit": "Hz"}, "length"),
        ({"unit": "wavelength"}, "length"),
        ({"unit": "AA"}, "around 600 AA .* Check the unit of wavelength"),
        ({"unit": "cm"}, r"around 6e\+10 AA .* Check the unit of wavelength"),
        ({"response": "counts"}, "'photon' or 'energy'"),
        ({"wavelength": np.r_[NM[:40], NM[39], NM[41:]]}, "ascend"),
        ({"curve": np.r_[CURVE[:40], np.nan, CURVE[41:]]}, "finite"),
        ({"curve": -CURVE}, "positive"),
        ({"curve": 0 * CURVE}, "positive"),
        ({"wavelength": NM - 600}, "positive"),
        ({"text": "a b c\n1 2 3\n"}, "columns a, b, c"),
        ({"text": "red blue\ndark light\n"}, "columns red, blue"),
        ({"text": "600 1\n"}, "at least 2"),
    ],
)
def test_what_is_no_curve_is_refused(tmp_path, change, words):
    path = write_text(tmp_path / "c", change.pop("wavelength", NM), change.pop("curve", CURVE))
    if text := change.pop("text", None):
        path.write_text(text)
    with pytest.raises(InvalidInputError, match=words) as caught:
        read_filter(
            path, change.pop("name", NAME), **{"unit": "nm", "response": "photon"} | change
        )
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    "content", [b"", b"SIMPLE  = no", b"# %ECSV 1.0\n# ---\n# {", b"\xff\x00"]
)
def test_a_damaged_file_is_one_error(tmp_path, content):
    path = tmp_path / "c"
    path.write_bytes(content)
    with pytest.raises((FileFormatError, InvalidInputError)):
        read_filter(path, NAME, unit="nm", response="photon")
    with pytest.raises(FileFormatError, match="no file"):
        read_filter(tmp_path / "none", NAME)


def test_a_curve_that_is_cut_off_warns(tmp_path):
    path = write_text(tmp_path / "c.txt", NM[20:], CURVE[20:])
    with pytest.warns(PicassssoWarning, match=r"cut off at 25%"):
        read_filter(path, NAME, unit="nm", response="photon")


def test_few_points_stand_for_straight_lines(tmp_path):
    """A box of four points has the pivot of a box: lambda_p^2 = (b^2 - a^2) / (2 ln(b / a))."""
    path = write_text(tmp_path / "c", [3999.9, 4000, 6000, 6000.1], [0, 1, 1, 0])
    read_filter(path, NAME, unit="AA", response="photon")
    expected = np.sqrt((6000**2 - 4000**2) / 2 / np.log(1.5))
    assert pivot_wavelength(NAME).value == pytest.approx(expected, rel=2e-6)


def test_hiding_a_filter_of_a_library_warns(tmp_path):
    with pytest.warns(PicassssoWarning, match="takes the place of the library's"):
        read_filter(write_text(tmp_path / "c"), "sdss2010-r", unit="nm", response="photon")
    assert pivot_wavelength("sdss2010-r").value == pytest.approx(5998, abs=5)


# ---- invariances ----------------------------------------------------------------------------

curves = st.lists(st.integers(0, 1000), min_size=3, max_size=30).filter(any)


@settings(max_examples=50)
@given(curves, st.floats(1e-20, 1e20), st.floats(0.5, 3), st.booleans())
def test_scale_order_and_unit_of_a_curve_do_not_matter_but_its_place_does(
    tmp_path_factory, response, scale, shift, descending
):
    folder = tmp_path_factory.mktemp("curves")
    wavelength = np.linspace(400, 500, len(response))
    response = np.array(response)
    order = slice(None, None, -1 if descending else 1)

    def pivot(factor, wavelength, unit):
        path = write_text(folder / "c", wavelength[order], factor * response[order])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PicassssoWarning)  # a cut end
            read_filter(path, NAME, unit=unit, response="photon")
        return pivot_wavelength(NAME).value

    first = pivot(1.0, wavelength, "nm")
    assert pivot(scale, wavelength, "nm") == pytest.approx(first, rel=1e-9)
    assert pivot(1.0, wavelength / 1000, "um") == pytest.approx(first, rel=1e-9)
    assert pivot(1.0, wavelength * shift, "nm") == pytest.approx(first * shift, rel=1e-9)
    adopted = own_curves([NAME])
    assert own_curves([NAME]) == adopted
    adopt_curves(adopted, "the same")  # no warning: it is the same curve


@settings(max_examples=20)
@given(st.floats(1e-6, 1e6))
def test_model_fluxes_do_not_depend_on_the_scale_of_a_curve(scale):
    define()
    one = GridPhotometry.build(SSPGrid.default(), [NAME], 0.05).stars
    define(response=CURVE * scale)
    other = GridPhotometry.build(SSPGrid.default(), [NAME], 0.05).stars
    np.testing.assert_allclose(other, one, rtol=1e-10)


# ---- a corrected curve takes the place of the old one ----------------------------------------


@pytest.mark.parametrize("name", ["sed_fit", "mass_to_light", "kcorrect"])
def test_a_corrected_curve_is_used_at_once(name):
    if name == "kcorrect":
        pytest.importorskip("kcorrect", reason="needs the extra 'kcorrect'")
    options = {"sed_fit": {"n_models": 500, "device": "cpu"}}
    library = {"relation": "sps", "color": ("sdss2010-g", NAME), "luminosity_band": NAME}
    estimator = get_estimator(name)(
        **options.get(name, library if name == "mass_to_light" else {})
    )

    def mass(flux=1.0):
        images = make_images("sdss2010-g", NAME, "sdss2010-i", flux=flux)
        return estimator.estimate(images)["stellar_mass"].data.copy()

    define()
    old = mass()
    define(NM * 13)
    corrected = mass()
    assert np.all(np.abs(corrected / old - 1) > 1e-3)
    define()
    np.testing.assert_array_equal(mass(), old)


def test_extinction_follows_the_corrected_curve():
    from picasssso.preparation.extinction import band_extinction

    define()
    old = band_extinction(NAME, 0.1, scale="SF11")
    define(NM * 13)
    assert band_extinction(NAME, 0.1, scale="SF11") < old - 0.01


# ---- curves travel with files ----------------------------------------------------------------


def test_images_and_maps_keep_the_curve_for_others(tmp_path):
    curve = define()
    images = make_images("sdss2010-g", NAME)
    images.write(tmp_path / "images.fits")
    maps = get_estimator("sed_fit")(n_models=500, device="cpu").estimate(images)
    maps.write(tmp_path / "maps.fits")
    assert list(PropertyMaps.read(tmp_path / "maps.fits").meta["filters"]) == [NAME]
    for name in ("images", "maps"):
        path = str(tmp_path / f"{name}.fits")
        code = (
            "from picasssso.filters import read_filter; from picasssso.filters.curves import "
            f"filter_hash; print(filter_hash(read_filter({path!r}, {NAME!r})))"
        )
        assert run_python(code) == filter_hash(curve), name
    path = str(tmp_path / "images.fits")
    result = run_python(
        f"from picasssso import BandImages; images = BandImages.read({path!r}); from "
        f"picasssso.filters.curves import pivot_wavelength as p; print(p({NAME!r}).value)"
    )
    assert float(result) == pivot_wavelength(NAME).value
    with pytest.raises(InvalidInputError, match=f"found {NAME} kept"):
        read_filter(tmp_path / "maps.fits", "other-r")


def test_images_take_the_curve_to_another_process(tmp_path):
    define()
    (tmp_path / "images.pickle").write_bytes(pickle.dumps(make_images("sdss2010-g", NAME)))
    result = run_python(
        f"import pickle; pickle.load(open({str(tmp_path / 'images.pickle')!r}, 'rb')); from "
        f"picasssso.filters.curves import pivot_wavelength as p; print(p({NAME!r}).value)"
    )
    assert float(result) == pivot_wavelength(NAME).value


def test_workers_of_a_survey_run_have_the_curves_of_the_session(tmp_path):
    pytest.importorskip("distributed", reason="needs the extra 'survey'")
    from picasssso.surveys.engine import _Work

    define()
    # In a file: with all curves that other tests have defined it is too long for a command.
    plugin = tmp_path / "plugin"
    plugin.write_bytes(pickle.dumps(_Work("a run", print, None)))
    code = (
        "import pathlib, pickle; from types import SimpleNamespace as S; from "
        "picasssso.filters.curves import pivot_wavelength as p; work = pickle.loads("
        f"pathlib.Path({str(plugin)!r}).read_bytes()); work.setup(S(state=S(nthreads=1))); "
        f"print(p({NAME!r}).value)"
    )
    assert float(run_python(code)) == pivot_wavelength(NAME).value


def test_the_command_defines_filters_and_lists_those_known(tmp_path):
    from click.testing import CliRunner

    from picasssso.cli import cli

    def run(*words):
        result = CliRunner().invoke(cli, [str(word) for word in words], prog_name="picasssso")
        return result.exit_code, " ".join(result.output.split())

    code, output = run("filters", "vista-*", "roman-f158")
    assert code == 0
    assert "vista-Ks pivot 2.1503 um" in output
    assert "sdss2010" not in output
    assert run("filters", "vista-?", "--quiet") == (0, "vista-H vista-J vista-Y vista-Z")
    assert run("filters", "nothing*")[0] == 2

    write_text(tmp_path / "curve.txt", NM, CURVE * (np.abs(NM - 600) < 39.5))
    make_images("sdss2010-g", "sdss2010-i").write(tmp_path / "images.fits")
    estimate = ("estimate", tmp_path / "images.fits", "-e", "sed_fit", "--option", "n_models=500",
                "-o", tmp_path / "maps.fits")  # fmt: skip
    for stated, words in [("", "NAME=FILE,nm,photon"), (",nm", "photon"),
                          (",nm,um", "given twice"),
                          (",nm,photon,1", "NAME=FILE,UNIT,photon")]:  # fmt: skip
        code, output = run(*estimate, "--filter", f"{NAME}={tmp_path / 'curve.txt'}{stated}")
        assert code == 2
        assert words in output
    code, output = run(*estimate, "--filter", f"{NAME}={tmp_path / 'curve.txt'},nm,photon")
    assert code == 0, output
    assert pivot_wavelength(NAME).value == pytest.approx(5998, abs=2)


def test_files_of_library_filters_hold_no_curves(tmp_path):
    load_filter("vista-Ks")
    images = make_images("sdss2010-g", "vista-Ks", "hst_acs_wfc-f814w")
    assert own_curves(images.bands) == {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        maps = get_estimator("sed_fit")(n_models=500, device="cpu").estimate(images)
    assert "filters" not in maps.meta


def test_the_curve_of_the_session_is_not_replaced_in_silence(tmp_path):
    define()
    make_images("sdss2010-g", NAME).write(tmp_path / "old.fits")
    corrected = filter_hash(define(NM * 11))
    with pytest.warns(
        PicassssoWarning, match=r"keeps a curve with the pivot 59.* session's remains"
    ):
        BandImages.read(tmp_path / "old.fits")
    assert filter_hash(load_filter(NAME)) == corrected
    # The file's is there for the asking.
    assert filter_hash(read_filter(tmp_path / "old.fits", NAME)) != corrected


def test_a_file_with_a_damaged_curve_says_so(tmp_path):
    define()
    make_images("sdss2010-g", NAME).write(tmp_path / "a.fits")
    with fits.open(tmp_path / "a.fits") as hdus:
        rows = [
            (r["KEY"], r["JSON"].replace("photon_response", "nothing")) for r in hdus["META"].data
        ]
        keys, texts = map(np.array, zip(*rows, strict=True))
        hdus["META"] = fits.BinTableHDU(Table({"KEY": keys, "JSON": texts}), name="META")
        hdus.writeto(tmp_path / "b.fits")
    with pytest.raises(FileFormatError, match="damaged"):
        BandImages.read(tmp_path / "b.fits")


# ---- beyond 3 um ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sed_fit", "mass_to_light", "kcorrect"])
def test_bands_where_dust_shines_warn_once_with_their_names(name):
    if name == "kcorrect":
        pytest.importorskip("kcorrect", reason="needs the extra 'kcorrect'")
    options = {
        "sed_fit": {"n_models": 500, "device": "cpu"},
        "mass_to_light": {
            "relation": "sps", "color": ("sdss2010-g", "wise2010-W3"),
            "luminosity_band": "sdss2010-g",
        },
    }  # fmt: skip
    estimator = get_estimator(name)(**options.get(name, {}))
    images = make_images("sdss2010-g", "sdss2010-i", "wise2010-W3")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", PicassssoWarning)
        estimator.estimate(images)
    found = [str(w.message) for w in caught if "3 um" in str(w.message)]
    assert len(found) == 1
    assert "wise2010-W3 (11.7 um)" in found[0]


def test_bands_below_3_um_at_rest_do_not_warn():
    images = make_images("sdss2010-g", "wise2010-W1").replace(redshift=0.2)
    get_estimator("sed_fit")(n_models=500, device="cpu").estimate(images)


def test_filters_are_listed_by_patterns_in_any_case():
    found = CliRunner().invoke(filters, ["JWST_*F200W", "--quiet"])
    assert (found.exit_code, found.output.split()) == (
        0,
        ["jwst_nircam-f200w", "jwst_niriss-f200w"],
    )
