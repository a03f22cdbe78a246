"""One galaxy as three surveys see it, in each survey's own files, by the default command.

A mock galaxy: no real files of three surveys of one galaxy stand beside the package. Pixels,
seeing and depth are each survey's; field stars have its PSF. Nothing is stated but the redshift.
"""

import re
from dataclasses import replace

import numpy as np
import pytest
import survey_layouts as layouts
from click.testing import CliRunner

from picasssso.cli import cli

pytestmark = pytest.mark.newest

REDSHIFT, SIDE, CENTER = 0.03, 84.0, (150.0, 2.0)
BANDS = {"sdss": "ugriz", "des": "griz", "ps1": "grizy"}
STARS = ((-33, -30, 16.5), (-36, 6, 17.5), (-31, 34, 17.0), (2, 36, 18.0), (34, 33, 16.8),
         (36, -4, 17.2), (31, -36, 17.6), (-2, -35, 16.9))  # fmt: skip


def add_stars(flux, scale, fwhm):
    """Add Moffat profiles of the seeing to images, nmgy."""
    y, x = (np.indices(flux.shape[1:]) - (flux.shape[1] - 1) / 2) * scale
    for plane, width in zip(flux, fwhm, strict=True):
        alpha = width / (2 * np.sqrt(2 ** (1 / 3) - 1))
        for dx, dy, magnitude in STARS:
            profile = (1 + ((x - dx) ** 2 + (y - dy) ** 2) / alpha**2) ** -3.0
            light = 10 ** (0.4 * (22.5 - magnitude)) * scale**2 * 2 / (np.pi * alpha**2)
            plane += (light * profile).astype(plane.dtype)


def write_files(folder, name):
    """Write the galaxy as a survey sees it, in its own layout; return the paths."""
    from picasssso.mocks import MockGenerator, Survey

    survey = replace(Survey.preset(name), seeing_scatter=0.0, depth_scatter=0.0)
    survey = survey.select(tuple(band for band in survey.bands if band[-1] in BANDS[name]))
    n = round(SIDE / survey.pixel_scale)
    generator = MockGenerator(
        4,
        survey=survey,
        n_pixels=n,
        margin=16,
        redshift=REDSHIFT,
        worlds=False,
        observing={"contaminants": 0.0, "background": 0.0, "bad_pixels": 0.0},
        device="cpu",
    )
    galaxy = generator.draw([4621])
    flux, precision = galaxy.flux[0].numpy().copy(), galaxy.inverse_variance[0].numpy()
    add_stars(flux, survey.pixel_scale, galaxy.psf_fwhm[0].numpy())
    wcs = layouts.tangent_wcs((n, n), survey.pixel_scale, CENTER)
    paths = []
    for band, plane, weight in zip(BANDS[name], flux, precision, strict=True):
        sigma = np.sqrt(1 / np.median(weight))
        if name == "sdss":
            # Counts of the sky that make the noise of the sky what it is.
            from picasssso.io.sdss import ccd_properties

            gain, dark = ccd_properties(3, band, 3000)
            sky = gain * max((sigma / 0.005) ** 2 - dark, 1.0)
            path = folder / f"frame-{band}-003000-3-0100.fits"
            paths.append(layouts.sdss_frame(path, band, plane, wcs, sky=sky))
        elif name == "des":
            path = folder / f"DES_{band}.fits"
            paths.append(layouts.des_coadd(path, band, plane, wcs, sigma=weight**-0.5))
        else:
            paths += layouts.ps1_stack(folder, band, plane, wcs, sigma=weight**-0.5)
    return [str(path) for path in paths]


@pytest.fixture(scope="module")
def surveys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("surveys")
    made = {}
    for name in BANDS:
        (folder / name).mkdir()
        made[name] = write_files(folder / name, name)
    return made


def log_mass(files, folder, estimator, *words):
    """Return log mass inside 24 arcsec as the command prints it."""
    result = CliRunner().invoke(
        cli,
        ["estimate", *files, "-z", str(REDSHIFT), "-e", estimator, "-o", str(folder / "maps.fits"),
         "--overwrite", "--aperture", "24 arcsec", *words],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    found = re.search(r"stellar mass, total\s+\(([\d.]+) ± [\d.]+\)e\+(\d+)", result.output)
    return float(np.log10(float(f"{found[1]}e{found[2]}")))


@pytest.mark.parametrize("position", [None, "150.0010 2.0010"], ids=["centered", "5 arcsec off"])
@pytest.mark.parametrize(
    ("estimator", "options", "limit"),
    [
        ("mass_to_light", [], 0.06),
        pytest.param(
            "sed_fit", ["--option", "n_models=10000"], 0.06, marks=pytest.mark.slow
        ),
        pytest.param("cnn", [], 0.10, marks=pytest.mark.slow),
    ],
)  # fmt: skip
def test_surveys_agree(surveys, tmp_path, estimator, options, limit, position):
    words = options if position is None else [*options, "--position", position]
    found = {name: log_mass(files, tmp_path, estimator, *words) for name, files in surveys.items()}
    assert max(found.values()) - min(found.values()) < limit, found
