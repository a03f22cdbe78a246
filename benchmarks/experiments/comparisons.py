"""What the comparisons of estimators come to, in sentences with numbers.

As in `conclusions`, figures and verdicts follow from the results; written here are what the
paper says, and the likely reasons of what is found.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from picasssso.evaluation.experiments.paper import PAPER

#: The paper's 20 % of its network, and its 50 % of mass-to-light-ratio methods, in dex.
NETWORK, RATIOS = math.log10(1.2), math.log10(1.5)

SHORT = {
    "cnn": "CNN",
    "paper": "the paper's network",
    "ours_small": "our network trained as long",
    "sed_fit": "SED fit",
    "mass_to_light": "colour M/L (Taylor)",
    "mass_to_light_sps": "colour M/L (own model)",
    "kcorrect": "kcorrect",
}
WORDS = {
    "stellar_mass": "stellar mass",
    "stellar_metal_mass": "stellar metal mass",
    "stellar_metallicity": "stellar metallicity",
    "stellar_age": "age",
    "gas_mass": "gas mass",
    "gas_metal_mass": "gas metal mass",
    "hi_mass": "neutral hydrogen",
    "sfr": "star formation rate",
}


def figures(
    experiment: dict[str, Any],
    estimator: str,
    setting: str | None = None,
    name: str = "stellar_mass",
    where: str = "aperture",
) -> dict[str, Any] | None:
    """Return the figures of one estimator at one setting (any, if None)."""
    for row in experiment["rows"]:
        if row["estimator"] != estimator or setting not in (None, row["setting"]):
            continue
        found = row["properties"].get(name, {}).get(where)
        if found and found.get("sigma") is not None:
            return found
    return None


def shown(found: dict[str, Any]) -> str:
    """Return scatter with its error, and bias."""
    error = found["sigma_error"]
    margin = "" if error is None else f" ± {error:.3f}"
    return f"{found['sigma']:.3f}{margin} / {found['mean']:+.3f}"


def estimators(experiment: dict[str, Any]) -> list[str]:
    """Return those of an experiment that have a short name, in order."""
    there = dict.fromkeys(row["estimator"] for row in experiment["rows"])
    return [name for name in there if name in SHORT]


# ---- (b): where 20 % against 50 % holds -----------------------------------------------


def ranges(found: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the ranges in which figures are given, with at least ten galaxies."""
    words = {"age": "age {} Gyr", "attenuation": "A_V {} mag", "snr": "S/N {}"}
    for key, label in words.items():
        for row in found.get(f"by_{key}", ()):
            if row["sigma"] is not None and row["n_galaxies"] >= 10:
                low, high = row["low"], row["high"]
                place = f"< {high:g}" if low is None else f"{low:g}-{high:g}" if high else ""
                yield label.format(place or f"> {low:g}"), row


def where_it_holds(experiment: dict[str, Any]) -> list[str]:
    """Say in which ranges the network is below 20 %, and colour M/L above 50 %."""
    lines = []
    for where, words in (("aperture", "Sums"), ("pixel", "Pixels")):
        for kind, bias in (("sigma", "bias removed"), ("rms", "bias included")):
            parts = [
                f"{SHORT[name]} {found[kind]:.3f} ± {found[f'{kind}_error']:.3f} dex, "
                + _listed(found, kind, below=name == "cnn")
                for name in ("cnn", "mass_to_light", "mass_to_light_sps")
                if (found := figures(experiment, name, where=where))
            ]
            lines.append(f"{words}, {bias}: {'; '.join(parts)}.")
    return lines


def _listed(found: dict[str, Any], kind: str, *, below: bool) -> str:
    """List the ranges on the paper's side of its limit, within one error."""
    limit = NETWORK if below else RATIOS
    sign = 1 if below else -1
    all_of_them = list(ranges(found))
    held = [
        place for place, row in all_of_them if sign * (row[kind] - limit) <= row[f"{kind}_error"]
    ]
    left = [place for place, _ in all_of_them if place not in held]
    what = "within 20 %" if below else "50 % or more"
    if not held:
        return f"nowhere {what}"
    if not left:
        return f"everywhere {what}"
    if len(left) < len(held):
        return f"{what} but for {', '.join(left)}"
    return f"{what} only for {', '.join(held)}"


