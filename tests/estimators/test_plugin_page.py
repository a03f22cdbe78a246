"""The plugins of the page "Write your own estimator", as somebody who read it would have them."""

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "plugins.rst"

#: Names of the contract tests of the page's estimator, its reader and its own property.
CONTRACTS = ("test_estimator.py", "test_reader.py", "test_property.py")
#: Which of the page's blocks are the modules of the estimator and of the reader, each with its
#: tests in the next one; between them there is one with a property of its own.
_MODULES, _OWN_PROPERTY = (0, 3), 2


def blocks(language):
    """Return the page's blocks of code in a language."""
    pattern = rf"^\.\. code-block:: {language}\n\n((?:    .*\n|\n)+)"
    return [textwrap.dedent(found) for found in re.findall(pattern, PAGE.read_text(), re.M)]


def run(*arguments, **options):
    found = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=300, **options
    )
    assert found.returncode == 0, found.stdout[-3000:] + found.stderr[-3000:]
    return found.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Folders of the page's estimator, its reader and its own property; what finds them all.

    Estimator and reader are packages of their own, installed into another folder.
    """
    target = tmp_path_factory.mktemp("installed")
    sources = [tmp_path_factory.mktemp(name) for name in ("estimator", "reader", "property")]
    modules = ("my_package.py", "my_reader.py")
    for k, (first, module) in enumerate(zip(_MODULES, modules, strict=True)):
        texts = *blocks("python")[first : first + 2], blocks("toml")[k]
        for name, text in zip((module, CONTRACTS[k], "pyproject.toml"), texts, strict=True):
            (sources[k] / name).write_text(text)
    (sources[2] / "my_dust.py").write_text(blocks("python")[_OWN_PROPERTY])
    (sources[2] / CONTRACTS[2]).write_text(
        "from my_dust import FixedDustEstimator\n"
        "from picasssso.testing import parametrize_with_checks\n"
        "@parametrize_with_checks([FixedDustEstimator()])\n"
        "def test_contract(estimator, check):\n    check(estimator)\n"
    )
    quiet = ("--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check")
    run("-m", "pip", "install", *quiet, "--target", str(target), *map(str, sources[:2]))
    paths = [str(target), str(sources[2]), str(PAGE.parents[1]), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    return sources, environment


def test_the_plugin_is_found_and_estimates(installed, tmp_path):
    """So is the property of its own, and its maps' file says what it is without the plugin."""
    _, environment = installed
    code = (
        "import numpy as np, picasssso; from picasssso.testing import make_galaxy; "
        "estimator = picasssso.get_estimator('fixed_ratio')(); images = make_galaxy(); "
        "mass = estimator.estimate(images).mean('stellar_mass'); "
        "print(mass.unit, bool((mass.value[20, 20] > 0) and np.isfinite(mass.value).all())); "
        "from my_dust import FixedDustEstimator; "
        "maps = FixedDustEstimator(dust_to_stars=0.01).estimate(images); "
        "names = ('dust_mass', 'stellar_mass'); "
        "dust, stars = (maps.total(name, correlation='full') for name in names); "
        "print(dust.value.unit, round(float(dust.value / stars.value), 6)); "
        "maps.plot('dust_mass'); maps.write('maps.fits')"
    )
    found = run("-W", "error", "-c", code, env=environment, cwd=tmp_path)
    assert found == "solMass / kpc2 True\nsolMass 0.01\n"
    code = (
        "from picasssso import PropertyMaps; "
        "found = PropertyMaps.read('maps.fits').definition('dust_mass'); "
        "print(found.unit, found.definition)"
    )
    found = run("-W", "error", "-c", code, cwd=tmp_path)
    assert found == "solMass / kpc2 mass of dust grains of all temperatures\n"


def test_the_plugins_keep_the_contract(installed, tmp_path):
    sources, environment = installed
    options = ("-q", "-W", "error", "-p", "no:cacheprovider", "-p", "no:zarr", "-rA")
    files = [str(folder / name) for folder, name in zip(sources, CONTRACTS, strict=True)]
    found = run(*("-W", "error", "-m", "pytest", *options, *files), cwd=tmp_path, env=environment)
    passed = re.findall(r"^PASSED .*::test_contract(?:\[(\w+?)\d*-|$)", found, re.M)
    assert passed.count("FixedRatioEstimator") >= 2 * 12
    assert passed.count("FixedDustEstimator") >= 12
    assert passed.count("") == 1  # the reader's


def test_the_reader_is_found_and_reads(installed, tmp_path):
    _, environment = installed
    code = (
        "import numpy as np; from astropy.io import fits; from picasssso import BandImages; "
        "from picasssso.io import list_formats, recognize; "
        "header = fits.Header({'SURVEY': 'MINE', 'FILTER': 'r', 'ZP': 22.5, 'CTYPE1': 'RA---TAN', "
        "'CTYPE2': 'DEC--TAN', 'CDELT1': -1e-4, 'CDELT2': 1e-4}); "
        "fits.PrimaryHDU(np.full((4, 5), 3, 'f4'), header).writeto('r.fits'); "
        "images = BandImages.read('r.fits', redshift=0.1); "
        "print(list_formats()['my_survey'], recognize('r.fits').format, images.bands, "
        "images.to_arrays()[0][0, 0, 0])"
    )
    found = run("-W", "error", "-c", code, env=environment, cwd=tmp_path)
    assert found == "image of my survey my_survey ('sdss2010-r',) 3.0\n"
