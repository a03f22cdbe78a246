#!/usr/bin/env python
"""Bring what ``picasssso evaluate`` wrote into the documentation.

Run from the root of the repository::

    python benchmarks/experiments/publish.py KEPT/results estimators

copies ``evaluation.json`` to ``benchmarks/results/evaluation_estimators.json`` and, of each
experiment, tables (as CSV) to ``docs``, draws a picture of it there, and writes the list of them
anew that ``docs/evaluation_results.rst`` shows. The other tables and pictures stay in
``KEPT/results``. ``publish.py --redraw`` draws the pictures anew from ``benchmarks/results``.
Results of real galaxies (``real``) go to ``benchmarks/results/real_galaxies.json`` and into
``docs/real_galaxies.rst``. In both cases the tables of the summary, ``docs/results.rst``, are
written anew.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "benchmarks"), str(ROOT / "tools")]
import write_results  # noqa: E402
from records import list_table  # noqa: E402

RESULTS, TABLES, PICTURES = (
    ROOT / p for p in ("benchmarks/results", "docs/_tables", "docs/_static")
)
LIST = "evaluation_list"

#: Tables of an experiment, and what the list calls them.
PARTS = {"aperture": "sums", "ranges": "stellar mass by range", "calibration": "ranges of errors"}
#: Only this experiment has the table by ranges.
RANGES_OF = "b"
#: The first of these that there is.
PICTURES_OF = ("curve", "snr")


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
                write_csv(path.read_text(encoding="utf-8"), TABLES / f"evaluation_{path.stem}.csv")
    draw(content)
    target = RESULTS / f"evaluation_{name}.json"
    target.write_text(json.dumps(content, separators=(",", ":")) + "\n")


def draw(content: dict) -> None:
    """Draw the picture of each experiment from what the repository keeps of it."""
    from picasssso.evaluation.experiments.results import make_pictures

    for name, figure in make_pictures(content).items():
        if name.rpartition("_")[2] in PICTURES_OF:
            figure.savefig(PICTURES / f"evaluation_{name}.png", dpi=120)


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


def write_csv(table: str, path: Path) -> None:
    """Write a list-table of reStructuredText as CSV, without its markup."""
    rows: list[list[str]] = []
    for line in table.splitlines():
        if line.startswith("   * - "):
            rows.append([])
        if line[:7].strip() in ("-", "* -"):
            rows[-1].append(line[7:].strip().replace("*", "").replace("`", ""))
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def write_list() -> None:
    """Write the list of everything that has been published."""
    lines = [["experiment", *PARTS.values(), "figure"]]
    for path in sorted(RESULTS.glob("evaluation_*.json")):
        for identifier, experiment in json.loads(path.read_text())["experiments"].items():
            if experiment["rows"]:
                lines.append([experiment["title"], *links(identifier)])
    (TABLES / f"{LIST}.inc").write_text("\n".join(list_table(lines)) + "\n", encoding="utf-8")


def links(identifier: str) -> list[str]:
    """Return links to the tables and the picture of an experiment, empty where there is none."""
    tables = (TABLES / f"evaluation_{identifier}_{part}.csv" for part in PARTS)
    found = [f":download:`CSV </_tables/{path.name}>`" if path.exists() else "" for path in tables]
    pictures = (PICTURES / f"evaluation_{identifier}_{part}.png" for part in PICTURES_OF)
    picture = next((path.name for path in pictures if path.exists()), None)
    return [*found, f":download:`PNG </_static/{picture}>`" if picture else ""]


def main() -> None:
    """Publish one set of results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, nargs="?", help="folder of results")
    parser.add_argument("name", nargs="?", help="name of the configuration")
    parser.add_argument("--redraw", action="store_true", help="only draw the pictures anew")
    options = parser.parse_args()
    if options.redraw:
        for path in sorted(RESULTS.glob("evaluation_*.json")):
            draw(json.loads(path.read_text()))
        return
    if options.results is None or options.name is None:
        parser.error("give the folder of results and the name of the configuration")
    if options.name == "real":
        publish_real(options.results)
    else:
        publish(options.results, options.name)
        write_list()
    write_results.main()
    print(f"Published {options.name}; now look at docs/results.rst and the pages it leads to.")


if __name__ == "__main__":
    main()