def beside_the_paper(experiment: dict[str, Any]) -> list[str]:
    """Compare the network's sums with the paper's table, property by property."""
    parts, better, worse = [], [], []
    for name, theirs in PAPER["ugriz"].items():
        ours = figures(experiment, "cnn", name=name)
        if ours is None:
            continue
        paper = f"{theirs['sigma']:.3f} / {theirs['mean']:+.3f}"
        parts.append(f"{WORDS[name]} {shown(ours)} ({paper})")
        difference = ours["sigma"] - theirs["sigma"]
        # The paper: retraining changes its figures by 10 %.
        if abs(difference) > math.hypot(2 * ours["sigma_error"], 0.1 * theirs["sigma"]):
            (worse if difference > 0 else better).append(WORDS[name])
    return [
        "CNN beside the paper's table, scatter / bias of sums in dex (in brackets the paper's, of "
        f"*ugriz* at 256 pixels): {', '.join(parts)}.",
        f"Scatter is smaller than the paper's for {_and(better)}, larger for {_and(worse)}, and "
        "alike within errors and the paper's 10 % from training to training for the rest. The "
        "paper's galaxies are Illustris', without dust, at one redshift and a mean S/N of 25; "
        "these have dust, redshifts of 0.02-0.15, the depth of SDSS, 64 pixels a side, spectra "
        "wrong by 0.1 mag, and no oracle mask. Gas is tied to the light by the recipes of the "
        "mocks: figures of gas say how loose that tie was made.",
        "The paper's sums are too low for all of these, as sums of medians are; ours are sums of "
        "calibrated means.",
    ]


def _and(names: list[str]) -> str:
    return ", ".join(names) if names else "none"


def networks(experiment: dict[str, Any]) -> list[str]:
    """Compare the paper's network with ours, trained as long, and ours as it ships."""
    networks_there = [k for k in estimators(experiment) if k in ("paper", "ours_small", "cnn")]
    parts = []
    for name in WORDS:
        found = {k: figures(experiment, k, name=name) for k in networks_there}
        if found.get("paper"):
            cells = [f"{v['sigma']:.3f}" if v else "–" for v in found.values()]
            parts.append(f"{WORDS[name]} {', '.join(cells)}")
    if not parts:
        return []
    words = ", ".join(SHORT[name] for name in networks_there)
    return [
        f"The paper's network was trained here for only 600 steps of 16 galaxies. Scatter of sums "
        f"of {words}: {'; '.join(parts)} dex. So short a training is far from what it can do; "
        "experiment (a) compares both networks trained alike."
    ]


def same_images(experiment: dict[str, Any]) -> list[str]:
    """Return the sentences of (b)."""
    return [
        *where_it_holds(experiment),
        *beside_the_paper(experiment),
        *networks(experiment),
    ]


# ---- the rest: what a change does ------------------------------------------------------


def change(experiment: dict[str, Any], first: str, second: str, reason: str) -> list[str]:
    """Say what goes from one setting to another with the scatter and bias of each."""
    parts, grown = [], []
    for name in estimators(experiment):
        before, after = (figures(experiment, name, setting) for setting in (first, second))
        if not before or not after:
            continue
        parts.append(f"{SHORT[name]} {shown(before)} to {shown(after)}")
        margin = 2 * math.hypot(before["sigma_error"], after["sigma_error"])
        if after["sigma"] - before["sigma"] > margin:
            grown.append(SHORT[name])
    if not parts:
        return []
    return [
        f"From “{first}” to “{second}”, scatter / bias of stellar mass inside two half-mass "
        f"radii go, in dex, for {'; '.join(parts)}. Scatter grows by more than two errors for "
        f"{_and(grown)}. {reason}"
    ]


