"""Catalogs: columns by their usual names, or told; nothing is guessed."""

import astropy.units as u
import numpy as np
import pytest
from astropy.table import Table

from picasssso.exceptions import FileFormatError, InvalidInputError
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
    ],
)
def test_what_is_not_plain_is_refused(table, change, message):
    for name, values in change.items():
        table[name] = values
    with pytest.raises(InvalidInputError, match=message):
        read_catalog(table)


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
