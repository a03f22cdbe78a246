"""A worker's part, without a cluster: files found, tiles cut, rows measured."""

import pickle
import warnings

import astropy.units as u
import numpy as np
import pytest
from astropy.table import MaskedColumn, Table
from photutils.aperture import CircularAperture
from survey_estimators import Quick

from picasssso import BandImages, MassToLightEstimator, PropertyMaps
from picasssso.exceptions import FileFormatError, InvalidInputError, PicassssoWarning
from picasssso.preparation import prepare
from picasssso.surveys.catalogs import read_catalog
from picasssso.surveys.galaxies import READ_ONLY, GalaxyWork, file_of
from picasssso.surveys.image_sources import FilePatterns, Tiles, read_source
from picasssso.surveys.running import _doubt_distances, _make_source

OPTIONS = {**READ_ONLY, "survey": "sdss", "psf": 1.3 * u.arcsec}


@pytest.fixture
def catalog(galaxies):
    return read_catalog(galaxies / "galaxies.ecsv")


@pytest.fixture
def located(galaxies, catalog):
    source = FilePatterns(str(galaxies / "cutouts/{id}_{band}.fits"), ["g", "i"])
    return [source.locate(catalog[k]) for k in range(len(catalog))]


def make_work(folder, estimator=None, **changes):
    return GalaxyWork(
        estimator or MassToLightEstimator(), folder, **{"options": OPTIONS,
        "aperture": 1 * u.arcsec, **changes}
    )  # fmt: skip


