"""Messages of the package, which speak Python, in the words of a command."""

from __future__ import annotations

import re
from collections.abc import Mapping

import click

#: Arguments in messages that options are named after, and others with the option that says it.
_SAME = (
    "zero_point unit uncertainty variance weight mask mask_bits pixel_scale redshift "
    "luminosity_distance psf format ebv ebv_scale law position onto estimator images tiles size "
    "sky survey aperture extinction_removed seed time_limit workers scheduler"
).split()
_NAMES = {name: f"--{name.replace('_', '-')}" for name in _SAME} | {
    "file_mask": "--mask",
    "galactic_extinction": "--galactic-extinction-removed",
    "target": "--match",
    "columns": "--column",
    "bands": "--band",
    "n_samples": "--samples",
    "batch_size": "--batch",
    "resources": "--resource",
    "color": "--option color",
    "luminosity_band": "--option luminosity_band",
    "relation": "--option relation",
}
_FLAGS = {
    "overwrite=True": "--overwrite",
    "resume=True": "--resume",
    "extinction_removed=True": "--extinction-removed",
}
_SEEING = "--psf median, the typical seeing of the survey, or --psf {}='{} {}'"
# What is said in other words: (option that the command must have, or None; what is looked for;
# what stands for it). The first that fits is done, then the next is looked for.
_WORDS: tuple[tuple[str | None, str, str], ...] = (
    (None, r" \(from astropy import units as u\)", ""),
    (None, r"prepare\(\) and with_estimated_noise\(bands\) measure it",
     "`picasssso prepare` measures it"),
    (None, r"\b(U|u)se BandImages\.from_cube", r"\1se Python's BandImages.from_cube"),
    (None, r"\bor BandImages\.from_cube", "or Python's BandImages.from_cube"),
    (None, r"expected CCDData\(\.\.\., wcs=wcs\)", "expected one in the header"),
    (None, r"; for only some of the bands give a mapping by band", ""),
    (None, r", or for asinh magnitudes their softening as asinh_softening=\{[^}]*\}",
     "; asinh magnitudes with their softening are read in Python"),
    (None, r"Use BandImages\.read\(path\)\.replace\(\.\.\.\) to change something",
     "Leave them out"),
    ("--band", r"Leave these bands out: images\.select\(\[\.\.\.\]\)",
     "Leave out their --band"),
    ("--ebv", r"options= holds (?=\w+=)", "Found "),
    ("--ebv-scale", r"without scale=", "without --ebv-scale"),
    ("--galactic-extinction-removed",
     r"images\.replace\(galactic_extinction=GalacticExtinction\(ebv=\.\.\., scale='SF11', "
     r"applied=True\)\), with ebv=0", "--galactic-extinction-removed E(B-V), with 0"),
    ("--prepare", r"correct the fluxes and set applied=True in the GalacticExtinction record",
     "--prepare removes it"),
    ("--onto", r"picasssso\.bands\.align\(images, onto='([^']*)', redshift=\.\.\.\)",
     r"--onto \1"),
    ("--prepare", r"picasssso\.bands\.align\(images, onto='[^']*', redshift=\.\.\.\)",
     "--prepare"),
    ("--uncertainty", r"attach one to each CCDData", "say where it is, --uncertainty or --weight"),
    ("--register", r"(?:prepare\(\.\.\., )?\bregister=True\)?", "--register"),
    ("--prepare", r"prepare\(\.\.\., register=True\)", "`picasssso prepare --register`"),
    ("--estimate-noise", r"(?:images\.)?with_estimated_noise\([a-z]*\)", "--estimate-noise"),
    ("--no-prepare", r"(?:use )?(?:images\.)?with_estimated_noise\([a-z]*\)",
     "leave out --no-prepare"),
    ("--keep-noise", r"use images\.with_estimated_noise\(\)", "leave out --keep-noise"),
    ("--keep-noise", r"Use images\.with_estimated_noise\(\)", "Leave out --keep-noise"),
    ("--no-prepare", r"picasssso\.bands\.align\(images, onto='[^']*', redshift=\.\.\.\)",
     "leave out --no-prepare"),
    ("--column", r"columns=\{'(\w+)': '([^']*)'\}", r"--column '\1=\2'"),
    ("--column", r"images\.replace\(luminosity_distance=[^()]*\)",
     "a column of distances, --column distance='NAME [Mpc]'"),
    ("--column", r"Pass the observed redshift, for example redshift=0\.02",
     "Correct it in the catalog, or give another column, --column redshift=NAME"),
    ("--estimator", r"\buse SEDFitEstimator\b", "use --estimator sed_fit"),
    ("--mask-bits", r"\bmask_bits\b(?!=)", "--mask-bits"),
    ("--band", r"BandImages\.read\(\{band: '([^']*)'\}, \.\.\.\)", r"--band BAND='\1'"),
    ("--band", r"BandImages\.read\(\{'([^']*)': path\}, \.\.\.\)", r"--band \1=FILE"),
    ("--psf", r"images\.replace\(psf=([\d.]+) \* u\.(\w+)\), or by band, "
     r"psf=\{'([^']*)': [^}]*\}", _SEEING.format(r"\3", r"\1", r"\2")),
    ("--psf", r"psf=\{band: ([\d.]+) \* u\.(\w+)\}", _SEEING.format("BAND", r"\1", r"\2")),
)  # fmt: skip
#: A band without survey, for commands that have no option for it.
_BARE = r"Pass survey='sdss' \(or one of [^)]*\), or a full name"
#: A value as Python writes it: text, a tuple, a mapping, or up to the next space or sign.
_VALUE = r"'[^']*'|\([^()]*\)|\{[^{}]*\}|\[[^][]*\]|<[^<>]*>|\.\.\.|[\w+-]+(?:\.\d+)?"
# Named in full, so that it is added and nothing replaced.
_TAILS = {
    "read_filter(": "--filter NAME=FILE,UNIT,photon",
    "the estimator's parameter": "--option NAME=VALUE",
}


