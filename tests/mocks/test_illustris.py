"""The files of Buck & Wolf (2021): maps, images in two formats, and painting."""

import astropy.units as u
import h5py
import numpy as np
import pytest
from astropy.io import fits

from picasssso.exceptions import FileFormatError, InvalidInputError
from picasssso.mocks.age_bins import surviving_fraction
from picasssso.mocks.illustris import (
    PARTICLE_MASS,
    read_broadband,
    read_illustris_maps,
    read_synthetic_image,
)

STARS = {"stars_Masses": 1e8, "stars_GFM_Metallicity": 2e6}
GAS = {
    "gas_Masses": 3e7,
    "gas_GFM_Metallicity": 6e5,
    "gas_NeutralHydrogenAbundance": 1e7,
    "gas_StarFormationRate": 0.01,
}


def write_maps(path, *, age=6.0, metallicity=0.02, psize=0.5, gas=True, shape=(24, 20)):
    """Write a galaxy whose stars all have one age; the sum of ages counts particles formed."""
    y, x = np.indices(shape)
    profile = np.exp(-np.hypot(y - shape[0] / 2, x - shape[1] / 2) / 3.0)
    profile[:3] = 0.0
    survive = surviving_fraction(np.full((1, 1, 1), np.log10(metallicity)))[:, 0, 0]
    centers = np.array([5e6, 5.5e7, 2e8, 6.5e8, 1.5e9, 3e9, 5.5e9, 8.5e9, 1.15e10]) / 1e9
    formed = 1.0 / np.interp(age, centers, survive)
    with h5py.File(path, "w") as file:
        maps = {name: value * profile for name, value in STARS.items()}
        maps["stars_GFM_Metallicity"] = metallicity * maps["stars_Masses"]
        count = maps["stars_Masses"] * formed / PARTICLE_MASS
        maps["stars_GFM_StellarFormationTime"] = count * age
        if gas:
            maps.update({name: value * profile for name, value in GAS.items()})
        for name, values in maps.items():
            file[name] = values
            file[name].attrs["psize"] = psize
    return path


def test_maps_have_the_units_of_the_properties(tmp_path):
    path = write_maps(tmp_path / "halo_7_camera_2_physical_data.h5")
    maps = read_illustris_maps(path)
    assert (maps.halo, maps.camera, maps.pixel_scale_kpc) == (7, 2, 0.5)
    with h5py.File(path) as file:
        total = file["stars_Masses"][()].sum() * 0.25
    assert maps.total("stellar_mass") == pytest.approx(total)
    stars = maps.maps["stellar_mass"] > 0
    np.testing.assert_allclose(maps.maps["stellar_metallicity"][stars], 0.02)
    np.testing.assert_allclose(maps.maps["stellar_age"][stars], 6.0, rtol=1e-3)
    assert np.isnan(maps.maps["stellar_age"][~stars]).all()
    np.testing.assert_allclose(maps.maps["gas_metallicity"][stars], 0.02)
    assert maps.total("sfr") == pytest.approx(total * 1e-10)
    properties = maps.to_property_maps(0.05)
    assert properties.total("stellar_mass", correlation="full").value.to_value(
        u.Msun
    ) == pytest.approx(total, rel=0.02)


def test_ages_as_in_the_paper_are_older_by_the_mass_lost(tmp_path):
    path = write_maps(tmp_path / "maps.h5")
    ages = [read_illustris_maps(path, correct_ages=c).maps["stellar_age"] for c in (False, True)]
    ratio = ages[0] / ages[1]
    assert 1.5 < np.nanmin(ratio) <= np.nanmax(ratio) < 2.0


def test_psize_with_h_keeps_totals(tmp_path):
    path = write_maps(tmp_path / "maps.h5")
    plain, with_h = (read_illustris_maps(path, psize=unit) for unit in ("kpc", "kpc/h"))
    assert with_h.pixel_scale_kpc == pytest.approx(0.5 / 0.704)
    for name in ("stellar_mass", "hi_mass", "sfr"):
        assert with_h.total(name) == pytest.approx(plain.total(name))
    np.testing.assert_array_equal(
        with_h.maps["stellar_metallicity"], plain.maps["stellar_metallicity"]
    )


@pytest.mark.parametrize("gas", [True, False])
def test_painted_maps_keep_what_they_say(tmp_path, paper_table, gas):
    maps = read_illustris_maps(write_maps(tmp_path / "maps.h5", gas=gas))
    galaxies = maps.to_galaxies(redshift=0.05)
    light = paper_table.light(galaxies)
    truth = {name: values[0].numpy() for name, values in light.truth.properties().items()}
    for name, values in maps.maps.items():
        inside = maps.maps["stellar_mass"] > 0
        np.testing.assert_allclose(truth[name][inside], values[inside], rtol=1e-3)
    assert np.isfinite(light.surface_brightness.numpy()).all()
    flux = light.surface_brightness.sum((0, 2, 3)).numpy()
    color = -2.5 * np.log10(flux[1] / flux[2])
    assert 0.2 < color < 0.9
    assert float(galaxies.parameters["half_mass_radius"][0]) == pytest.approx(2.4, rel=0.2)


