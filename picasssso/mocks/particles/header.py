"""Scale factor, cosmology and box of a snapshot, wherever its kind keeps them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from picasssso.exceptions import FileFormatError

if TYPE_CHECKING:
    import h5py

#: 1 / (100 km/s/Mpc) in Gyr.
_HUBBLE_TIME = 9.777922216807892


@dataclass(frozen=True)
class SimulationCosmology:
    """The expansion that a simulation's file states; ``h`` in 100 km/s/Mpc."""

    h: float
    omega_matter: float
    omega_lambda: float
    omega_radiation: float = 0.0

    def cosmic_time(self, scale_factor: np.ndarray | float) -> np.ndarray:
        """Return the time since the Big Bang in Gyr."""
        wanted = np.asarray(scale_factor, dtype=np.float64)
        # dt = da / (a H): the integrand goes as sqrt(a) at early times, so steps are even in
        # the root of a.
        root = np.linspace(0.0, np.sqrt(max(1.0, float(np.max(wanted, initial=1.0)))), 8193)[1:]
        middle = (root - 0.5 * root[0]) ** 2
        curvature = 1.0 - self.omega_matter - self.omega_lambda - self.omega_radiation
        rate = np.sqrt(
            self.omega_matter / middle**3
            + self.omega_radiation / middle**4
            + self.omega_lambda
            + curvature / middle**2
        )
        steps = 2.0 * np.sqrt(middle) * root[0] / (middle * rate)
        time = np.concatenate([[0.0], np.cumsum(steps)]) * _HUBBLE_TIME / self.h
        return np.interp(np.sqrt(wanted), np.concatenate([[0.0], root]), time)

    def age(self, formation: np.ndarray, now: float) -> np.ndarray:
        """Return the ages of stars in Gyr."""
        return self.cosmic_time(now) - self.cosmic_time(formation)


_GROUPS = ("Header", "Cosmology", "Parameters")
_H = ("HubbleParam", "h")
_MATTER = ("Omega0", "Omega_m", "OmegaMatter")
_LAMBDA = ("OmegaLambda", "Omega_lambda", "Omega_Lambda")
_RADIATION = ("Omega_r",)
_SCALE = ("Scale-factor", "ExpansionFactor")


@dataclass(frozen=True)
class SnapshotHeader:
    """What the head of a snapshot says."""

    scale_factor: float
    cosmology: SimulationCosmology
    box_size: float | None
    notes: tuple[str, ...]

    @property
    def redshift(self) -> float:
        """Redshift of the snapshot (float)."""
        return max(1.0 / self.scale_factor - 1.0, 0.0)


def _number(file: h5py.File, names: tuple[str, ...]) -> float | None:
    for group in _GROUPS:
        attributes = file[group].attrs if group in file else {}
        for name in names:
            if name in attributes:
                values = np.ravel(attributes[name])
                if values.size and values.dtype.kind in "iuf":
                    return float(values[0])
    return None


def read_header(file: h5py.File, path: str) -> SnapshotHeader:
    """Read the head of a snapshot."""
    if "Header" not in file:
        raise FileFormatError(
            f"{path} has no group Header, so neither its scale factor nor its cosmology is known."
        )
    notes: list[str] = []
    scale = _number(file, _SCALE)
    redshift = _number(file, ("Redshift",))
    if scale is None and redshift is not None:
        scale = 1.0 / (1.0 + redshift)
    if scale is None:
        # In Gadget's format the time is the scale factor; SWIFT's is not, but SWIFT says a.
        scale = _number(file, ("Time",))
    found = {
        "the scale factor (Scale-factor, ExpansionFactor, Redshift or Time)": scale,
        "the Hubble constant (HubbleParam, or h in Cosmology)": _number(file, _H),
        "the density of matter (Omega0 or Omega_m)": _number(file, _MATTER),
    }
    missing = [name for name, value in found.items() if value is None]
    if missing:
        raise FileFormatError(f"{path}: the header lacks {'; '.join(missing)}.")
    scale, h, matter = found.values()
    assert scale is not None
    assert h is not None
    assert matter is not None
    if not (0.0 < scale <= 1.001 and 0.2 < h < 2.0 and 0.0 < matter <= 1.5):
        raise FileFormatError(
            f"{path}: the head says scale factor {scale:.4g}, h {h:.4g} and a density of matter "
            f"of {matter:.4g}: expected 0-1, about 0.7 and about 0.3."
        )
    radiation = _number(file, _RADIATION) or 0.0
    dark_energy = _number(file, _LAMBDA)
    if dark_energy is None:
        dark_energy = 1.0 - matter - radiation
        notes.append("no density of dark energy in the file: a flat universe is assumed")
    cosmology = SimulationCosmology(h, matter, dark_energy, radiation)
    return SnapshotHeader(min(scale, 1.0), cosmology, _number(file, ("BoxSize",)), tuple(notes))
