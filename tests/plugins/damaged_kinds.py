"""Small files of every kind that is read, and what reads them.

Weights, pairs, recipes, grids and libraries stand in ``test_damaged_files.py``, which damages the
samples of every format that are kept.
"""

import bz2
import gzip
import shutil
import tempfile
from functools import partial
from pathlib import Path

import astropy.units as u
import h5py
import ifu_layouts as ifu
import numpy as np
import survey_layouts as layouts
from astropy.io import fits
from astropy.nddata import CCDData, StdDevUncertainty
from astropy.table import QTable, Table
from example_files import write_snapshot

from picasssso import BandImages, PropertyMaps

SHAPE = (40, 44)
WCS = layouts.tangent_wcs(SHAPE, 0.4)
_Y, _X = np.indices(SHAPE)
FLUX = np.exp(-np.hypot(_Y - 20, _X - 22) / 3) + np.random.default_rng(1).normal(0, 0.01, SHAPE)
SIGMA = np.full(SHAPE, 0.01, "f4")
SPECTRA = np.linspace(3000.0, 11000, 400), np.ones((400, 3, 3))

# ---- images -----------------------------------------------------------------------------------


def listed(make):
    """Return a writer that gives a list of the files that one of a survey writes."""

    def write(folder):
        found = make(folder)
        return [Path(p) for p in (found if isinstance(found, list | tuple) else [found])]

    return write


def look(images):
    images.to_arrays()


def as_survey(paths):
    look(BandImages.read([str(p) for p in paths], redshift=0.05))


def with_band(paths, **arguments):
    look(BandImages.read({"sdss2010-g": str(paths[0])}, redshift=0.05, **arguments))


def generic(folder, name="a.fits"):
    header = WCS.to_header()
    header["BUNIT"] = "nmgy"
    hdus = [
        fits.PrimaryHDU(FLUX.astype("f4"), header),
        fits.ImageHDU(SIGMA, name="ERR"),
        fits.ImageHDU(np.zeros(SHAPE, "i2"), name="DQ"),
    ]
    fits.HDUList(hdus).writeto(folder / name)
    return folder / name


def integers(folder):
    header = WCS.to_header()
    header["BUNIT"] = "nmgy"
    hdu = fits.PrimaryHDU((1000 * FLUX).astype("f4"), header)
    hdu.scale("int16", bscale=0.1, bzero=3)
    hdu.writeto(folder / "a.fits")
    return folder / "a.fits"


def compressed(folder):
    header = WCS.to_header()
    header["BUNIT"] = "nmgy"
    image = fits.CompImageHDU(FLUX.astype("f4"), header, name="SCI")
    fits.HDUList([fits.PrimaryHDU(), image]).writeto(folder / "a.fits")
    return folder / "a.fits"


def packed(ending, pack):
    def make(folder):
        plain = generic(folder, "plain.fits")
        path = folder / f"a.fits.{ending}"
        path.write_bytes(pack(plain.read_bytes()))
        return path

    return make


def ccd(folder):
    noise, psf = StdDevUncertainty(np.full(SHAPE, 0.01)), np.ones((3, 3)) / 9
    image = CCDData(
        FLUX, unit="nmgy", wcs=WCS, mask=np.zeros(SHAPE, bool), uncertainty=noise, psf=psf
    )
    image.write(folder / "a.fits")
    return folder / "a.fits"


def counts(folder):
    return layouts.gama_image(folder / "a.fits", FLUX, WCS)


def hubble(folder):
    header = WCS.to_header()
    header.update({"BUNIT": "ELECTRONS/S", "PHOTFLAM": 1.5e-20, "PHOTPLAM": 15369.2})
    primary = fits.PrimaryHDU()
    primary.header.update(
        {"TELESCOP": "HST", "INSTRUME": "WFC3", "DETECTOR": "IR", "FILTER": "F160W",
         "EXPTIME": 1000.0}
    )  # fmt: skip
    hdus = [primary, fits.ImageHDU(FLUX.astype("f4"), header, name="SCI")]
    for name, plane in (("WHT", 1 / SIGMA**2), ("CTX", np.ones(SHAPE, "i4"))):
        hdus.append(fits.ImageHDU(plane, WCS.to_header(), name=name))
    fits.HDUList(hdus).writeto(folder / "hst_drz.fits")
    return folder / "hst_drz.fits"


