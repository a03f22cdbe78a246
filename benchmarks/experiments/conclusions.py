"""What the experiments with networks trained for them come to, in sentences with numbers.

Every figure and every verdict follows from the results; only what the paper concludes is
written here (Buck & Wolf 2021, their sections 4 and 5).
"""

from __future__ import annotations

import math
from typing import Any

from picasssso.evaluation.experiments.paper import PAPER
from picasssso.networks.buck_wolf import BASELINE_PROPERTIES

__all__ = ["CONCLUSIONS"]

SEEDS, PAPERS, ANY = "seed", "paper", "any"


def scatter(
    experiment: dict[str, Any], setting: str, prefix: str = SEEDS, name: str = "stellar_mass"
) -> tuple[float, float] | None:
    """Return the mean scatter of aperture sums over seeds, and its error.

    Its error has two parts: of the galaxies, which all seeds share, and of the seeds.
    """
    entries = [
        row["properties"][name]["aperture"]
        for row in experiment["rows"]
        if row["setting"] == setting and row["estimator"].startswith(prefix)
    ]
    sigmas = [entry["sigma"] for entry in entries if entry["sigma"] is not None]
    if not sigmas:
        return None
    n, mean = len(sigmas), sum(sigmas) / len(sigmas)
    galaxies = sum(entry["sigma_error"] for entry in entries) / n
    spread = sum((sigma - mean) ** 2 for sigma in sigmas) / max(n - 1, 1) / n
    return mean, math.sqrt(galaxies**2 + spread)


def shown(found: tuple[float, float]) -> str:
    """Return a scatter with its error."""
    return f"{found[0]:.3f} ± {found[1]:.3f}"


def percent(dex: float) -> str:
    """Return a scatter in dex as the factor that it is, less 1."""
    return f"{100 * (10**dex - 1):.0f} %"


def listed(experiment: dict[str, Any], settings: dict[str, str], name: str) -> str:
    """Return the scatter at several settings, beside the paper's where there is one."""
    parts = []
    for setting, run in settings.items():
        found = scatter(experiment, setting, name=name)
        if found:
            theirs = PAPER.get(run, {}).get(name)
            beside = f" ({theirs['sigma']:.3f})" if theirs else ""
            parts.append(f"{setting} {shown(found)}{beside}")
    return ", ".join(parts)


def more(large: tuple[float, float], small: tuple[float, float]) -> bool:
    """Return whether a scatter exceeds another by more than two combined errors."""
    return large[0] - small[0] > 2.0 * math.hypot(large[1], small[1])


def against_the_papers_network(experiment: dict[str, Any]) -> list[str]:
    """Compare both networks, property by property."""
    ratios = {}
    for name in BASELINE_PROPERTIES:
        ours = scatter(experiment, "", SEEDS, name)
        theirs = scatter(experiment, "", PAPERS, name)
        if ours and theirs:
            ratios[name] = ours[0] / theirs[0]
    if not ratios:
        return []
    mean = math.exp(sum(map(math.log, ratios.values())) / len(ratios))
    best, worst = min(ratios, key=ratios.__getitem__), max(ratios, key=ratios.__getitem__)
    return [
        f"Trained on the same galaxies in as many steps, our network's scatter is {mean:.2f} "
        f"times that of the paper's on the geometric mean over {len(ratios)} properties (from "
        f"{ratios[best]:.2f} for {best} to {ratios[worst]:.2f} for {worst})."
    ]


def bands(experiment: dict[str, Any]) -> list[str]:
    """Say what fewer bands cost, and what one set of weights for all costs."""
    runs = {"ugriz": "ugriz", "ugri": "ugri", "gr": "gr", "r": "r"}
    lines = [
        "In the paper scatter grows from five bands to one, though not steadily. Of stellar mass, "
        f"ours (the paper's): {listed(experiment, runs, 'stellar_mass')}; of ages: "
        f"{listed(experiment, runs, 'stellar_age')}."
    ]
    full, two, one = (scatter(experiment, bands) for bands in ("ugriz", "gr", "r"))
    if full and two and one:
        verdict = "confirmed" if more(one, full) else "not confirmed"
        lines.append(
            f"For stellar mass that is {verdict}: g and r alone scatter {two[0] / full[0]:.2f} "
            f"times as much as all five bands, r alone {one[0] / full[0]:.2f} times (paper: 1.23 "
            "and 1.69)."
        )
    losses = []
    for setting in runs:
        own, shared = scatter(experiment, setting), scatter(experiment, setting, ANY)
        if own and shared:
            losses.append(f"{setting} {100 * (shared[0] / own[0] - 1):+.0f} %")
    if losses:
        lines.append(
            "One set of weights, trained as long as each of these with bands taken away at "
            f"random, changes the scatter of stellar mass by {', '.join(losses)}."
        )
    return lines