def test_older_maps_are_redder(tmp_path, paper_table):
    colors = []
    for age in (2.0, 5.0, 10.0):
        maps = read_illustris_maps(write_maps(tmp_path / f"{age}.h5", age=age, gas=False))
        flux = paper_table.light(maps.to_galaxies()).surface_brightness.sum((0, 2, 3)).numpy()
        colors.append(-2.5 * np.log10(flux[1] / flux[3]))
    assert colors[0] < colors[1] < colors[2]


# --- bad files ---------------------------------------------------------------------------


def _attribute(name, value):
    def change(file):
        if value is None:
            del file[name].attrs["psize"]
        else:
            file[name].attrs["psize"] = value

    return change


def _values(name, values):
    def change(file):
        attributes = dict(file[name].attrs)
        del file[name]
        file[name] = values
        file[name].attrs.update(attributes)

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.__delitem__("stars_Masses"), "lacks stars_Masses"),
        (_attribute("stars_Masses", None), "lacks the attribute psize"),
        (_attribute("gas_Masses", 0.7), "differ in shape or psize"),
        (_values("gas_Masses", np.ones((5, 5))), "differ in shape or psize"),
        (_values("stars_Masses", np.zeros((24, 20))), "zero everywhere"),
        (_values("stars_Masses", np.full((24, 20), np.nan)), "negative or not finite"),
        (_values("stars_Masses", np.ones((2, 24, 20))), "expected a map"),
    ],
)
def test_bad_maps_say_what_is_wrong(tmp_path, change, message):
    path = write_maps(tmp_path / "bad.h5")
    with h5py.File(path, "a") as file:
        change(file)
    with pytest.raises(FileFormatError, match=message):
        read_illustris_maps(path)


def test_arguments(tmp_path):
    with pytest.raises(InvalidInputError, match="'kpc', 'kpc/h'"):
        read_illustris_maps(tmp_path / "x.h5", psize="Mpc")
    with pytest.raises(FileFormatError, match="no file"):
        read_illustris_maps(tmp_path / "x.h5")
    maps = read_illustris_maps(write_maps(tmp_path / "maps.h5"))
    with pytest.raises(InvalidInputError, match=r"0\.003"):
        maps.to_galaxies(redshift=0.0)


# --- images ------------------------------------------------------------------------------


def in_nmgy(brightness):
    """Per arcsec2: 1 nmgy is 3.631 microjansky."""
    return (brightness * u.arcsec**2).to_value(u.uJy) / 3.631


def marked(height=12, width=16):
    """Five bands, each with a bright pixel in the corner (0, 0) and one beside it in x."""
    data = np.zeros((5, height, width))
    data[:, 0, 0], data[:, 0, 1] = 4.0, 2.0
    return data * np.arange(1, 6)[:, None, None]


def test_synthetic_image_lies_on_the_axes_of_the_maps(tmp_path):
    path = tmp_path / "halo_3_camera_1_synthetic_image.h5"
    with h5py.File(path, "w") as file:
        file["data"] = marked()
    images = read_synthetic_image(path, pixel_scale_kpc=0.5, redshift=0.05)
    assert images.bands == tuple(f"sdss2010-{band}" for band in "ugriz")
    g = images["sdss2010-g"].data
    assert g.shape == (16, 12)
    np.testing.assert_allclose(g, marked()[1].T[:, ::-1] * (g[0, -1] / 8.0))
    assert g[0, -1] == g.max()
    expected = in_nmgy(8.0 * u.uJy / u.sr)
    assert g.max() == pytest.approx(expected)
    assert images.meta["halo"] == 3
    assert images.pixel_scale.to_value(u.arcsec) == pytest.approx(0.495, rel=0.01)
    other = read_synthetic_image(path, pixel_scale_kpc=0.5, unit="nmgy / arcsec2")
    assert other["sdss2010-g"].data.max() == 8.0


@pytest.mark.parametrize(
    ("contents", "arguments", "error", "message"),
    [
        ({"image": marked()}, {}, FileFormatError, "lacks the data set 'data'"),
        ({"data": marked()[:4]}, {}, FileFormatError, r"expected \(5, H, W\)"),
        ({"data": marked()}, {"unit": "kg"}, InvalidInputError, "not a surface brightness"),
        ({"data": marked()}, {"pixel_scale_kpc": 0.0}, InvalidInputError, "above 0"),
    ],
)
def test_bad_synthetic_images(tmp_path, contents, arguments, error, message):
    path = tmp_path / "image.h5"
    with h5py.File(path, "w") as file:
        for name, values in contents.items():
            file[name] = values
    with pytest.raises(error, match=message):
        read_synthetic_image(path, **{"pixel_scale_kpc": 0.5, **arguments})


