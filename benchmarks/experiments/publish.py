#!/usr/bin/env python
"""Bring what ``picasssso evaluate`` wrote into the documentation.

Run from the root of the repository::

    python benchmarks/experiments/publish.py KEPT/results estimators

copies ``evaluation.json`` to ``benchmarks/results/evaluation_estimators.json`` and, of each
experiment, two tables and a picture to ``docs``, and writes the page
``docs/evaluation_results.rst`` anew from all that has been published. The other tables and
pictures stay in ``KEPT/results``. Results of real galaxies (``real``) go to
``benchmarks/results/real_galaxies.json`` and into ``docs/real_galaxies.rst``.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RESULTS, TABLES, PICTURES = (
    ROOT / p for p in ("benchmarks/results", "docs/_tables", "docs/_static")
)
PAGE = ROOT / "docs" / "evaluation_results.rst"

HEAD = """\
.. Written by benchmarks/experiments/publish.py; changes by hand are lost.

Results of the evaluation
=========================

Made by ``picasssso evaluate`` (:doc:`evaluation` defines the measures) and copied by
``benchmarks/experiments/publish.py``. The galaxies are :doc:`mocks <mocks>` of seeds used in no
training, calibration or choice, with unmasked foreground stars and neighbors, unless a title
names a simulation. Scatter on mocks leaves out the errors that only real galaxies have, and those
that the mocks share with an estimator. The figures of Buck & Wolf (2021) are of Illustris
galaxies, with an oracle mask. Positive means too much.

.. note::

    These are results of the weights ``mocks-1``, of the flat prior of the SED fit, and of mocks
    of a single world: the state before priors, mocks and weights were anchored on
    :doc:`real galaxies <real_galaxies>`. For the weights that ship now see :doc:`cnn_accuracy`.
"""

#: Tables of an experiment: file, and what the page says about it.
PARTS = {
    "aperture": "Sums inside two half-mass radii: standard deviation / mean of log10(estimate / "
    "truth) in dex (attenuation in mag):",
    "ranges": "Stellar mass by true age, true attenuation and signal to noise: standard deviation "
    "/ root mean square in dex. The 20 % and 50 % of Buck & Wolf are 0.079 and 0.176:",
    "calibration": "Fraction of truths between the 16th and 84th and between the 2.5th and 97.5th "
    "percentile (0.68 and 0.95 are right), and the median half width of pixels:",
}
#: Only this experiment has the table by ranges.
RANGES_OF = "b"
#: The first of these that there is.
PICTURES_OF = {
    "curve": "Standard deviation of sums inside two half-mass radii, with bootstrap errors.",
    "snr": "NMAD of pixels by signal to noise, with bootstrap errors by galaxy.",
}


def read(source: Path, name: str) -> dict:
    """Return results; those of a test run are refused."""
    content = json.loads((source / name).read_text())
    if content["small"]:
        raise SystemExit("These are results of the small setting: not for the documentation.")
    return content


def publish(source: Path, name: str) -> None:
    """Copy the files of one configuration that the page shows."""
    for folder in (RESULTS, TABLES, PICTURES):
        folder.mkdir(exist_ok=True)
    content = read(source, "evaluation.json")
    for identifier, experiment in content["experiments"].items():
        for row in experiment["rows"]:
            row["properties"] = {k: slimmed(k, v) for k, v in row["properties"].items()}
        for part in PARTS:
            path = source / f"{identifier}_{part}.inc"
            if path.exists() and (part != "ranges" or identifier == RANGES_OF):
                shutil.copy(path, TABLES / f"evaluation_{path.name}")
        pictures = (source / f"{identifier}_{part}.png" for part in PICTURES_OF)
        picture = next((path for path in pictures if path.exists()), None)
        if picture is not None:
            shutil.copy(picture, PICTURES / f"evaluation_{picture.name}")
    target = RESULTS / f"evaluation_{name}.json"
    target.write_text(json.dumps(content, separators=(",", ":")) + "\n")


def publish_real(source: Path) -> None:
    """Copy the files of real galaxies; what pictures are drawn from stays where it was made."""
    content = read(source, "real.json")
    for part in content["parts"].values():
        for estimator in part["estimators"].values():
            estimator.pop("points", None)
    target = RESULTS / "real_galaxies.json"
    target.write_text(json.dumps(content, indent=1) + "\n")
    for ending, folder in (("inc", TABLES), ("png", PICTURES)):
        for path in source.glob(f"real_*.{ending}"):
            shutil.copy(path, folder / path.name)


def slimmed(name: str, figures: dict) -> dict:
    """Return a property's figures for the repository: by range for stellar mass alone."""
    if name == "stellar_mass":
        return figures
    return {
        key: {k: v for k, v in part.items() if not k.startswith("by_")}
        if isinstance(part, dict)
        else part
        for key, part in figures.items()
        if key not in ("radial", "gradient")
    }


def section(identifier: str, experiment: dict) -> list[str]:
    """Return the lines of one experiment."""
    title = experiment["title"]
    lines = ["", title, "-" * len(title)]
    for part, words in PARTS.items():
        if (TABLES / f"evaluation_{identifier}_{part}.inc").exists():
            lines += ["", words, "", f".. include:: _tables/evaluation_{identifier}_{part}.inc"]
    for part, caption in PICTURES_OF.items():
        picture = f"evaluation_{identifier}_{part}.png"
        if (PICTURES / picture).exists():
            lines += ["", f".. figure:: _static/{picture}", f"   :alt: {caption}", "",
                      f"   {caption}"]  # fmt: skip
    return lines


def write_page() -> None:
    """Write the page from everything that has been published."""
    lines = HEAD.splitlines()
    for path in sorted(RESULTS.glob("evaluation_*.json")):
        for identifier, experiment in json.loads(path.read_text())["experiments"].items():
            if experiment["rows"]:
                lines += section(identifier, experiment)
    PAGE.write_text("\n".join(lines) + "\n")


def main() -> None:
    """Publish one set of results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, help="folder of results")
    parser.add_argument("name", help="name of the configuration")
    options = parser.parse_args()
    if options.name == "real":
        publish_real(options.results)
        print("Published real; now look at docs/real_galaxies.rst.")
        return
    publish(options.results, options.name)
    write_page()
    print(f"Published {options.name}; now look at {PAGE.relative_to(ROOT)}.")


if __name__ == "__main__":
    main()
