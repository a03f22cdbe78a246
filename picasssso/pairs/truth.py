"""The additive quantities from which true property maps are computed.

Quantities that add up over area (mass, mass times age, light) are kept until the end. A map at the
resolution of an image follows from the convolved quantities: surface densities are convolved, and
intensive properties are weighted means.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch

if TYPE_CHECKING:
    from picasssso.maps import PropertyMaps

#: What property maps are made of: property to the sum it is, or the two whose ratio it is.
MADE_OF: dict[str, tuple[str, str | None]] = {
    "stellar_mass": ("stellar_mass", None),
    "stellar_metallicity": ("stellar_metals", "stellar_mass"),
    "stellar_age": ("stellar_mass_age", "stellar_mass"),
    "sfr": ("sfr", None),
    "gas_mass": ("gas_mass", None),
    "gas_metallicity": ("gas_metals", "gas_mass"),
    "hi_mass": ("hi_mass", None),
}

#: The order of the sums in `TrueSums.sums`.
SUMS = (*(name for name, _ in MADE_OF.values()), "v_light", "v_light_attenuated")

#: Which sum each goes with, by number: metals and ages with the mass, dimmed light with light.
LEADERS = [SUMS.index(weight or name) for name, weight in MADE_OF.values()] + 2 * [
    SUMS.index("v_light")
]


class _OnTheSky(Protocol):
    """Galaxies with redshifts and pixel scales in arcsec, tensors of shape (n,)."""

    @property
    def redshift(self) -> torch.Tensor: ...

    @property
    def pixel_scale(self) -> torch.Tensor: ...


@dataclass(frozen=True, eq=False)
class TrueSums:
    """Quantities that add up over area, from which property maps are computed.

    ``sums``: of shape (n, 9, y, x), in the order of `SUMS`: masses in Msun/kpc2, mass times age
    in Gyr Msun/kpc2, rate in Msun/yr/kpc2, V light in any unit.
    """

    sums: torch.Tensor

    def __getitem__(self, name: str) -> torch.Tensor:
        """Return one of `SUMS`, (n, y, x)."""
        return self.sums[:, SUMS.index(name)]

    def planes(self, names: Sequence[str]) -> torch.Tensor:
        """Return some of `SUMS`, (n, k, y, x)."""
        return self.sums[:, [SUMS.index(name) for name in names]]

    def to(self, device: torch.device | str) -> TrueSums:
        """Return the sums on a device."""
        return TrueSums(self.sums.to(device))

    def properties(self) -> dict[str, torch.Tensor]:
        """Return maps (n, y, x) of `picasssso.properties.PROPERTIES`, in their units."""
        maps = {
            name: self[amount] if weight is None else self[amount] / self[weight]
            for name, (amount, weight) in MADE_OF.items()
        }
        # Rounding must not make dust shine.
        dimmed = torch.log10(self["v_light"] / self["v_light_attenuated"])
        return {**maps, "attenuation_v": dimmed.mul(2.5).clamp(min=0.0)}

    def crop(self, margin: int) -> TrueSums:
        """Return the sums without a border of so many pixels."""
        if margin == 0:
            return self
        return TrueSums(self.sums[..., margin:-margin, margin:-margin])

    def to_property_maps(
        self, galaxy: int, galaxies: _OnTheSky, **keywords: object
    ) -> PropertyMaps:
        """Return one galaxy's true maps; ``galaxies`` give its redshift and pixel scale."""
        maps = {name: values[galaxy].cpu().numpy() for name, values in self.properties().items()}
        return maps_from_arrays(
            maps,
            redshift=plain_number(galaxies.redshift[galaxy]),
            pixel_scale=plain_number(galaxies.pixel_scale[galaxy]),
            **keywords,
        )


def plain_number(value: torch.Tensor) -> float:
    """Return a number in single precision as the shortest decimal that stands for it."""
    return float(str(np.float32(value.item())))


def maps_from_arrays(
    maps: Mapping[str, np.ndarray], *, redshift: float, pixel_scale: float, **keywords: object
) -> PropertyMaps:
    """Return true maps (y, x), in the units of the properties; ``pixel_scale`` in arcsec."""
    import astropy.units as u
    from astropy.cosmology import Planck18

    from picasssso.maps import PropertyArrays, PropertyMaps
    from picasssso.properties import PROPERTIES

    arrays = {}
    for name, values in maps.items():
        values = np.asarray(values, dtype=np.float32)
        exact = PropertyArrays.from_normal(values, 0.0)
        averaged = not PROPERTIES[name].is_surface_density
        arrays[name] = replace(exact, mean=None) if averaged else exact
    shape = next(iter(arrays.values())).percentiles.shape[1:]
    keywords.setdefault("quality", np.zeros(shape, np.int32))
    keywords.setdefault("luminosity_distance", Planck18.luminosity_distance(redshift))
    if keywords.get("wcs") is None:
        keywords.setdefault("pixel_solid_angle", pixel_scale**2 * u.arcsec**2)
    return PropertyMaps(arrays, redshift=redshift, **keywords)  # type: ignore[arg-type]
