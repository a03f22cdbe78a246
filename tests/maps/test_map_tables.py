"""Maps as a table."""

import astropy.units as u
import numpy as np
import pytest
from astropy.table import QTable


def test_one_row_per_pixel_that_is_not_masked_everywhere(maps):
    table = maps.to_table()
    # Four pixels are masked everywhere, two in age only.
    assert len(table) == 20 * 24 - 4
    assert np.isnan(table["stellar_age"]).sum() == 2
    np.testing.assert_array_equal(
        table["stellar_mass"], maps.percentile("stellar_mass", 50)[table["y"], table["x"]]
    )


def test_columns(make_maps):
    bins = np.arange(480).reshape(20, 24)
    table = make_maps(bins=bins, meta={"estimator": "none"}).to_table()
    mass = [f"stellar_mass{s}" for s in ("", "_mean", "_p025", "_p160", "_p840", "_p975")]
    assert table.colnames[:9] == ["y", "x", "sky", *mass]
    assert table.colnames[-2:] == ["quality", "bin"]
    assert "stellar_age_mean" not in table.colnames
    assert table["sfr"].unit == u.Msun / u.yr / u.kpc**2
    assert table["sfr"].dtype == np.float32
    assert table.meta == {"estimator": "none"}
    np.testing.assert_array_equal(table["bin"], bins[table["y"], table["x"]])


def test_sky_positions(maps):
    table = maps.to_table()
    x, y = maps.wcs.world_to_pixel(table["sky"])
    np.testing.assert_allclose(x, table["x"], atol=1e-6)
    np.testing.assert_allclose(y, table["y"], atol=1e-6)


def test_without_wcs(make_maps):
    assert "sky" not in make_maps(pixel_solid_angle=1 * u.arcsec**2).to_table().colnames


def test_all_masked(make_maps):
    table = make_maps(quality=np.ones((20, 24), int)).to_table()
    assert len(table) == 0


@pytest.mark.parametrize("ending", ["ecsv", "fits"])
def test_can_be_written(maps, tmp_path, ending):
    table = maps.to_table()
    table.write(tmp_path / f"pixels.{ending}")
    again = QTable.read(tmp_path / f"pixels.{ending}")
    np.testing.assert_array_equal(again["sfr_p840"].value, table["sfr_p840"].value)
    assert again["sky"][0].separation(table["sky"][0]) < 1e-6 * u.arcsec