def write_broadband(path, change=None):
    """Write a file of Sunrise with 7 filters, a flat spectrum in f_nu and two cameras."""
    names = ["GALEX_FUV.res", *(f"SDSS/{b}_SDSS.res" for b in "ugriz"), "2MASS_J.res"]
    center = np.array([0.15, 0.355, 0.475, 0.622, 0.763, 0.905, 1.24]) * 1e-6
    width = 0.1 * center
    to_hertz = center**2 / 299792458.0
    columns = [
        fits.Column("filter", "30A", array=names),
        fits.Column("lambda_eff", "D", array=center),
        fits.Column("ewidth_lambda", "D", array=width),
        fits.Column("ewidth_nu", "D", array=width / to_hertz),
    ]
    hdus = [fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns, name="FILTERS")]
    for camera in (0, 1):
        data = np.zeros((7, 12, 16))
        data[:, 0, 0] = (camera + 1) * 1e-20 / to_hertz  # 1e-20 W/m2/Hz/sr = 1e6 Jy/sr
        image = fits.ImageHDU(data, name=f"CAMERA{camera}-BROADBAND-NONSCATTER")
        image.header["CD1_1"] = 0.25
        parameters = fits.ImageHDU(name=f"CAMERA{camera}-PARAMETERS")
        parameters.header["HIERARCH linear_fov"] = 4.0
        hdus += [image, parameters]
    if change is not None:
        change(hdus)
    fits.HDUList(hdus).writeto(path)
    return path


def test_broadband_images(tmp_path):
    path = write_broadband(tmp_path / "broadband_5.fits")
    images = read_broadband(path, 1, redshift=0.05, dimming=False)
    expected = in_nmgy(2e6 * u.Jy / u.sr)
    for band in images.bands:
        data = images[band].data
        assert data.shape == (16, 12)
        assert data[0, -1] == data.max() == pytest.approx(expected, rel=1e-6)
    dimmed = read_broadband(path, 1, redshift=0.05)
    assert dimmed["sdss2010-r"].data.max() == pytest.approx(expected / 1.05**3, rel=1e-6)
    first = read_broadband(path, 0, dimming=False)
    assert first["sdss2010-r"].data.max() == pytest.approx(expected / 2, rel=1e-6)


def test_broadband_pixels_from_the_field_of_view(tmp_path):
    def change(hdus):
        del hdus[2].header["CD1_1"]

    path = write_broadband(tmp_path / "b.fits", change)
    with_field, with_cd = (read_broadband(path, camera).pixel_scale for camera in (0, 1))
    assert with_field.value == pytest.approx(with_cd.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda hdus: hdus.pop(1), "lacks FILTERS"),
        (lambda hdus: hdus.pop(2), "lacks CAMERA0-BROADBAND-NONSCATTER"),
        (lambda hdus: (hdus[2].header.pop("CD1_1"), hdus.pop(3)), "size of a pixel"),
        (lambda hdus: hdus[1].columns.change_name("ewidth_nu", "other"), "lacks ewidth_nu"),
        (lambda hdus: hdus[1].data["filter"].__setitem__(2, "x.res"), "lacks g_SDSS.res"),
    ],
)
def test_bad_broadband_files(tmp_path, change, message):
    path = write_broadband(tmp_path / "bad.fits", change)
    with pytest.raises(FileFormatError, match=message):
        read_broadband(path)


def test_broadband_files_that_are_none(tmp_path):
    with pytest.raises(FileFormatError, match="no file"):
        read_broadband(tmp_path / "none.fits")
    text = tmp_path / "text.fits"
    text.write_text("this is no FITS file")
    with pytest.raises(FileFormatError, match="cannot be read as FITS"):
        read_broadband(text)
    path = write_broadband(tmp_path / "b.fits")
    with pytest.raises(FileFormatError, match="lacks CAMERA0-BROADBAND;"):
        read_broadband(path, dust=True)


# --- real files --------------------------------------------------------------------------


@pytest.mark.parametrize("halo", [12, 18])
def test_real_maps_are_read_and_painted(shared_data, paper_table, halo):
    totals = []
    for camera in range(4):
        path = shared_data / "illustris" / f"halo_{halo}_camera_{camera}.h5"
        maps = read_illustris_maps(path)
        assert (maps.halo, maps.camera, maps.shape) == (halo, camera, (256, 256))
        with h5py.File(path) as file:
            raw = file["stars_Masses"][()].sum() * file["stars_Masses"].attrs["psize"] ** 2
        totals.append(maps.total("stellar_mass"))
        assert totals[-1] == pytest.approx(raw, rel=1e-6)
    light = paper_table.light(maps.to_galaxies())
    painted = float(light.truth.sums[0, 0].sum()) * maps.pixel_scale_kpc**2
    assert painted == pytest.approx(totals[-1], rel=1e-3)
    assert np.isfinite(light.surface_brightness.numpy()).all()
    flux = light.surface_brightness.sum((0, 2, 3)).numpy()
    assert 0.1 < -2.5 * np.log10(flux[1] / flux[2]) < 0.9
    assert 10.9 < np.log10(totals).mean() < 11.6
