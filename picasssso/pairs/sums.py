"""The sums that true property maps are made from.

What adds up over area (mass, mass times age, light) is kept as such until the end, so a
map at the resolution of an image is the same definition applied to convolved sums:
surface densities convolved, intensive properties as means weighted by what is there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch

if TYPE_CHECKING:
    from picasssso.maps import PropertyMaps

#: The order of the sums in `TrueSums.sums`.
SUMS = (
    "stellar_mass",
    "stellar_metals",
    "stellar_mass_age",
    "sfr",
    "gas_mass",
    "gas_metals",
    "hi_mass",
    "v_light",
    "v_light_attenuated",
)


class _OnTheSky(Protocol):
    """Galaxies with redshifts and pixel scales in arcsec, tensors of shape (n,)."""

    @property
    def redshift(self) -> torch.Tensor: ...

    @property
    def pixel_scale(self) -> torch.Tensor: ...


@dataclass(frozen=True, eq=False)
class TrueSums:
    """What property maps are made from: quantities that add up over area.

    ``sums``: of shape (n, 9, y, x), in the order of `SUMS`: masses in Msun/kpc2, mass times age
    in Gyr Msun/kpc2, rate in Msun/yr/kpc2, V light in any unit.

    Examples
    --------
    >>> import torch
    >>> from picasssso.pairs.sums import TrueSums
    >>> TrueSums(torch.ones(1, 9, 4, 4)).properties()["stellar_age"].shape
    torch.Size([1, 4, 4])
    """

    sums: torch.Tensor

    def properties(self) -> dict[str, torch.Tensor]:
        """Return the property maps.

        Returns names of `picasssso.properties.PROPERTIES` to maps of shape (n, y, x), in the
        units of that table.
        """
        mass, metals, mass_age, sfr, gas, gas_metals, hi, light, seen = self.sums.unbind(1)
        return {
            "stellar_mass": mass,
            "stellar_metallicity": metals / mass,
            "stellar_age": mass_age / mass,
            "sfr": sfr,
            "gas_mass": gas,
            "gas_metallicity": gas_metals / gas,
            "hi_mass": hi,
            # Rounding must not make dust shine.
            "attenuation_v": torch.log10(light / seen).mul(2.5).clamp(min=0.0),
        }

    def crop(self, margin: int) -> TrueSums:
        """Return the sums without a border of pixels.

        ``margin``: number of pixels to cut at each side.
        """
        if margin == 0:
            return self
        return TrueSums(self.sums[..., margin:-margin, margin:-margin])

    def to_property_maps(
        self, galaxy: int, galaxies: _OnTheSky, **keywords: object
    ) -> PropertyMaps:
        """Return one galaxy's true maps as `~picasssso.maps.PropertyMaps`.

        ``galaxies``: the galaxies the sums belong to (`picasssso.mocks.Galaxies`), for redshift
        and pixel scale.
        """
        maps = {name: values[galaxy].cpu().numpy() for name, values in self.properties().items()}
        return maps_from_arrays(
            maps,
            redshift=plain_number(galaxies.redshift[galaxy]),
            pixel_scale=plain_number(galaxies.pixel_scale[galaxy]),
            **keywords,
        )


def plain_number(value: torch.Tensor) -> float:
    """Return a number in single precision as the shortest decimal that stands for it.

    Examples
    --------
    >>> import torch
    >>> from picasssso.pairs.sums import plain_number
    >>> plain_number(torch.tensor(0.03))
    0.03
    """
    return float(str(np.float32(value.item())))


def maps_from_arrays(
    maps: Mapping[str, np.ndarray], *, redshift: float, pixel_scale: float, **keywords: object
) -> PropertyMaps:
    """Return true maps given as arrays as `~picasssso.maps.PropertyMaps`.

    ``maps``: property names to arrays of shape (y, x), in the units of the properties;
    ``pixel_scale``: in arcsec.
    """
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