def webb(folder):
    return layouts.space_image(
        folder / "i2d.fits", FLUX, WCS, sigma=0.01, TELESCOP="JWST", INSTRUME="NIRCAM",
        FILTER="F150W", PUPIL="CLEAR",
    )  # fmt: skip


def roman(folder):
    import asdf
    import gwcs
    from astropy import coordinates
    from astropy.modeling import models

    frames, (x, y) = gwcs.coordinate_frames, WCS.wcs.crpix
    to_sky = (
        models.Shift(1 - x) & models.Shift(1 - y)
        | models.AffineTransformation2D(WCS.wcs.cd)
        | models.Pix2Sky_TAN()
        | models.RotateNative2Celestial(*WCS.wcs.crval, 180)
    )
    sky = frames.CelestialFrame(reference_frame=coordinates.ICRS(), unit=(u.deg, u.deg))
    meta = {
        "instrument": {"name": "WFI", "optical_element": "F129", "detector": "WFI03"},
        "cal_step": {},
        "photometry": {"conversion_megajanskys": 0.25},
        "wcs": gwcs.WCS([(frames.Frame2D(name="detector"), to_sky), (sky, None)]),
    }
    image = {"data": np.float32(FLUX), "err": SIGMA, "dq": np.zeros(SHAPE, np.uint32)}
    asdf.AsdfFile({"roman": {"meta": meta, **image}}).write_to(folder / "r.asdf")
    return folder / "r.asdf"


def legacy(folder, bands="gr"):
    return layouts.legacy_cutout(
        folder / "l.fits", bands, np.stack([FLUX] * len(bands)), WCS,
        inverse_variance=np.full((len(bands), *SHAPE), 1e4), maskbits=np.zeros(SHAPE),
    )  # fmt: skip


def des(folder):
    return layouts.des_coadd(folder / "d.fits", "g", FLUX, WCS, sigma=0.01, mask=np.zeros(SHAPE))


def estimated(paths):
    """Read, prepare and estimate: what can be read is not always what can be used."""
    import warnings

    from picasssso import MassToLightEstimator
    from picasssso.preparation import prepare

    images = BandImages.read([str(p) for p in paths], redshift=0.05)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ready = prepare(images, match=False)
        MassToLightEstimator().estimate(ready)


def own_images(folder):
    from picasssso.data import load_example_images

    load_example_images()[50:70, 50:74].write(folder / "own.fits")
    return folder / "own.fits"


def psf_image(folder):
    values = np.exp(-((_Y - 20) ** 2 + (_X - 22) ** 2) / 8.0)
    fits.PrimaryHDU(values.astype("f4")).writeto(folder / "psf.fits")
    generic(folder)
    return folder / "psf.fits"


def with_psf(paths):
    from picasssso._cli.parsing import PSFType

    kernel = PSFType().convert(str(paths[0]), None, None)
    with_band([paths[0].with_name("a.fits")], psf=kernel)


