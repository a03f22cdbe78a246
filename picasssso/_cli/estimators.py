"""Options that choose an estimator and its parameters, the same for every command."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from picasssso._cli.image_options import Options
from picasssso._cli.parsing import check_estimator, parse_parameters, wrong_use
from picasssso._core.safe_files import read_text

if TYPE_CHECKING:
    from picasssso.estimators.base import PropertyMapEstimator

ESTIMATOR: Options = (
    (("-e", "--estimator", "estimator_name"), "NAME", "Estimator: see `picasssso list`.",
     {"required": True}),
    (("--option", "options"), "NAME=VALUE",
     "Parameter of the estimator, in Python syntax; 'prior.attenuation=(0, 1)' sets a parameter "
     "of its prior. May be repeated.", {"multiple": True}),
    (("--parameters", "parameters_file"), "FILE.toml",
     "File with parameters of the estimator, such as 'n_models = 20000', and those of the prior "
     "in a table [prior]; --option overrides them.", {}),
)  # fmt: skip


def make_estimator(given: dict[str, Any]) -> PropertyMapEstimator:
    """Return the estimator that the options ask for."""
    from picasssso.estimators import get_estimator

    name = given["estimator_name"]
    check_estimator(name)
    estimator = get_estimator(name)
    defaults = estimator._parameter_defaults()
    path = given["parameters_file"]
    parameters = {} if path is None else _read_parameters(path, defaults)
    for key, value in parse_parameters(given["options"], defaults).items():
        both = isinstance(value, dict) and isinstance(parameters.get(key), dict)
        parameters[key] = {**parameters[key], **value} if both else value
    option = "--option" if given["options"] else "--parameters" if path else "--estimator"
    with wrong_use(option):
        made = {key: _OBJECTS.get(key, _plain)(value) for key, value in parameters.items()}
        return estimator(**made)


def _read_parameters(path: str, defaults: Mapping[str, Any]) -> dict[str, Any]:
    try:
        found = tomllib.loads(read_text(path))
    except OSError as error:
        raise click.BadParameter(
            f"{path}: cannot be read ({error.strerror}).", param_hint="--parameters"
        ) from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise click.BadParameter(
            f"{path} is not valid TOML ({error}): expected lines such as 'n_models = 20000'.",
            param_hint="--parameters",
        ) from error
    if unknown := set(found) - set(defaults):
        raise click.BadParameter(
            f"{path}: the estimator has no parameter {', '.join(sorted(unknown))}: there are "
            f"{', '.join(defaults) or 'none'}.",
            param_hint="--parameters",
        )
    return found


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _prior(value: Any) -> Any:
    """Return a prior from its name or its parameters: pairs, or distributions as in files."""
    from dataclasses import fields

    from picasssso.exceptions import InvalidInputError
    from picasssso.sps import SEDPrior
    from picasssso.sps.distributions import distribution_from_dict

    if value in ("flat", "default"):
        return SEDPrior.flat() if value == "flat" else SEDPrior()
    known = [field.name for field in fields(SEDPrior)]
    if not isinstance(value, Mapping) or not set(value) <= set(known):
        found = ", ".join(map(str, set(value) - set(known))) if isinstance(value, dict) else value
        raise InvalidInputError(
            f"prior: found {found!r}, expected 'flat', 'default' or parameters among "
            f"{', '.join(known)}."
        )
    made: dict[str, Any] = {
        key: distribution_from_dict(item) if isinstance(item, Mapping) else _plain(item)
        for key, item in value.items()
    }
    return SEDPrior(**made)


def _grid(value: Any) -> Any:
    from picasssso.sps import SSPGrid

    return SSPGrid.from_file(value) if isinstance(value, str) else value


#: Parameters that are objects in Python, and what makes them from plain values.
_OBJECTS: dict[str, Callable[[Any], Any]] = {"prior": _prior, "grid": _grid}
