"""The plugins of the page "Write your own estimator", as somebody who read it would have them."""

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "plugins.rst"

CONTRACT = "test_contract.py"
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
    """The estimator of the page in a folder of its own, installed into another."""
    return install(tmp_path_factory, "my_package.py", 0)


@pytest.fixture(scope="module")
def installed_reader(tmp_path_factory):
    """The reader of the page, likewise."""
    return install(tmp_path_factory, "my_reader.py", 1)


def install(tmp_path_factory, module, number):
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("installed")
    first = _MODULES[number]
    texts = [*blocks("python")[first : first + 2], blocks("toml")[number]]
    for name, text in zip((module, CONTRACT, "pyproject.toml"), texts, strict=True):
        (source / name).write_text(text)
    quiet = ("--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check")
    run("-m", "pip", "install", *quiet, "--target", str(target), str(source))
    paths = [str(target), str(PAGE.parents[1]), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    return source, environment


def test_the_plugin_is_found_and_estimates(installed):
    _, environment = installed
    code = (
        "import numpy as np, picasssso; from picasssso.testing import make_galaxy; "
        "estimator = picasssso.get_estimator('fixed_ratio')(); images = make_galaxy(); "
        "mass = estimator.estimate(images).mean('stellar_mass'); "
        "print(mass.unit, bool((mass.value[20, 20] > 0) and np.isfinite(mass.value).all()))"
    )
    assert run("-W", "error", "-c", code, env=environment) == "solMass / kpc2 True\n"


def test_the_plugin_keeps_the_contract(installed):
    source, environment = installed
    options = ("-q", "-W", "error", "-p", "no:cacheprovider")
    found = run(*("-W", "error", "-m", "pytest", *options, CONTRACT), cwd=source, env=environment)
    assert int(re.search(r"(\d+) passed", found)[1]) >= 2 * 12


def test_a_property_of_its_own(installed, tmp_path):
    _, environment = installed
    (tmp_path / "my_dust.py").write_text(blocks("python")[_OWN_PROPERTY])
    code = (
        "import numpy as np; from my_dust import FixedDustEstimator; "
        "from picasssso.testing import make_galaxy; "
        "maps = FixedDustEstimator(dust_to_stars=0.01).estimate(make_galaxy()); "
        "names = ('dust_mass', 'stellar_mass'); "
        "dust, stars = (maps.total(name, correlation='full') for name in names); "
        "print(dust.value.unit, round(float(dust.value / stars.value), 6)); "
        "maps.plot('dust_mass'); maps.write('maps.fits')"
    )
    run("-W", "error", "-c", code, env=environment, cwd=tmp_path)
    # The file says what it is, without the plugin.
    code = (
        "from picasssso import PropertyMaps; "
        "found = PropertyMaps.read('maps.fits').definition('dust_mass'); "
        "print(found.unit, found.definition)"
    )
    found = run("-W", "error", "-c", code, cwd=tmp_path)
    assert found == "solMass / kpc2 mass of dust grains of all temperatures\n"
    (tmp_path / CONTRACT).write_text(
        "from my_dust import FixedDustEstimator\n"
        "from picasssso.testing import parametrize_with_checks\n"
        "@parametrize_with_checks([FixedDustEstimator()])\n"
        "def test_contract(estimator, check):\n    check(estimator)\n"
    )
    options = ("-q", "-W", "error", "-p", "no:cacheprovider")
    found = run("-W", "error", "-m", "pytest", *options, CONTRACT, env=environment, cwd=tmp_path)
    assert int(re.search(r"(\d+) passed", found)[1]) >= 12


def test_the_reader_is_found_and_reads(installed_reader, tmp_path):
    _, environment = installed_reader
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


def test_the_reader_keeps_the_contract(installed_reader):
    source, environment = installed_reader
    options = ("-q", "-W", "error", "-p", "no:cacheprovider")
    found = run(*("-W", "error", "-m", "pytest", *options, CONTRACT), cwd=source, env=environment)
    assert "1 passed" in found
