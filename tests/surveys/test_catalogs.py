"""Catalogs: columns by their usual names, or told; nothing is guessed."""

from importlib.util import find_spec

import astropy.units as u
import numpy as np
import pytest
from astropy.table import QTable, Table
from astropy.utils.masked import Masked

from picasssso.exceptions import FileFormatError, InvalidInputError, MissingDependencyError
from picasssso.surveys.catalogs import read_catalog


@pytest.fixture
def table():
    return Table({"Name": ["a", "b"], "RAJ2000": [1.0, 2.0], "DEJ2000": [-3.0, 4.0],
                  "z_spec": [0.1, 0.2]})  # fmt: skip


@pytest.mark.parametrize("ending", ["ecsv", "fits", "csv", "dat", "vot", "parquet"])
def test_every_format_gives_the_same(table, tmp_path, ending):
    if ending == "parquet":
        pytest.importorskip("pyarrow")
        pytest.importorskip("pandas")
    kinds = {"vot": "votable", "csv": "ascii.csv", "ecsv": "ascii.ecsv", "dat": "ascii"}
    path = tmp_path / f"catalog.{ending}"
    table.write(path, format=kinds.get(ending, ending))
    catalog = read_catalog(path)
    assert catalog.ids == ("a", "b")
    galaxy = catalog[1]
    assert (galaxy.id, galaxy.redshift, galaxy.position) == ("b", 0.2, (2.0, 4.0))
    assert galaxy.distance is None


def test_columns_that_are_told_with_units(table):
    table["dist"], table["s"] = [3e3, 4e3], [1.0, np.nan] * u.arcmin
    table["RAJ2000"].unit = u.rad
    catalog = read_catalog(table, {"distance": "dist [kpc]", "size": "s", "id": "z_spec"})
    assert catalog[0].distance == pytest.approx(3.0)
    assert catalog[0].size == pytest.approx(60.0)
    assert catalog[1].size is None
    assert catalog[0].position[0] == pytest.approx(np.degrees(1.0))
    assert catalog.ids == ("0.1", "0.2")


def test_whole_numbers_name_galaxies_as_they_are_written():
    catalog = read_catalog(Table({"objid": [1237648720693755918], "redshift": [0.1]}))
    assert catalog.ids == ("1237648720693755918",)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"z": [0.1, 0.2]}, "z_spec and z"),
        ({"Name": ["a", "a"]}, "'a' twice"),
        ({"z_spec": ["x", "y"]}, "'x': expected numbers"),
        ({"z_spec": [np.nan, -1.0]}, "contains no redshift"),
        ({"distance": [1.0, 2.0]}, "has no unit: give it, columns="),
        ({"distance": [1.0, 2.0] * u.s}, "is in s: expected a unit like Mpc"),
        ({"DEJ2000": [95.0, 1.0]}, "beyond 90"),
        ({"RAJ2000": [-999.0, 1.0]}, "beyond 360"),
        (
            {"RAJ2000": ["12:30", "east"]},
            "holds 'east': expected numbers in degrees, or sexagesimal",
        ),
    ],
)
def test_what_is_not_plain_is_refused(table, change, message):
    for name, values in change.items():
        table[name] = values
    with pytest.raises(InvalidInputError, match=message):
        read_catalog(table)


SKY = [("12:30:49.4", "+12:23:28"), ("12 30 49.4", "12 23 28"), ("12h30m49.4s", "+12d23m28s")]


@pytest.mark.parametrize("place", SKY)
@pytest.mark.parametrize("ending", ["csv", "fits", "vot"])
def test_sexagesimal_coordinates_are_hours_and_degrees(tmp_path, place, ending):
    table = Table({"id": ["M87", "none"], "ra": [place[0], ""], "dec": [place[1], ""],
                   "z": [0.0042, 0.1]})  # fmt: skip
    path = tmp_path / f"catalog.{ending}"
    table.write(path, format={"csv": "ascii.csv", "vot": "votable"}.get(ending, ending))
    catalog = read_catalog(path)
    assert catalog[0].position == pytest.approx((187.70583, 12.39111), abs=1e-4)
    assert catalog[1].position is None
    assert set(catalog[1].missing) == {"ra", "dec"}


