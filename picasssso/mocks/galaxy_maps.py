"""One description of a galaxy: stars, dust and gas on a pixel grid.

Every source of mock galaxies (recipes, simulation particles, maps from files) ends here;
images and true maps follow from it by the same code (`picasssso.mocks.light`,
`picasssso.mocks.light`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import torch

from picasssso.exceptions import InvalidInputError
from picasssso.mocks.age_bins import N_AGE

_MAPS = ("mass_formed", "log_metallicity", "attenuation", "hi_mass", "h2_mass", "gas_metallicity")


@dataclass(frozen=True, eq=False)
class Galaxies:
    """A batch of galaxies, each on a pixel grid of its own scale.

    ``mass_formed``: mass of stars formed in each age bin
    (``picasssso.mocks.age_bins.AGE_EDGES``), in Msun/kpc2, of shape (n, n_age, y, x).
    ``log_metallicity``: log10 of the mass fraction of metals of those stars, of the same
    shape, or with one metallicity for all ages (n, 1, y, x). ``attenuation``: at 5500 AA in
    mag, of shape (n, 2, y, x): by diffuse dust, which attenuates all light, and by birth
    clouds, which also attenuate stars of the first age bin and the gas that they ionize
    (Charlot & Fall 2000, ApJ 539, 718). ``attenuation_slope``: exponents of the two power laws
    of wavelength, of shape (n, 2). ``hi_mass``, ``h2_mass``: atomic and molecular hydrogen
    without helium, in Msun/kpc2, and ``gas_metallicity``: mass fraction of metals of the cold
    gas, of shape (n, y, x). ``redshift``, ``pixel_scale`` (arcsec) and ``pixel_scale_kpc``: of
    shape (n,). ``index``: number of each galaxy in its set, which determines its noise; by
    default 0, 1, ... ``parameters``: further parameters of each galaxy: names to arrays of
    shape (n, ...).
    """

    mass_formed: torch.Tensor
    log_metallicity: torch.Tensor
    attenuation: torch.Tensor
    attenuation_slope: torch.Tensor
    hi_mass: torch.Tensor
    h2_mass: torch.Tensor
    gas_metallicity: torch.Tensor
    redshift: torch.Tensor
    pixel_scale: torch.Tensor
    pixel_scale_kpc: torch.Tensor
    index: torch.Tensor | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.mass_formed.ndim != 4 or self.mass_formed.shape[1] != N_AGE:
            raise InvalidInputError(
                f"mass_formed of galaxies has shape {tuple(self.mass_formed.shape)}: expected "
                f"(n, {N_AGE}, y, x)."
            )
        n, _, *pixels = self.mass_formed.shape
        expected: dict[str, tuple[tuple[int, ...], ...]] = {
            "log_metallicity": ((n, N_AGE, *pixels), (n, 1, *pixels)),
            "attenuation": ((n, 2, *pixels),),
            "attenuation_slope": ((n, 2),),
            **dict.fromkeys(("hi_mass", "h2_mass", "gas_metallicity"), ((n, *pixels),)),
            **dict.fromkeys(("redshift", "pixel_scale", "pixel_scale_kpc"), ((n,),)),
        }
        for name, shapes in expected.items():
            shape = tuple(getattr(self, name).shape)
            if shape not in shapes:
                raise InvalidInputError(
                    f"{name} of galaxies has shape {shape}: expected "
                    f"{' or '.join(map(str, shapes))}, to fit mass_formed of shape "
                    f"{tuple(self.mass_formed.shape)}."
                )
        if self.index is None:
            object.__setattr__(self, "index", torch.arange(n, device=self.mass_formed.device))

    def __len__(self) -> int:
        return self.n_galaxies

    @property
    def n_galaxies(self) -> int:
        """Number of galaxies (int)."""
        return self.mass_formed.shape[0]

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of the pixel grid, (y, x)."""
        return (self.mass_formed.shape[2], self.mass_formed.shape[3])

    @property
    def device(self) -> torch.device:
        """Where the tensors are (torch.device)."""
        return self.mass_formed.device

    def _apply(self, function: Any, names: tuple[str, ...]) -> Galaxies:
        return replace(self, **{name: function(getattr(self, name)) for name in names})

    def select(self, galaxies: slice | torch.Tensor | np.ndarray) -> Galaxies:
        """Return some of the galaxies."""
        if isinstance(galaxies, np.ndarray):
            galaxies = torch.from_numpy(galaxies)
        names = tuple(f.name for f in fields(self) if f.name != "parameters")
        chosen = self._apply(lambda tensor: tensor[galaxies], names)
        key = galaxies if isinstance(galaxies, slice) else galaxies.cpu().numpy()
        return replace(chosen, parameters={k: v[key] for k, v in self.parameters.items()})

    def to(self, device: torch.device | str) -> Galaxies:
        """Return the galaxies on a device; their parameters are not moved."""
        names = tuple(f.name for f in fields(self) if f.name != "parameters")
        return self._apply(lambda tensor: tensor.to(device), names)

    def crop(self, margin: int) -> Galaxies:
        """Return the galaxies without a border of ``margin`` pixels."""
        if margin == 0:
            return self
        return self._apply(lambda tensor: tensor[..., margin:-margin, margin:-margin], _MAPS)

    def rotate(self, quarter_turns: int) -> Galaxies:
        """Return the galaxies rotated by quarter turns, from x towards y."""
        # torch.rot90 turns from the first axis to the second.
        return self._apply(lambda tensor: torch.rot90(tensor, -quarter_turns, (-2, -1)), _MAPS)


def one_galaxy(
    maps: Mapping[str, np.ndarray],
    place: tuple[float, float, float],
    index: int,
    **parameters: Any,
) -> Galaxies:
    """Return a batch of one galaxy; ``maps`` are its tensors without their first axis."""
    single = {
        name: torch.as_tensor(np.asarray(values, dtype=np.float32))[None]
        for name, values in maps.items()
    }
    scales = (torch.tensor([value], dtype=torch.float32) for value in place)
    known = {name: np.array([value]) for name, value in parameters.items()}
    return Galaxies(
        **single,
        **dict(zip(("redshift", "pixel_scale", "pixel_scale_kpc"), scales, strict=True)),
        index=torch.tensor([index]),
        parameters=known,
    )


def join_galaxies(parts: Sequence[Galaxies]) -> Galaxies:
    """Return several batches of galaxies, on pixel grids of one shape, as one."""
    if not parts:
        raise InvalidInputError("No galaxies were given to be joined.")
    shapes = {part.shape for part in parts}
    if len(shapes) > 1:
        raise InvalidInputError(
            f"Galaxies on grids of {' and '.join(map(str, sorted(shapes)))} pixels cannot be "
            "joined: expected one shape."
        )
    ages = max(part.log_metallicity.shape[1] for part in parts)
    joined = {}
    for name in Galaxies.__dataclass_fields__:
        if name == "parameters":
            continue
        tensors = [getattr(part, name) for part in parts]
        if name == "log_metallicity":
            tensors = [t.expand(-1, ages, -1, -1) for t in tensors]
        joined[name] = torch.cat(tensors)
    common = set.intersection(*(set(part.parameters) for part in parts))
    parameters = {
        name: np.concatenate([np.atleast_1d(part.parameters[name]) for part in parts])
        for name in sorted(common)
    }
    return Galaxies(**joined, parameters=parameters)