def info(paths):
    """Run the command, which tells every error in words."""
    import click
    from click.testing import CliRunner

    from picasssso.cli import cli

    result = CliRunner().invoke(cli, ["info", *map(str, paths)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert "not an error that picasssso expected" not in result.output, result.output[-300:]
    if result.exit_code:
        # Behind what was printed and warned of before.
        raise click.ClickException(result.output.rpartition("Error: ")[2])


# ---- maps and cubes ---------------------------------------------------------------------------


def own_maps(folder):
    from picasssso.data import load_example

    load_example()[1][50:70, 50:74].write(folder / "maps.fits")
    return folder / "maps.fits"


def read_own_maps(paths):
    maps = PropertyMaps.read(paths[0])
    for name in maps:
        maps.percentile(name, 50)


def cube(write):
    def make(folder):
        write(folder / "cube.fits", SPECTRA)
        return folder / "cube.fits"

    return make


def read_cube(paths):
    from picasssso.ifu import read_cube

    read_cube(paths if len(paths) > 1 else paths[0], redshift=0.03)


def sami(folder):
    ifu.write_sami(folder, SPECTRA)
    return [folder / "41_blue.fits", folder / "41_red.fits"]


def published(name, write, *arguments):
    def make(folder):
        write(folder / name, *arguments)
        return folder / name

    return make


def read_published(paths, **arguments):
    from picasssso.ifu import read_maps

    read_maps(paths[0], **{"pixel_solid_angle": 1 * u.arcsec**2, **arguments})


_PIPE3D = {1: 5, 6: 9.7, 7: 0.1, 9: -0.2, 10: 0.05, 11: 0.3, 12: 0.02, 18: 7.0, 19: 7.1}
_FIREFLY = {
    "MW_AGE_VORONOI": np.full(42, 0.5), "MW_Z_VORONOI": np.full(42, 0.1),
    "SURFACE_MASS_DENSITY_VORONOI": np.full(42, 8.0), "E(B_V)_VORONOI": np.full(42, 0.1),
}  # fmt: skip
_PHANGS = {"STELLAR_MASS_DENSITY": (20.0, 2.0, "Msun/pc2"), "LW_AGE_MW": (9.0, 0.1, "")}

# ---- filters, catalogs, regions, survey runs, parameters --------------------------------------

CURVE = QTable({"wavelength": [600, 610, 650, 660.0] * u.nm, "response": [0, 0.5, 0.5, 0]})
CATALOG = Table(
    {
        "id": ["a", "b", "c"], "ra": [1.0, 2, 3], "dec": [1.0, 2, 3],
        "redshift": [0.1, 0.2, 0.3], "ebv": [0.1] * 3,
    }
)  # fmt: skip
REGIONS = """# Region file format: DS9
global color=green
fk5
circle(150.0,2.0,5") # text={a}
ellipse(150.0,2.0,5",3",40)
-box(150.0,2.0,5",3",40)
image
polygon(3,3,20,3,20,20)
"""
PARAMETERS = """
n_models = 700
[prior]
metallicity = [0.004, 0.03]
[prior.oldest_age]
distribution = 'truncated_normal'
low = 1
high = 13
mean = 8
sigma = 2
"""
REAL = """
kind = "real"
seed = 1
cosmology = {H0 = 70.4, Om0 = 0.272}
[estimators.ml]
label = "M/L"
name = "mass_to_light"
[galaxies]
catalog = "g.fits"
counts = {gswlc = 400}
[[rings]]
id = "m74"
title = "M74"
[small]
counts = {gswlc = 2}
"""


def table(values, name, **meta):
    def make(folder):
        written = values.copy()
        written.meta.update(meta)
        more = {"format": "votable"} if name.endswith("xml") else {}
        written.write(folder / name, **more)
        return folder / name

    return make


def text(content, name):
    def make(folder):
        (folder / name).write_text(content)
        return folder / name

    return make


def read_curve(paths):
    from picasssso.filters import read_filter

    read_filter(paths[0], "mine-r", unit="nm", response="photon")


def read_galaxies(paths):
    from picasssso.surveys.catalogs import read_catalog

    catalog = read_catalog(paths[0])
    for k in range(len(catalog)):
        catalog[k]


def read_published_values(paths):
    from picasssso.evaluation.real.published_tables import read_table

    read_table(paths[0], ["ra", "redshift"])


def read_tile(paths):
    from picasssso.surveys.image_sources import _grid

    _grid(str(paths[0]))


def read_field(paths):
    from picasssso.evaluation.real.fields import Field

    Field.read({"files": {"sdss2010-g": str(paths[0])}})


def results(folder):
    from picasssso.surveys.store import Store

    row = {"redshift": 0.1, "stellar_mass": 1e9, "notes": "x"}
    with Store(folder / "run", {"a": 1}, resume=False, retry_failed=False) as store:
        store.add([(k, {"id": f"g{k}", **row}) for k in range(5)])
    return folder / "run" / "results.sqlite"


def read_survey(paths):
    from picasssso.surveys import read_results

    for ending in ("-wal", "-shm", "-journal"):
        Path(f"{paths[0]}{ending}").unlink(missing_ok=True)
    read_results(paths[0].parent)


def resumed(paths):
    from picasssso.surveys.store import Store

    for ending in ("-wal", "-shm", "-journal"):
        Path(f"{paths[0]}{ending}").unlink(missing_ok=True)
    with Store(paths[0].parent, {"a": 1}, resume=True, retry_failed=False) as store:
        store.done()
        store.renumber({"g1": 7})
        store.forget_moved(lambda name: (0.1, np.nan, np.nan))
        store.add([(9, {"id": "g9", "redshift": 0.1})])


def read_regions(paths):
    from picasssso.maps.region_files import read_region

    read_region(str(paths[0]), SHAPE, WCS)


def read_parameters(paths):
    from picasssso._cli.estimators import make_estimator

    make_estimator({"estimator_name": "sed_fit", "parameters_file": str(paths[0]), "options": []})


def read_configuration(paths):
    from picasssso.evaluation.real.samples import load_real_configuration

    load_real_configuration(paths[0])


def template_error(folder):
    from picasssso.sps import TemplateError

    TemplateError.for_grid("PopStar").write(folder / "t.json")
    return folder / "t.json"


def read_template_error(paths):
    from picasssso.sps import TemplateError

    TemplateError.read(paths[0])


def batch(folder):
    np.savez(folder / "batch.npz", mass=np.arange(30.0), name=np.array(["a", "b"]))
    return folder / "batch.npz"


def read_batch(paths):
    from picasssso.evaluation.experiments.experiment_runs import _load

    _load(paths[0])


# ---- simulations ------------------------------------------------------------------------------


def particles(folder):
    write_snapshot(folder / "s.hdf5")
    return folder / "s.hdf5"


def read_snapshot(paths):
    from picasssso.mocks import read_particles

    read_particles(paths[0], radius=30)


def illustris_maps(folder):
    path = folder / "halo_1_camera_0_physical_data.h5"
    light = 1e7 * np.exp(-np.hypot(_Y - 20, _X - 22) / 5)
    with h5py.File(path, "w") as file:
        for name, factor in (
            ("stars_Masses", 1), ("stars_GFM_Metallicity", 0.02),
            ("stars_GFM_StellarFormationTime", 5e-6), ("gas_Masses", 0.3),
            ("gas_GFM_Metallicity", 0.006), ("gas_StarFormationRate", 1e-9),
        ):  # fmt: skip
            file[name] = factor * light
            file[name].attrs["psize"] = 0.5
    return path


def read_illustris(paths):
    from picasssso.mocks import read_illustris_maps

    read_illustris_maps(paths[0]).to_property_maps()


def illustris_image(folder):
    path = folder / "halo_1_camera_0_synthetic_image.h5"
    with h5py.File(path, "w") as file:
        file["data"] = np.stack([FLUX] * 5)
    return path


def read_illustris_image(paths):
    from picasssso.mocks.illustris import read_synthetic_image

    read_synthetic_image(paths[0], pixel_scale_kpc=0.5)


def broadband(folder):
    names = [f"SDSS/{b}_SDSS.res" for b in "ugriz"]
    columns = [
        fits.Column("filter", "30A", array=names),
        *(fits.Column(n, "D", array=np.full(5, v)) for n, v in
          (("lambda_eff", 5e-7), ("ewidth_lambda", 5e-8), ("ewidth_nu", 6e13))),
    ]  # fmt: skip
    image = fits.ImageHDU(np.full((5, 12, 16), 1e-20), name="CAMERA0-BROADBAND-NONSCATTER")
    parameters = fits.ImageHDU(name="CAMERA0-PARAMETERS")
    parameters.header["HIERARCH linear_fov"] = 4.0
    hdus = [fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns, name="FILTERS")]
    fits.HDUList([*hdus, image, parameters]).writeto(folder / "broadband_1.fits")
    return folder / "broadband_1.fits"


def read_sunrise(paths):
    from picasssso.mocks.illustris import read_broadband

    read_broadband(paths[0])


#: Kind: what writes its files into a folder and returns them, and what reads them.
KINDS = {
    "FITS image": (generic, with_band),
    "scaled integers": (integers, with_band),
    "compressed image": (compressed, with_band),
    "gzip": (packed("gz", partial(gzip.compress, mtime=0)), with_band),
    "bzip2": (packed("bz2", bz2.compress), with_band),
    "CCDData": (ccd, with_band),
    "counts": (counts, partial(with_band, zero_point=30 * u.ABmag, unit="adu")),
    "SDSS": (lambda f: layouts.sdss_frame(f / "s.fits", "g", FLUX, WCS), as_survey),
    "Legacy Surveys": (legacy, as_survey),
    "DES": (des, as_survey),
    "Pan-STARRS1": (lambda f: layouts.ps1_stack(f, "g", FLUX, WCS, sigma=0.01), as_survey),
    "HSC": (lambda f: layouts.lsst_image(f / "h.fits", "g", FLUX, WCS, sigma=0.01), as_survey),
    "Rubin": (
        lambda f: layouts.lsst_image(f / "l.fits", "g", FLUX, WCS, sigma=0.01, camera="LSST"),
        as_survey,
    ),
    "ESO": (lambda f: layouts.eso_image(f / "e.fits", "g", FLUX, WCS), as_survey),
    "Euclid": (
        lambda f: layouts.euclid_mosaic(f, "VIS", FLUX, WCS, sigma=0.01, flags=np.zeros(SHAPE)),
        as_survey,
    ),
    "UKIDSS": (lambda f: layouts.casu_image(f / "c.fits", "J", FLUX, WCS), as_survey),
    "VISTA": (
        lambda f: layouts.casu_image(
            f / "c.fits", "J", FLUX, WCS, camera="VIRCAM", TELESCOP="ESO-VISTA"
        ),
        as_survey,
    ),
    "Spitzer": (
        lambda f: layouts.spitzer_mosaic(f, 1, FLUX, WCS, sigma=0.01, coverage=np.ones(SHAPE)),
        as_survey,
    ),
    "WISE": (lambda f: layouts.wise_atlas(f, 1, FLUX, WCS, vega=2.699, sigma=0.01), as_survey),
    "unWISE": (lambda f: layouts.unwise_coadd(f, 1, FLUX, WCS, vega=2.699, sigma=0.01), as_survey),
    "HST": (hubble, as_survey),
    "JWST": (webb, as_survey),
    "Roman": (roman, as_survey),
    "own images": (own_images, lambda paths: look(BandImages.read(paths[0]))),
    "PSF": (psf_image, with_psf),
    "info": (des, info),
    "prepared and estimated": (partial(legacy, bands="gri"), estimated),
    "own maps": (own_maps, read_own_maps),
    "info of maps": (own_maps, info),
    "MaNGA cube": (cube(ifu.write_manga), read_cube),
    "CALIFA cube": (cube(ifu.write_califa), read_cube),
    "MUSE cube": (cube(ifu.write_muse), read_cube),
    "SAMI cubes": (sami, read_cube),
    "Pipe3D": (
        published("p.fits", ifu.write_pipe3d, _PIPE3D),
        partial(read_published, redshift=0.02),
    ),
    "DAP": (
        published("d.fits", ifu.write_dap, np.full((6, 7), 3.0), np.full((6, 7), 1.0)),
        read_published,
    ),
    "Firefly": (
        published("f.fits", ifu.write_firefly, np.arange(42).reshape(6, 7), _FIREFLY),
        partial(read_published, galaxy="8135-1902"),
    ),
    "PHANGS": (published("p.fits", ifu.write_phangs, _PHANGS), read_published),
    "SAMI rates": (
        published("41_A_sfr.fits", ifu.write_sami_sfr, np.full((4, 5), 0.02)),
        read_published,
    ),
    "curve, text": (text("# nm\n600 0\n610 0.5\n650 0.5\n655 0.4\n660 0\n", "c.txt"), read_curve),
    "curve, ECSV": (table(CURVE, "c.ecsv", group_name="g", band_name="b"), read_curve),
    "curve, FITS": (table(CURVE, "c.fits"), read_curve),
    "curve, VOTable": (table(CURVE, "c.xml"), read_curve),
    "catalog, ECSV": (table(CATALOG, "c.ecsv"), read_galaxies),
    "catalog, CSV": (table(CATALOG, "c.csv"), read_galaxies),
    "catalog, FITS": (table(CATALOG, "c.fits"), read_galaxies),
    "catalog, VOTable": (table(CATALOG, "c.xml"), read_galaxies),
    "published values": (table(CATALOG, "c.fits"), read_published_values),
    "published values, ECSV": (table(CATALOG, "c.ecsv"), read_published_values),
    "tile": (generic, read_tile),
    "field": (generic, read_field),
    "survey results": (results, read_survey),
    "resumed run": (results, resumed),
    "regions": (text(REGIONS, "a.reg"), read_regions),
    "parameters": (text(PARAMETERS, "p.toml"), read_parameters),
    "configuration of real galaxies": (text(REAL, "r.toml"), read_configuration),
    "template error": (template_error, read_template_error),
    "batch of estimates": (batch, read_batch),
    "particles": (particles, read_snapshot),
    "Illustris maps": (illustris_maps, read_illustris),
    "Illustris image": (illustris_image, read_illustris_image),
    "Sunrise": (broadband, read_sunrise),
}


def simulation(path):
    """Return a kind whose file is a copy of a published snapshot."""
    return (lambda folder: Path(shutil.copy(path, folder))), read_snapshot


def outcome_of(kind, numbers, known=None):
    """Damage files of a kind in a folder of their own, and read them."""
    from damage import read_damaged

    make, read = known or KINDS[kind]
    with tempfile.TemporaryDirectory() as folder:
        return read_damaged(kind, listed(make)(Path(folder)), read, numbers)