def resolution(experiment: dict[str, Any]) -> list[str]:
    """Say what fewer pixels cost."""
    runs = {f"{n} pixels": f"{n} px" for n in (128, 64, 32, 16)}
    lines = [
        "The paper finds the stellar properties ever worse on fewer pixels of the same field. "
        f"Stellar mass, ours (the paper's): {listed(experiment, runs, 'stellar_mass')}; "
        f"ages: {listed(experiment, runs, 'stellar_age')}."
    ]
    many, few = scatter(experiment, "64 pixels"), scatter(experiment, "16 pixels")
    if many and few:
        verdict = "confirmed" if more(few, many) else "not confirmed"
        lines.append(
            f"That is {verdict} for stellar mass: 16 pixels scatter {few[0] / many[0]:.2f} times "
            "as much as 64 (paper: 1.78). Ours are told the size of a pixel, and all have as many "
            "steps; noise per pixel is that of the preset, at every size."
        )
    return lines


def galaxies(experiment: dict[str, Any]) -> list[str]:
    """Say what more galaxies bring."""
    runs = {"400": "", "1,504": "1500 pairs", "4,800": "5000 pairs", "9,600": "10000 pairs"}
    lines = [
        "The paper finds no gain from more than 1,500 pairs: scatter of stellar mass, ours (the "
        f"paper's): {listed(experiment, runs, 'stellar_mass')}; of ages: "
        f"{listed(experiment, runs, 'stellar_age')}."
    ]
    few, some, many = (scatter(experiment, n) for n in ("400", "1,504", "9,600"))
    if few and some and many:
        verdict = "contradicted" if more(some, many) else "confirmed, within the errors"
        lines.append(
            f"That is {verdict}, at as many steps for each: from 1,504 galaxies to 9,600 the "
            f"scatter changes by {100 * (many[0] / some[0] - 1):+.0f} %, from 400 to 1,504 by "
            f"{100 * (some[0] / few[0] - 1):+.0f} %. So few steps end before a network can learn "
            "its galaxies by heart; longer trainings may show more."
        )
    return lines


def alone(experiment: dict[str, Any]) -> list[str]:
    """Say what colour and morphology tell alone."""
    lines = []
    settings = {
        "both": "both",
        "morphology only (r)": "morphology alone",
        "colour only (each pixel by itself)": "colour alone",
    }
    for name in ("stellar_mass", "stellar_age", "stellar_metallicity", "sfr"):
        parts = [
            f"{words} {shown(found)} dex ({percent(found[0])})"
            for setting, words in settings.items()
            if (found := scatter(experiment, setting, name=name))
        ]
        if parts:
            lines.append(f"{name}: {', '.join(parts)}.")
    held = [
        name
        for name in ("stellar_mass", "stellar_age", "stellar_metallicity")
        if (found := scatter(experiment, "morphology only (r)", name=name))
        and 10 ** found[0] - 1 <= 0.205
    ]
    if lines:
        lines.append(
            "The paper says that morphology alone constrains stellar properties to better than "
            f"about 20 %. Of three, that holds here for {', '.join(held) or 'none'}; its own "
            "table has 0.152, 0.125 and 0.220 dex in r for mass, age and metal mass (42 %, 33 % "
            "and 66 %)."
        )
    return lines


#: By identifier of the experiment: what makes its sentences.
CONCLUSIONS = {
    "a": against_the_papers_network,
    "c": bands,
    "d": resolution,
    "e": galaxies,
    "g": alone,
}