def test_sexagesimal_degrees_where_the_unit_says_so():
    table = Table({"id": ["M87"], "ra": ["187:42:21"], "dec": ["12:23:28"], "z": [0.0042]})
    with pytest.raises(InvalidInputError, match="sexagesimal hours such as"):
        read_catalog(table)
    catalog = read_catalog(table, {"ra": "ra [deg]"})
    assert catalog[0].position[0] == pytest.approx(187.70583, abs=1e-4)


def test_numbers_written_as_text_and_cells_without_a_value(tmp_path):
    path = tmp_path / "catalog.csv"
    path.write_text(
        "name,Z,ebv,file,distance\na b,0.1,0.02,x.fits,400\nc/d,,,,\né,0.3,0.1,y.fits,\n"
    )
    catalog = read_catalog(path, {"distance": "distance [Mpc]"})
    assert catalog.ids == ("a b", "c/d", "é")
    assert catalog[1].missing == ("redshift", "distance", "ebv")
    assert catalog[1].values["file"] is None
    assert catalog[2].missing == ("distance",)
    texts = Table({"id": [1, 2], "z": ["0.1", " 0.2 "]})
    assert read_catalog(texts)[1].redshift == 0.2


def test_masked_quantities(table):
    table = QTable(table)
    table["distance"] = Masked([10.0, 20.0] * u.Mpc, mask=[True, False])
    catalog = read_catalog(table)
    assert (catalog[0].distance, catalog[1].distance) == (None, 20.0)


def test_velocities_are_no_redshifts():
    table = Table({"id": ["a"], "z": [3000.0] * u.km / u.s})
    with pytest.raises(InvalidInputError, match="is in km / s: expected redshifts"):
        read_catalog(table)


def test_parquet_of_pandas_with_cells_without_a_value(tmp_path):
    pytest.importorskip("pyarrow")
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"name": ["a", "b"], "z": [0.1, None], "file": ["x.fits", None]})
    frame.to_parquet(tmp_path / "catalog.parquet")
    catalog = read_catalog(tmp_path / "catalog.parquet")
    assert catalog.ids == ("a", "b")
    assert catalog[1].missing == ("redshift",)
    assert [catalog[k].values["file"] for k in range(2)] == ["x.fits", None]


@pytest.mark.skipif(bool(find_spec("pyarrow")), reason="needs an environment without pyarrow")
def test_parquet_without_its_packages_names_them(tmp_path):
    path = tmp_path / "catalog.parquet"
    path.write_bytes(b"PAR1" + bytes(20) + b"PAR1")
    with pytest.raises(MissingDependencyError, match="pip install pandas pyarrow"):
        read_catalog(path)


def test_magnitudes_are_no_redshift():
    table = Table({"id": ["a"], "g": [18.0], "r": [17.0], "z": [16.0]})
    with pytest.raises(InvalidInputError, match="usual name of the redshift"):
        read_catalog(table)
    assert read_catalog(table, {"redshift": "z"})[0].redshift == 16.0


def test_files_that_are_no_catalog(tmp_path):
    with pytest.raises(FileFormatError, match="no catalog"):
        read_catalog(tmp_path / "none.fits")
    path = tmp_path / "noise.fits"
    path.write_bytes(b"\x00\x01" * 40)
    with pytest.raises(FileFormatError, match="cannot be read as a table"):
        read_catalog(path)
    with pytest.raises(InvalidInputError, match="no rows"):
        read_catalog(Table({"id": [], "redshift": []}))
    with pytest.raises(InvalidInputError, match="no column 'q'"):
        read_catalog(Table({"id": ["a"], "redshift": [0.1]}), {"redshift": "q"})
