"""A first-time user's path, timed: from nothing to a stellar mass with error, in three commands.

    python benchmarks/first_time.py            # in a fresh virtual environment, thrown away again
    python benchmarks/first_time.py --reuse    # in this environment, without the installation

The files are as a user has them: one image for each of three bands, in a flux unit, with a WCS and
the name of the filter, without noise and without mask. No command may fail, and the last one
prints the mass.
"""

import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BANDS = "gri"
_MASS = re.compile(r"stellar mass, total\s+(\(.*?\)e\+\d+|\S+ ± \S+) solMass")


def write_files(folder):
    """Write three bands of the example galaxy as a user's own files; return their names."""
    import numpy as np
    from astropy.io import fits

    from picasssso.data import load_example

    images = load_example()[0]
    names = []
    for band in BANDS:
        header = images.wcs.to_header()
        header.update(BUNIT="nanomaggy", FILTER=band, SURVEY="SDSS")
        data = np.asarray(images[f"sdss2010-{band}"].data, np.float32)
        names.append(f"galaxy_{band}.fits")
        fits.PrimaryHDU(data, header).writeto(Path(folder, names[-1]), overwrite=True)
    return names


def run(command, folder, clean=False):
    """Run a command as a user would; return what it printed and the seconds it took."""
    started = time.perf_counter()
    print("$", shlex.join(command), flush=True)
    # A user's shell knows nothing of this checkout.
    hidden = ("PYTHONPATH", "VIRTUAL_ENV") if clean else ()
    known = {key: value for key, value in os.environ.items() if key not in hidden}
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, env=known, check=False
    )
    seconds = time.perf_counter() - started
    if done.returncode:
        sys.exit(f"failed with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout, seconds


def first_time(folder, *, reuse=False, redshift="0.03"):
    """Go the whole path; return the mass as it is printed, and the seconds of each command."""
    names = write_files(folder)
    if reuse:
        scripts, times = Path(sys.executable).parent, [0.0]
    else:
        subprocess.run([sys.executable, "-m", "venv", Path(folder, "venv")], check=True)
        scripts = Path(folder, "venv", "bin")
        pip = [str(scripts / "python"), "-m", "pip", "install", "--quiet"]
        times = [run([*pip, "-c", str(ROOT / "constraints.txt"), str(ROOT)], folder, True)[1]]
    picasssso = [str(scripts / "python"), "-m", "picasssso.cli"]
    lines, seconds = run([*picasssso, "info", *names], folder, not reuse)
    times.append(seconds)
    # What it proposes for all files together, with the two things that only the user knows.
    words = shlex.split(lines.partition("together:")[2].replace("\\\n", " "))[1:]
    known = {"Z": redshift, "ESTIMATOR": "mass_to_light"}
    words = [known.get(word, word) for word in words]
    output, seconds = run([*picasssso, *words], folder, not reuse)
    times.append(seconds)
    found = _MASS.search(output)
    if found is None:
        sys.exit(f"no mass with an error in:\n{output}")
    return found[1], times


def main():
    """Go the path and print what it took."""
    with tempfile.TemporaryDirectory() as folder:
        mass, times = first_time(folder, reuse="--reuse" in sys.argv)
    install, info, estimate = times
    print(f"stellar mass {mass} Msun after 3 commands and {sum(times):.0f} s "
          f"(install {install:.0f}, info {info:.0f}, estimate {estimate:.0f})")  # fmt: skip


if __name__ == "__main__":
    main()
