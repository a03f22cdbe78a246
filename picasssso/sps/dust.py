"""Attenuation by dust: how much light of stars and gas is lost on its way out.

A law gives, for each group of light sources (old stars, young stars, gas), the
attenuation in magnitudes per magnitude of two parameters: the diffuse dust that all
light passes, and the clouds around young stars. What is finally reported as
``attenuation_v`` is neither of them but, as for every estimator, what became of the
stars' V flux.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from picasssso.exceptions import InvalidInputError

#: The groups of light sources, in the order of the arrays here.
GROUPS = ("old stars", "young stars", "gas")

#: Laws are constant shortward of this, in AA.
_SHORTEST = 912.0

#: The wavelength in AA at which the parameters are defined.
V_WAVELENGTH = 5500.0


class AttenuationLaw(ABC):
    """What a magnitude of attenuation at V means at other wavelengths.

    A subclass implements `curves`, and states until which age stars count as young.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> import numpy as np
    >>> from picasssso.sps import AttenuationLaw
    >>> @dataclass(frozen=True)
    ... class PowerLaw(AttenuationLaw):
    ...     slope: float = -0.7
    ...     name = "power_law"
    ...
    ...     def curves(self, wavelength):
    ...         curve = (np.asarray(wavelength) / 5500) ** self.slope
    ...         return np.stack([np.broadcast_to(curve, (3, *curve.shape)),
    ...                          np.zeros((3, *curve.shape))])
    >>> PowerLaw().curves(np.array([5500.0])).shape
    (2, 3, 1)
    """

    #: Name by which `get_law` finds it.
    name: str

    #: Stars younger than this, in yr, count as young.
    birth_cloud_age: float = 1e7

    #: Whether the clouds' parameter has any effect.
    has_birth_clouds: bool = False

    @abstractmethod
    def curves(self, wavelength: np.ndarray) -> np.ndarray:
        """Return the attenuation per magnitude of each parameter.

        Parameters
        ----------
        wavelength : ndarray
            Rest wavelengths in AA, of shape (k,).

        Returns
        -------
        ndarray
            Magnitudes of shape (2, 3, k): per magnitude at V of diffuse dust and of birth
            clouds; for old stars, young stars and gas.
        """

    def to_dict(self) -> dict[str, Any]:
        """Return name and parameters, for files.

        Returns
        -------
        dict
            Suitable for JSON.
        """
        return {"name": self.name, **asdict(self)}  # type: ignore[call-overload]

    @property
    def key(self) -> tuple[type, str]:
        """What tells laws apart (tuple)."""
        return type(self), json.dumps(self.to_dict(), sort_keys=True, default=repr)


@dataclass(frozen=True)
class Calzetti(AttenuationLaw):
    """The law of starburst galaxies (Calzetti et al. 2000, ApJ 533, 682).

    All stars are dimmed alike, by equation 4 there. Gas is dimmed by the Milky Way's
    law (Cardelli, Clayton & Mathis 1989, R_V = 3.1) with a color excess larger than
    that of the stars by 1 / 0.44 (equation 3). Both as in the package ``extinction``;
    redward of 2.2 um the curve goes on until it reaches 0, shortward of 912 AA it is flat.

    Parameters
    ----------
    r_v : float, optional
        Ratio of attenuation at V to the stars' color excess.
    stars_to_gas : float, optional
        The stars' color excess per color excess of the gas.

    Raises
    ------
    InvalidInputError
        If a parameter is not positive.

    Examples
    --------
    >>> import numpy as np
    >>> from picasssso.sps.dust import Calzetti
    >>> Calzetti().curves(np.array([5500.0]))[0, :, 0].round(2)
    array([1.  , 1.  , 1.74])
    """

    r_v: float = 4.05
    stars_to_gas: float = 0.44

    name = "calzetti"

    def __post_init__(self) -> None:
        if self.r_v <= 0 or self.stars_to_gas <= 0:
            raise InvalidInputError(f"{self} has a parameter that is not positive.")

    def curves(self, wavelength: np.ndarray) -> np.ndarray:
        """Return mag per mag of each parameter, (2, 3, k), at (k,) AA; none of birth clouds."""
        import extinction

        # Shortward of the Lyman limit no law is known, and no light comes through anyway.
        # (maximum also makes the copy that extinction needs: it refuses read-only arrays.)
        wavelength = np.maximum(np.asarray(wavelength, dtype=np.float64), _SHORTEST)
        stars = np.maximum(extinction.calzetti00(wavelength, 1.0, self.r_v), 0.0)
        color_excess = 1.0 / (self.r_v * self.stars_to_gas)
        gas = np.maximum(extinction.ccm89(wavelength, 3.1 * color_excess, 3.1), 0.0)
        diffuse = np.stack([stars, stars, gas])
        return np.stack([diffuse, np.zeros_like(diffuse)])


@dataclass(frozen=True)
class TwoComponent(AttenuationLaw):
    """Diffuse dust and birth clouds (Charlot & Fall 2000, ApJ 539, 718).

    All light is attenuated by diffuse dust; the light of stars younger than 10 Myr and of the
    gas that they ionize also by their birth clouds. Both attenuation curves are power laws.

    Parameters
    ----------
    slope : float, optional
        Exponent of the power law of the diffuse dust.
    birth_cloud_slope : float, optional
        That of the birth clouds: -0.7 in Charlot & Fall, -1.3 in da Cunha et al. (2008).
    birth_cloud_age : float, optional
        Age in yr at which stars have left their clouds.

    Raises
    ------
    InvalidInputError
        If a slope is positive or the age is not.

    Examples
    --------
    >>> import numpy as np
    >>> from picasssso.sps.dust import TwoComponent
    >>> TwoComponent().curves(np.array([11000.0]))[:, :, 0].round(3)
    array([[0.616, 0.616, 0.616],
           [0.   , 0.616, 0.616]])
    """

    slope: float = -0.7
    birth_cloud_slope: float = -0.7
    birth_cloud_age: float = 1e7

    name = "two_component"
    has_birth_clouds = True

    def __post_init__(self) -> None:
        if max(self.slope, self.birth_cloud_slope) > 0 or self.birth_cloud_age <= 0:
            raise InvalidInputError(
                f"{self} makes no sense: expected slopes of at most 0 and a positive age."
            )

    def curves(self, wavelength: np.ndarray) -> np.ndarray:
        """Return mag per mag of each parameter, (2, 3, k), at (k,) AA."""
        ratio = np.asarray(wavelength, dtype=np.float64) / V_WAVELENGTH
        diffuse, clouds = ratio**self.slope, ratio**self.birth_cloud_slope
        none = np.zeros_like(clouds)
        return np.stack([np.stack([diffuse] * 3), np.stack([none, clouds, clouds])])


#: The built-in laws by name.
ATTENUATION_LAWS: dict[str, type[AttenuationLaw]] = {
    law.name: law for law in (Calzetti, TwoComponent)
}


def law_from_dict(law: Mapping[str, Any]) -> AttenuationLaw:
    """Make a built-in law from what `AttenuationLaw.to_dict` returned."""
    parameters = dict(law)
    name = parameters.pop("name")
    return type(get_law(name))(**parameters)


def get_law(law: str | AttenuationLaw) -> AttenuationLaw:
    """Return an attenuation law from its name, or as it is."""
    if isinstance(law, AttenuationLaw):
        return law
    if isinstance(law, str) and law in ATTENUATION_LAWS:
        return ATTENUATION_LAWS[law]()
    raise InvalidInputError(
        f"Unknown attenuation law {law!r}: expected one of {', '.join(ATTENUATION_LAWS)}, or an "
        "AttenuationLaw such as picasssso.sps.dust.TwoComponent(slope=-1.0)."
    )