def test_a_row_is_that_of_the_maps(tmp_path, located):
    work = pickle.loads(pickle.dumps(make_work(tmp_path)))
    (row,) = work([located[2]])
    maps = PropertyMaps.read(tmp_path / row["maps"])
    images = prepare(located[2].files, redshift=0.052, **OPTIONS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = MassToLightEstimator().estimate(images)
    np.testing.assert_array_equal(maps["stellar_mass"].data, expected["stellar_mass"].data)
    assert row["id"] == "galaxy 2"
    assert row["seconds"] > 0
    # A circle of 1 arcsec around the galaxy's middle holds less than 2 half-mass radii.
    assert 0 < row["stellar_mass_aperture"] < row["stellar_mass"]
    assert row["stellar_mass"] < expected.total("stellar_mass", "frame", "full").value.value
    assert row["stellar_mass_error"] > 0
    assert row["stellar_mass_gradient"] < 0
    assert 0 <= row["flagged"] <= 1


def test_the_catalog_says_where_the_galaxy_is_in_its_image(tmp_path, galaxies, monkeypatch):
    """Also in images that are no cutouts of tiles: the middle may hold another galaxy."""
    table = Table.read(galaxies / "galaxies.ecsv")
    table["ra"], table["dec"] = 10.0, -20.0
    catalog = read_catalog(table)
    source = FilePatterns(str(galaxies / "cutouts/{id}_{band}.fits"), ["g", "i"])
    asked = []

    def prepare(images, **how):
        asked.append(how)
        return BandImages.read(images, redshift=0.05, survey="sdss")

    monkeypatch.setattr("picasssso.preparation.prepare", prepare)
    make_work(tmp_path)._prepare(source.locate(catalog[0]))
    assert (asked[0]["position"].ra.deg, asked[0]["position"].dec.deg) == (10.0, -20.0)
    scale = {**OPTIONS, "pixel_scale": 0.4 * u.arcsec}
    make_work(tmp_path, options=scale)._prepare(source.locate(catalog[0]))
    assert "position" not in asked[1]


def test_without_a_distance_it_is_said_why_there_are_no_totals(tmp_path, galaxies):
    table = Table.read(galaxies / "galaxies.ecsv")
    table["redshift"] = 0.0005
    source = FilePatterns(str(galaxies / "cutouts/{id}_{band}.fits"), ["g", "i"])
    (row,) = make_work(tmp_path)([source.locate(read_catalog(table)[0])])
    assert np.isnan(row["stellar_mass"])
    assert "no totals: the redshift gives no distance" in row["notes"]


def test_notes_say_what_was_found_and_no_python(tmp_path, located):
    work = make_work(tmp_path, options={"survey": "sdss", "sky": None})
    _, notes = work._prepare(located[0])
    assert any("Found fewer than 3 usable stars" in note for note in notes)
    assert not any("psf=" in note or "u.arcsec" in note for note in notes)


def test_a_region_file_stands_for_the_aperture(tmp_path, located):
    """A circle in DS9 is a circle; one of another place is named as what is wrong."""
    pytest.importorskip("regions")
    text = "# Region file format: DS9\nimage\ncircle(11,11,3)\n"
    (tmp_path / "galaxy 2.reg").write_text(text)
    (tmp_path / "galaxy 1.reg").write_text(text.replace("11,11", "400,11"))
    work = make_work(tmp_path, aperture=str(tmp_path / "{id}.reg"))
    (row,) = work([located[2]])
    maps = PropertyMaps.read(tmp_path / row["maps"])
    expected = maps.total("stellar_mass", CircularAperture((10, 10), 3), "independent")
    assert row["stellar_mass_aperture"] == pytest.approx(expected.value.value, rel=1e-6)
    with pytest.raises(InvalidInputError, match=r"none of the images' pixels.*galaxy 1\.reg"):
        work([located[1]])
    with pytest.raises(FileFormatError, match=r"found no file.*galaxy 3\.reg"):
        work([located[3]])


def test_rows_scale_with_the_light(tmp_path, located):
    small, large = (make_work(tmp_path, Quick())([located[k]])[0] for k in (0, 0))
    assert small["stellar_mass"] == large["stellar_mass"]
    bright = make_work(tmp_path, Quick())([located[3]])[0]
    # Four times the light at a little more distance, of another noise.
    ratio = bright["stellar_mass"] / small["stellar_mass"]
    assert ratio == pytest.approx(4 * (0.053 / 0.05) ** 2, rel=0.1)


def test_a_batch_is_like_one_by_one(tmp_path, located):
    work = make_work(tmp_path, keep_maps=False)
    together = work(located[:3])
    for k, row in enumerate(together):
        (alone,) = work([located[k]])
        assert {**row, "seconds": 0} == {**alone, "seconds": 0}


def test_what_fails_in_a_batch_costs_only_itself(tmp_path, located):
    rows = make_work(tmp_path, Quick(wrong=(0.051,)), keep_maps=False)(located[:3])
    assert ["failed" in row for row in rows] == [False, True, False]
    assert rows[1]["failed"] == "RuntimeError: an estimator's own mistake"
    with pytest.raises(RuntimeError, match="own mistake"):
        make_work(tmp_path, Quick(wrong=(0.051,)))([located[1]])


def test_names_of_files_are_safe_and_spread(tmp_path):
    paths = [file_of(tmp_path, "maps", f"../{k}/é", ".fits") for k in range(3000)]
    assert all(path.parent.parent == tmp_path / "maps" for path in paths)
    folders = [path.parent.name for path in paths]
    assert len(set(folders)) > 1500
    assert len(set(paths)) == 3000
    long = ["x" * 300 + end for end in "ab"]
    stored = [file_of(tmp_path, "maps", name, ".fits").name for name in (*long, ".hidden")]
    assert len(set(stored)) == 3
    assert not any(name.startswith(".") or len(name) > 230 for name in stored)


def test_what_the_catalog_lacks_costs_that_galaxy_alone(tmp_path, galaxies, tiles):
    table = Table.read(galaxies / "galaxies.ecsv")[:3]
    table["file"] = MaskedColumn([str(galaxies / "cutouts" / "galaxy 0_g.fits"), "", "y"],
                                 mask=[False, False, True])  # fmt: skip
    table["ebv"] = MaskedColumn([0.1, 0.1, 0.1], mask=[True, False, False])
    catalog = read_catalog(table)
    source = FilePatterns({"sdss2010-g": "{file}"}, None)
    located = [source.locate(catalog[k]) for k in range(3)]
    work = make_work(tmp_path, Quick(), options={**OPTIONS, "ebv_scale": "SF11"})
    rows = work(located)
    assert [row["failed"] for row in rows] == [
        "the catalog has no E(B-V) of it",
        *2 * ["the catalog has no file of it"],
    ]
    folder, positions = tiles
    field = Table({"id": ["a", "b"], "ra": [np.nan, positions["left"].ra.deg],
                   "dec": [1.0, positions["left"].dec.deg], "size": [9.0, -1.0] * u.arcsec,
                   "redshift": [0.05, 0.05]})  # fmt: skip
    catalog = read_catalog(field)
    cut = Tiles({"sdss2010-g": str(folder / "*_g.fits")}, catalog, None)
    assert cut.locate(catalog[0]).error == "the catalog has no position of it"
    assert cut.locate(catalog[1]).error.startswith("the size of its cutout is -1 arcsec")


def test_a_missing_distance_and_unknown_dust_are_told(tmp_path, galaxies):
    table = Table.read(galaxies / "galaxies.ecsv")
    table["distance"] = [np.nan] + [200.0] * (len(table) - 1)
    source = FilePatterns(str(galaxies / "cutouts/{id}_{band}.fits"), ["g", "i"])
    catalog = read_catalog(table, {"distance": "distance [Mpc]"})
    rows = make_work(tmp_path)([source.locate(catalog[k]) for k in range(2)])
    assert ["no distance in the catalog" in row["notes"] for row in rows] == [True, False]
    assert all("Galactic extinction unknown" in row["notes"] for row in rows)


def test_distances_that_contradict_redshifts_are_counted_before_the_run():
    table = Table({"id": list("abc"), "redshift": [0.03, 0.03, np.nan], "dist": [130, 0.13, 1]})
    with pytest.warns(PicassssoWarning, match=r"1 of 2 .* of 'b': found 0.13 Mpc, and 135.9 Mpc"):
        _doubt_distances(read_catalog(table, {"distance": "dist [Mpc]"}))


@pytest.mark.parametrize("own_file", [False, True])
def test_a_distance_that_contradicts_the_redshift_is_told_with_both(tmp_path, galaxies, own_file):
    table = Table.read(galaxies / "galaxies.ecsv")[:2]
    table["distance"] = [130.0, 130.0] * u.kpc
    catalog = read_catalog(table)
    source = FilePatterns(str(galaxies / "cutouts/{id}_{band}.fits"), ["g", "i"])
    located = source.locate(catalog[0])
    if own_file:
        images = BandImages.read(located.files, redshift=0.03, survey="sdss")
        images.write(tmp_path / "own.fits")
        located = FilePatterns(str(tmp_path / "own.fits"), None).locate(catalog[0])
    own = {"survey": "sdss"} if not own_file else {}
    (row,) = make_work(tmp_path, options={**READ_ONLY, **own, "psf": 1.3 * u.arcsec})([located])
    text = row["notes"]
    assert text.startswith("luminosity_distance: found 0.13 Mpc, and ")
    assert f" Mpc for the redshift {catalog[0].redshift:g}" in text


def test_whole_numbers_fill_patterns_with_a_width():
    catalog = read_catalog(Table({"plate": [7, 12], "redshift": [0.1, 0.1]}), {"id": "plate"})
    files = FilePatterns("cut/{id:04d}.fits", None).locate(catalog[0]).files
    assert files.endswith("cut/0007.fits")


def test_a_worker_that_does_not_see_the_folder_is_refused(tmp_path):
    with pytest.raises(FileFormatError, match="does not see the folder of the run"):
        make_work(tmp_path).check_worker()


@pytest.mark.parametrize("removed", [None, "SF11"])
def test_extinction_of_the_catalog(tmp_path, galaxies, removed):
    table = Table.read(galaxies / "galaxies.ecsv")
    table["ebv"] = 0.1
    source = FilePatterns(str(galaxies / "cutouts/{id}_{band}.fits"), ["g", "i"])
    located = source.locate(read_catalog(table)[0])
    options = OPTIONS if removed else {**OPTIONS, "ebv_scale": "SF11"}
    images, _ = make_work(tmp_path, options=options, extinction_removed=removed)._prepare(located)
    plain = prepare(located.files, redshift=0.05, **OPTIONS)
    ratio = np.median(images.to_arrays()[0] / plain.to_arrays()[0])
    assert images.galactic_extinction.applied
    assert (ratio == 1) if removed else (1.2 < ratio < 1.6)


def test_patterns_by_column_and_one_file_for_all_bands(tmp_path, galaxies):
    table = Table.read(galaxies / "galaxies.ecsv")
    table["file"] = [str(galaxies / "cutouts" / f"{name}_g.fits") for name in table["id"]]
    galaxy = read_catalog(table)[1]
    files = FilePatterns({"sdss2010-g": "{file}"}, None).locate(galaxy).files
    assert files == {"sdss2010-g": table["file"][1]}
    prepare(files, redshift=0.1, **OPTIONS).write(tmp_path / "galaxy 1.fits")
    located = FilePatterns(str(tmp_path / "{id}.fits"), None).locate(galaxy)
    assert read_source(located, None).bands == ("sdss2010-g",)
    images, _ = make_work(tmp_path, options=READ_ONLY)._prepare(located)
    assert images.redshift == pytest.approx(0.051)


@pytest.mark.parametrize(
    ("images", "bands", "message"),
    [
        ("{id}_{band}.fits", None, "needs the bands"),
        ("{id}.fits", ["g"], "has no {band}"),
        ("{nothing}.fits", None, "cannot be filled in"),
        ({"g": "{id}"}, ["g"], "expected one of them"),
    ],
)
def test_patterns_that_cannot_be(catalog, images, bands, message):
    with pytest.raises(InvalidInputError, match=message):
        FilePatterns(images, bands).locate(catalog[0])


def test_a_pattern_that_gives_all_galaxies_one_file_is_refused(catalog, tmp_path):
    for pattern in ("image_{band}.fits", "image.fits"):
        bands = ["g"] if "band" in pattern else None
        with pytest.raises(InvalidInputError, match=r"the same file .* braces around id"):
            _make_source(catalog, pattern, bands, None, None)
    _make_source(catalog, "{note}.fits", None, None, None)


def field_catalog(positions):
    names = list(positions)
    return read_catalog(
        Table(
            {
                "id": [*names, "off"],
                "ra": [*(positions[n].ra.deg for n in names), 10.0],
                "dec": [*(positions[n].dec.deg for n in names), 10.0],
                "redshift": [0.05] * (len(names) + 1),
            }
        )
    )


def test_galaxies_come_from_the_tile_that_holds_them_best(tmp_path, tiles):
    folder, positions = tiles
    catalog = field_catalog(positions)
    files = {f"sdss2010-{b}": str(folder / f"*_{b}.fits") for b in "gi"}
    source = Tiles(files, catalog, 20 * 0.396)
    found = {galaxy.galaxy.id: galaxy for galaxy in (source.locate(catalog[k]) for k in range(4))}
    tile = {name: {path[-8:-7] for path in one.files.values()} for name, one in found.items()}
    assert tile == {"left": {"a"}, "both": {"b"}, "edge": {"a"}, "off": set()}
    assert found["left"].notes == found["both"].notes == ()
    assert "across the edge of a_g.fits, which holds" in found["edge"].notes[0]
    assert found["off"].error == "no tile of sdss2010-g holds it"
    work = make_work(tmp_path, Quick(), options={**READ_ONLY, "psf": 1.3 * u.arcsec})
    row = work([found["both"]])[0]
    maps = PropertyMaps.read(tmp_path / row["maps"])
    assert maps.shape == (20, 20)
    # The source is where the catalog has it.
    y, x = np.unravel_index(np.argmax(maps["stellar_mass"].data), maps.shape)
    assert maps.wcs.pixel_to_world(x, y).separation(positions["both"]).arcsec < 0.3
    edge = work([found["edge"]])[0]
    assert "across the edge" in edge["notes"]
    with pytest.raises(InvalidInputError, match="no tile"):
        work([found["off"]])


def test_tiles_that_cannot_be(tiles, catalog):
    folder, positions = tiles
    with pytest.raises(InvalidInputError, match="needs positions"):
        Tiles({"g": str(folder / "*_g.fits")}, catalog, 10.0)
    field = field_catalog(positions)
    with pytest.raises(InvalidInputError, match="size of cutouts"):
        Tiles({"g": str(folder / "*_g.fits")}, field, None)
    with pytest.raises(InvalidInputError, match="no such file"):
        Tiles({"g": str(folder / "*_q.fits")}, field, 10.0)
    with pytest.raises(FileFormatError, match="found no file"):
        Tiles({"g": [folder / "none.fits"]}, field, 10.0)


@pytest.mark.filterwarnings("ignore::astropy.utils.exceptions.AstropyWarning")
@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"CTYPE1  = 'RA---TAN'", b"CTYPE1  = 'RA---XYZ'", "WCS"),
        (b"NAXIS2  =", b"NAXIS2  =                  -64 /".ljust(80), "NAXIS2 = -64"),
    ],
)
def test_a_damaged_tile(tiles, tmp_path, old, new, message):
    folder, positions = tiles
    path = tmp_path / "damaged_g.fits"
    content = sorted(folder.glob("*_g.fits"))[0].read_bytes()
    assert old in content
    at = content.index(old)
    path.write_bytes(content[:at] + new + content[at + len(new) :])
    with pytest.raises(FileFormatError, match=message):
        Tiles({"g": [path]}, field_catalog(positions), 10.0)