def other_model(experiment: dict[str, Any]) -> list[str]:
    """Return the sentences of (h), another stellar model."""
    return change(
        experiment,
        "errors of 0.1 mag",
        "no errors",
        "Each mock's spectra are wrong in a way of its own, by as much as stellar models differ, "
        "alike in all its pixels; so that does not average out in sums.",
    )


def not_linked(experiment: dict[str, Any]) -> list[str]:
    """Return the sentences of (h), populations apart from the shape."""
    return change(
        experiment,
        "linked",
        "not linked",
        "Only the network has learnt what populations go with what shape. What all lose alike "
        "comes from the populations, which are more varied where nothing ties them together.",
    )


def without_dust(experiment: dict[str, Any]) -> list[str]:
    """Return the sentences of (h), dust."""
    return change(
        experiment,
        "dust",
        "no dust",
        "The paper's galaxies have none. No estimator here is told so.",
    )


def other_surveys(experiment: dict[str, Any]) -> list[str]:
    """Return the sentences of (h), other bands, pixels and PSFs."""
    reasons = {
        "DES": "DES is deeper, but has no u band.",
        "the paper's images": "Its pixels follow the size of the galaxy, with S/N of 25.",
    }
    return [
        line
        for label, words in reasons.items()
        for line in change(experiment, "SDSS", label, words)
    ]


def native(experiment: dict[str, Any]) -> list[str]:
    """Return the sentence of (b) at the truth's own resolution."""
    parts = [
        f"{SHORT[name]} {shown(sums)} and {shown(pixels)}"
        for name in estimators(experiment)
        if (sums := figures(experiment, name))
        and (pixels := figures(experiment, name, where="pixel"))
    ]
    return [
        "The paper compares with maps that no PSF has blurred. Scatter / bias of stellar mass in "
        f"dex, of sums and of pixels: {'; '.join(parts)}. Light that the PSF carries out of the "
        "aperture, and gradients that it flattens, count as errors here; estimators are asked "
        "for maps at the resolution of the images."
    ]


def fewer_bands(experiment: dict[str, Any]) -> list[str]:
    """Return the sentences of (c) with one set of weights."""
    parts, ratio = [], {}
    full = figures(experiment, "cnn", "ugriz")
    for bands in ("ugriz", "ugri", "gri", "gr", "r"):
        found = figures(experiment, "cnn", bands)
        if found and full:
            paper = PAPER.get(bands, {}).get("stellar_mass")
            beside = f" ({paper['sigma']:.3f})" if paper else ""
            parts.append(f"{bands} {shown(found)}{beside}")
            ratio[bands] = found["sigma"] / full["sigma"]
    if "r" not in ratio:
        return []
    return [
        f"Stellar mass, scatter / bias of sums (the paper's scatter): {', '.join(parts)} dex. One "
        f"band alone scatters {ratio['r']:.2f} times as much as all five, g and r "
        f"{ratio['gr']:.2f} times (paper: 1.69 and 1.23); the paper trains a network for each."
    ]


def simulations(experiment: dict[str, Any]) -> list[str]:
    """Return the sentence of (h) with galaxies of simulations."""
    first = experiment["rows"][0]
    parts = [
        f"{SHORT[name]} {shown(found)}"
        for name in estimators(experiment)
        if (found := figures(experiment, name))
    ]
    return [
        f"{first['n_images']} images of {first['n_galaxies']} galaxies, so scatter says little "
        f"and bias is that of these galaxies. Scatter / bias of stellar mass inside two "
        f"half-mass radii, in dex: {'; '.join(parts)}. No estimator was tuned to them."
    ]


#: By identifier of the experiment: what makes its sentences.
COMPARISONS = {
    "b": same_images,
    "b_native": native,
    "c_any": fewer_bands,
    "h_model": other_model,
    "h_link": not_linked,
    "h_survey": other_surveys,
    "h_dust": without_dust,
    "h_illustris": simulations,
    "h_particles": simulations,
}
