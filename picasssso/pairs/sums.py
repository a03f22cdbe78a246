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

__all__ = ["SUMS", "TrueSums", "maps_from_arrays", "plain_number"]

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

    Parameters
    ----------
    sums : Tensor
        Of shape (n, 9, y, x), in the order of `SUMS`: masses in Msun/kpc2, mass times age in
        Gyr Msun/kpc2, rate in Msun/yr/kpc2, V light in any unit.

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

        Returns
        -------
        dict
            Names of `picasssso.properties.PROPERTIES` to maps of shape (n, y, x), in the
            units of that table. Intensive properties are NaN where there is nothing to
            average.
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

        Parameters
        ----------
        margin : int
            Number of pixels to cut at each side.

        Returns
        -------
        TrueSums
            The inner part.
        """
        if margin == 0:
            return self
        return TrueSums(self.sums[..., margin:-margin, margin:-margin])

    def to_property_maps(
        self, galaxy: int, galaxies: _OnTheSky, **keywords: object
    ) -> PropertyMaps:
        """Return one galaxy's true maps as `~picasssso.maps.PropertyMaps`.

        Parameters
        ----------
        galaxy : int
            Which of the batch.
        galaxies : Galaxies
            The galaxies the sums belong to (`picasssso.mocks.Galaxies`), for redshift and
            pixel scale.
        **keywords
            Passed to `~picasssso.maps.PropertyMaps`, such as ``wcs`` and ``meta``.

        Returns
        -------
        PropertyMaps
            All percentiles are the truth, and so is the mean of surface densities.
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

    Parameters
    ----------
    value : Tensor
        One number.

    Returns
    -------
    float
        Such as 0.03 for what is 0.029999999 in double precision.

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

    Parameters
    ----------
    maps : mapping
        Property names to arrays of shape (y, x), in the units of the properties.
    redshift : float
        Redshift.
    pixel_scale : float
        In arcsec.
    **keywords
        Passed to `~picasssso.maps.PropertyMaps`.

    Returns
    -------
    PropertyMaps
        All percentiles are the truth, and so is the mean of surface densities.
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
