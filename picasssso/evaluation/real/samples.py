"""Configuration of the comparison with real galaxies: one TOML file.

A file looks like this (``benchmarks/experiments/real.toml`` is that of the documentation);
files are sought in the data folder given to the command::

    kind = "real"
    seed = 1                                       # of noise
    cosmology = {H0 = 70.4, Om0 = 0.272}           # that of the published masses

    [estimators.cnn]                               # see RealEstimator
    label = "CNN"
    name = "cnn"
    parts = ["galaxies", "m74"]                    # all by default

    [galaxies]                                     # see GalaxyCatalog
    catalog = "nsa_galaxies.fits"
    counts = {gswlc = 400, firefly = 100, hi = 50} # at most

    [colors]                                       # see estimate_colors
    catalog = "alfalfa_galaxies.fits"
    count = 2000                                   # at most

    [[rings]]                                      # see estimate_rings
    id = "m74"
    title = "M74"

    [[fields]]                                     # see estimate_named
    id = "hickson88"
    title = "Two spirals"

    [truths]                                       # see compare_truths
    alfalfa = "alfalfa_galaxies.fits"
    xgass = "xgass.fits"                           # see compare_gas

    [small]                                        # what --small changes
    counts = {gswlc = 2}

    [[requirements]]                               # what is asked for
    what = "CNN, stellar mass: offset"
    figure = "galaxies.cnn.mass.median"
    between = [-0.06, 0.06]
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from picasssso.evaluation.experiments.configuration import _fingerprints
from picasssso.evaluation.toml import check_known, check_name, check_table, own_errors, read_toml
from picasssso.exceptions import FileFormatError, InvalidInputError

_KNOWN = {
    "kind", "seed", "cosmology", "estimators", "galaxies", "colors", "rings", "fields", "truths",
    "small", "requirements",
}  # fmt: skip
_ESTIMATOR = {
    "label", "name", "parameters", "bands", "images", "samples", "redshift_step", "parts",
    "counts",
}  # fmt: skip


def is_real(path: str | os.PathLike[str]) -> bool:
    """Return whether a configuration is one of real galaxies."""
    try:
        return read_toml(path).get("kind") == "real"
    except FileFormatError:
        return False


@dataclass(frozen=True, eq=False)
class RealConfiguration:
    """The configuration of a comparison with real galaxies."""

    estimators: Mapping[str, Mapping[str, Any]]
    parts: Mapping[str, Mapping[str, Any]]
    truths: Mapping[str, Any]
    requirements: tuple[Mapping[str, Any], ...] = ()
    seed: int = 0
    cosmology: Mapping[str, float] | None = None
    small: bool = False

    def runs(self) -> list[tuple[str, str]]:
        """Return what is to be run."""
        return [
            (part, key)
            for key, one in self.estimators.items()
            for part, table in self.parts.items()
            if part in one.get("parts", self.parts)
            and _suits(table["kind"], one.get("images", "maps"))
        ]

    def select(self, parts: tuple[str, ...], estimators: tuple[str, ...]) -> RealConfiguration:
        """Return only some of the parts and estimators."""
        check_known("experiment", parts, {*self.parts, "truths"})
        check_known("estimator", estimators, self.estimators)
        return replace(
            self,
            parts={k: v for k, v in self.parts.items() if not parts or k in parts},
            estimators={
                k: v for k, v in self.estimators.items() if not estimators or k in estimators
            },
            truths=self.truths if not parts or "truths" in parts else {},
        )

    def key(self, part: str, estimator: str) -> str:
        """Return the name of what is kept of a run."""
        specification = self.estimators[estimator]
        leave = ("label", "parts", "counts")
        how = {k: v for k, v in specification.items() if k not in leave}
        table = {k: v for k, v in self.parts[part].items() if k not in ("title", "counts")}
        content = [how, _fingerprints(specification), table, self.seed, self.cosmology]
        text = json.dumps(content, sort_keys=True, default=str)
        return f"{part}-{estimator}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _suits(kind: str, images: str) -> bool:
    """Return whether an estimator that gets such images can do a part."""
    return {"rings": images == "maps", "colors": images == "total"}.get(kind, True)


def load_real_configuration(
    path: str | os.PathLike[str], *, small: bool = False
) -> RealConfiguration:
    """Read a configuration."""
    return _parse(read_toml(path), small)


@own_errors
def _parse(content: Mapping[str, Any], small: bool) -> RealConfiguration:
    check_table("The configuration", content, _KNOWN)
    estimators = dict(content.get("estimators", {}))
    for key, one in estimators.items():
        check_name("The estimator's key", key)
        check_table(f"[estimators.{key}]", one, _ESTIMATOR, ("name",))
    parts: dict[str, dict[str, Any]] = {}
    for kind in ("galaxies", "colors"):
        if kind in content:
            check_table(f"[{kind}]", content[kind], content[kind], ("catalog",))
            parts[kind] = {"kind": kind, "title": kind.capitalize(), **content[kind]}
    for kind in ("rings", "fields"):
        for table in content.get(kind, ()):
            check_table(f"[[{kind}]]", table, table, ("id",))
            parts[check_name(f"The id of [[{kind}]]", table["id"])] = {
                "kind": kind,
                "title": table["id"],
                **table,
            }
    changes = content.get("small", {}) if small else {}
    if "colors" in parts and changes:
        parts["colors"]["count"] = min(20, int(parts["colors"].get("count", 20)))
    if "counts" in changes and "galaxies" in parts:
        parts["galaxies"]["counts"] = changes["counts"]
        estimators = {
            k: {name: v for name, v in one.items() if name != "counts"}
            for k, one in estimators.items()
        }
    if not estimators or not parts:
        raise InvalidInputError(
            "The configuration names nothing to run: expected [estimators.KEY] and [galaxies], "
            "[[rings]] or [[fields]]."
        )
    return RealConfiguration(
        estimators,
        parts,
        content.get("truths", {}),
        tuple(content.get("requirements", ())),
        int(content.get("seed", 0)),
        content.get("cosmology"),
        small,
    )