def with_options(message: str, command: click.Command | None = None) -> str:
    """Return a message of the package in which options of a command stand for arguments.

    What the command has no option for stays as it is.
    """
    has = None
    if command is not None:
        has = {o for p in command.params for o in (*p.opts, *p.secondary_opts)}
    if has is not None and "--survey" not in has:
        message = re.sub(_BARE, "Give the full name", message)
    for option, words, instead in _WORDS:
        if option is None or has is None or option in has:
            message = re.sub(words, instead, message)
    for words, option in _FLAGS.items():
        if has is None or option in has:
            message = re.sub(rf"\b{words}", option, message)
    names = {n: o for n, o in _NAMES.items() if has is None or o.partition(" ")[0] in has}
    # Functions of the package are not what a command speaks of.
    message = re.sub(
        r"^(\w+_\w+): found",
        lambda m: f"{names[m[1]]}: found" if m[1] in names else "Found",
        message,
    )
    if names:
        message = _assignments(message, names)
    tails = [o for w, o in _TAILS.items() if w in message and o not in message]
    tails = [o for o in tails if has is None or o.partition(" ")[0] in has]
    return f"{message} (On the command line: {', '.join(tails)}.)" if tails else message


def _assignments(message: str, names: Mapping[str, str]) -> str:
    """Return a message in which options stand for ``name=value``, out of their calls."""
    some = "|".join(names)
    call = rf"(?:images\.replace|BandImages)\((?:\.\.\., )?((?:{some})=[^()]*)\)"
    message = re.sub(call, r"\1", message)
    message = re.sub(rf"\b({some})=([\d.]+) \* u\.ABmag", r"\1=\2", message)
    message = re.sub(rf"\b({some})=([\d.]+) \* u\.(\w+)", r"\1='\2 \3'", message)
    if "zero_point" in names:
        message = re.sub(r"([\d.]+) \* u\.ABmag", r"\1", message)
    return re.sub(
        rf"(?<![\w.'])(?<!\w\()({some})=({_VALUE})?",
        lambda found: _assigned(names[found[1]], found[2]),
        message,
    )


def _assigned(option: str, value: str | None) -> str:
    """Return an option with its value."""
    option, _, own = option.partition(" ")
    value = None if value == "..." else value
    text = (value or "").strip()
    if re.fullmatch(r"'[\w./+-]*'", text):
        text = text[1:-1]
    if own:
        text = f"{own}={text or '...'}"
        text = text if re.fullmatch(r"[\w./+=-]*", text) else f'"{text}"'
    return f"{option} {text}".strip()
