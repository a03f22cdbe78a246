"""Reading snapshots of simulations, or galaxies cut out of them."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from picasssso._core.arguments import check_choice
from picasssso._core.safe_files import open_hdf5
from picasssso.exceptions import FileFormatError, InvalidInputError, PicassssoWarning
from picasssso.mocks.particles.components import GasParticles, StarParticles
from picasssso.mocks.particles.header import SnapshotHeader, read_header
from picasssso.mocks.particles.hydrogen import (
    STAR_FORMING_TEMPERATURE,
    molecular_fraction,
    neutral_fraction,
    star_formation_pressure,
)
from picasssso.mocks.particles.layouts import Layout, layouts, recognize
from picasssso.mocks.particles.particles import Particles
from picasssso.mocks.particles.smoothing import neighbor_distance

if TYPE_CHECKING:
    import h5py

# Units in cgs into which each kind of quantity is brought: kpc, Msun, Msun/yr, km/s.
_INTO = {
    "length": 3.0856775814913673e21,
    "mass": 1.988409870698051e33,
    "rate": 1.988409870698051e33 / 3.15576e7,
    "velocity": 1e5,
    "density": 1.0,
    "energy": 1.0,
}
_KINDS = {
    "position": "length",
    "mass": "mass",
    "initial_mass": "mass",
    "velocity": "velocity",
    "rate": "rate",
    "density": "density",
    "energy": "energy",
}
_PROTON = 1.67262192e-24
_BOLTZMANN = 1.380649e-16
_PRIMORDIAL_HYDROGEN = 0.76
_KPC3 = _INTO["length"] ** 3


class _Reader:
    """Reads one group of particles in physical units."""

    def __init__(
        self, group: h5py.Group, layout: Layout, head: SnapshotHeader, path: str, part: slice
    ) -> None:
        self.group, self.layout, self.head, self.path, self.part = group, layout, head, path, part
        self.names = layout.stars if group.name == "/PartType4" else layout.gas

    def has(self, what: str) -> bool:
        return any(name in self.group for name in self.names.get(what, ()))

    def find(self, what: str) -> h5py.Dataset:
        return next(self.group[name] for name in self.names[what] if name in self.group)

    def require(self, wanted: Sequence[str]) -> None:
        missing = [" or ".join(self.names[what]) for what in wanted if not self.has(what)]
        if missing:
            raise FileFormatError(
                f"{self.path}: {self.group.name} lacks {', '.join(missing)}, which a file of "
                f"{self.layout.name} has; it holds {', '.join(sorted(self.group)) or 'nothing'}."
            )
        lengths = {what: self.find(what).shape[0] for what in wanted if self.find(what).shape}
        if len(set(lengths.values())) > 1:
            raise FileFormatError(
                f"{self.path}: data sets of {self.group.name} differ in length: "
                + ", ".join(f"{self.find(w).name} {n}" for w, n in lengths.items())
                + ". The file is damaged or was cut wrongly."
            )

    def unit(self, dataset: h5py.Dataset, kind: str) -> float:
        """Return what to multiply a data set with to bring it into our units."""
        cgs_name, a_name, h_name = self.layout.attributes
        if kind in self.layout.fixed:
            cgs, a, h = self.layout.fixed[kind]
        elif all(name in dataset.attrs for name in self.layout.attributes):
            cgs, a, h = (
                float(np.ravel(dataset.attrs[name])[0]) for name in (cgs_name, a_name, h_name)
            )
        elif kind in self.layout.defaults:
            cgs, a, h = self.layout.defaults[kind]
        else:
            lacking = [name for name in self.layout.attributes if name not in dataset.attrs]
            raise FileFormatError(
                f"{self.path}: the unit of {dataset.name} is not known; its attributes lack "
                f"{', '.join(map(repr, lacking))}."
            )
        factor = cgs * self.head.scale_factor**a * self.head.cosmology.h**h / _INTO[kind]
        if not (np.isfinite(factor) and factor > 0):
            raise FileFormatError(
                f"{self.path}: the attributes of {dataset.name} give a unit of {factor:g}: "
                "expected a positive number."
            )
        return factor

    def read(self, what: str) -> np.ndarray:
        dataset = self.find(what)
        values = np.asarray(dataset[self.part], dtype=np.float64)
        if not np.isfinite(values).all():
            raise FileFormatError(
                f"{self.path}: {dataset.name} holds {np.count_nonzero(~np.isfinite(values))} "
                "values that are not finite."
            )
        kind = _KINDS.get(what)
        if kind in ("length", "velocity") and (values.ndim != 2 or values.shape[1] != 3):
            raise FileFormatError(
                f"{self.path}: {dataset.name} has shape {values.shape}: expected (n, 3)."
            )
        if kind in ("mass", "density") and (values < 0).any():
            raise FileFormatError(f"{self.path}: {dataset.name} holds negative values.")
        return values if kind is None else values * self.unit(dataset, kind)

    def metallicity(self, mass: np.ndarray) -> np.ndarray:
        values = self.read("metallicity")
        if self.layout.metal_masses:
            # All but helium, the first.
            metals = values[:, 1:].sum(axis=1) * self.unit(self.find("metallicity"), "mass")
            values = metals / np.maximum(mass, 1e-30)
        if (values < 0).any() or (values > 1).any():
            raise FileFormatError(
                f"{self.path}: {self.find('metallicity').name} reaches from {values.min():.3g} to "
                f"{values.max():.3g}: expected mass fractions between 0 and 1."
            )
        return values


def _read_stars(reader: _Reader) -> tuple[StarParticles, list[str]]:
    notes = []
    reader.require(("position", "mass", "formation", "metallicity"))
    mass = reader.read("mass")
    if reader.has("initial_mass"):
        reader.require(("position", "initial_mass"))
        initial = reader.read("initial_mass")
    else:
        initial = np.full(mass.shape, np.nan)
        notes.append("no initial masses in the file: computed from the masses")
    formation = reader.read("formation")
    # Illustris marks particles of the galactic wind, which are gas, with times of 0 or less.
    stars = formation > 0
    now = reader.head.scale_factor
    late = formation > now * 1.001
    if late.any():
        raise FileFormatError(
            f"{reader.path}: {np.count_nonzero(late)} stars form after the snapshot's scale "
            f"factor of {now:.4g}, at up to {formation.max():.4g}: expected formation times as "
            "scale factors."
        )
    metallicity = reader.metallicity(np.where(np.isfinite(initial), initial, mass))
    age = reader.head.cosmology.age(np.minimum(formation, now)[stars], now)
    velocity = reader.read("velocity")[stars] if reader.has("velocity") else None
    if (dropped := np.count_nonzero(~stars)) > 0:
        notes.append(f"{dropped} wind particles left out")
    result = StarParticles(
        position=reader.read("position")[stars],
        mass=mass[stars],
        initial_mass=initial[stars],
        age=np.maximum(age, 0.0),
        metallicity=metallicity[stars],
        velocity=velocity,
    )
    if len(result.mass) == 0:
        raise FileFormatError(f"{reader.path}: {reader.group.name} holds no stars.")
    return result, notes


def _hydrogen_fraction(reader: _Reader, metallicity: np.ndarray) -> np.ndarray:
    if reader.has("hydrogen"):
        return reader.read("hydrogen")
    if reader.has("elements"):
        elements = reader.find("elements")
        if len(getattr(elements, "shape", ())) == 2:
            return np.asarray(elements[reader.part, 0], dtype=np.float64)
    return _PRIMORDIAL_HYDROGEN * (1.0 - metallicity)


def _temperature(reader: _Reader, hydrogen: np.ndarray) -> np.ndarray | None:
    if reader.has("temperature"):
        return reader.read("temperature")
    if not reader.has("energy"):
        return None
    # Electrons per hydrogen atom; without them, about those of warm gas.
    electrons = reader.read("electrons") if reader.has("electrons") else np.ones(len(hydrogen))
    weight = 4.0 / (1.0 + 3.0 * hydrogen + 4.0 * hydrogen * electrons)
    return reader.read("energy") * (2.0 / 3.0) * weight * _PROTON / _BOLTZMANN


def _species(reader: _Reader, file: h5py.File) -> dict[str, np.ndarray]:
    """Return what SWIFT files with chemistry keep: HI and H2 per hydrogen nucleus."""
    if not reader.has("species"):
        return {}
    species = reader.find("species")
    if not hasattr(species, "shape"):
        return {
            name: np.asarray(species[name][reader.part], dtype=np.float64)
            for name in ("HI", "H2")
            if name in species
        }
    columns = file.get("SubgridScheme/NamedColumns/SpeciesFractions")
    if columns is None:
        return {}
    names = [bytes(name).decode().strip("\0 ") for name in np.ravel(columns[()])]
    return {
        name: np.asarray(species[reader.part, names.index(name)], dtype=np.float64)
        for name in ("HI", "H2")
        if name in names
    }


def _read_gas(reader: _Reader, file: h5py.File) -> tuple[GasParticles, list[str]]:
    notes = []
    reader.require(("position", "mass", "metallicity", "rate"))
    position, mass = reader.read("position"), reader.read("mass")
    metallicity = reader.metallicity(mass)
    # SWIFT stores minus the last time of star formation where there is none now.
    rate = np.maximum(reader.read("rate"), 0.0)
    forming = rate > 0
    hydrogen = _hydrogen_fraction(reader, metallicity)
    species = _species(reader, file)
    if "HI" in species and "H2" in species:
        notes.append("HI and H2 as in the file")
        hi = mass * hydrogen * species["HI"]
        h2 = mass * hydrogen * 2.0 * species["H2"]
        return GasParticles(position, mass, metallicity, rate, hi, h2), notes
    if reader.has("density"):
        density = reader.read("density")
    else:
        distance = np.maximum(neighbor_distance(position), 1e-3)
        count = min(17, max(len(mass), 1))
        density = count * mass / (4.0 / 3.0 * np.pi * distance**3) * _INTO["mass"] / _KPC3
        notes.append("no gas density in the file: from the distances of 16 neighbors")
    number = density * hydrogen / _PROTON
    temperature = _temperature(reader, hydrogen)
    if temperature is None:
        notes.append("no gas temperature in the file: 10,000 K")
        temperature = np.full(mass.shape, STAR_FORMING_TEMPERATURE)
        measured = np.zeros(mass.shape, dtype=bool)
    else:
        measured = np.full(mass.shape, reader.has("density"))
    # Particles of star-forming gas stand for cold clouds in warm gas.
    warm = np.where(forming, np.minimum(temperature, STAR_FORMING_TEMPERATURE), temperature)
    neutral = neutral_fraction(number, warm, reader.head.redshift)
    if reader.has("neutral"):
        # What the file says of star-forming gas is that of its effective temperature.
        neutral = np.where(forming, neutral, np.clip(reader.read("neutral"), 0.0, 1.0))
        notes.append("neutral fractions as in the file, of star-forming gas Rahmati et al. (2013)")
    else:
        notes.append("neutral fractions from Rahmati et al. (2013)")
    # Atoms per hydrogen nucleus: with helium, 1 + (1 - X) / (4 X).
    atoms = 1.0 + (1.0 - hydrogen) / (4.0 * np.maximum(hydrogen, 1e-3))
    thermal = number * atoms * temperature
    pressure = np.where(measured | ~forming, thermal, star_formation_pressure(mass, rate))
    molecular = molecular_fraction(pressure)
    notes.append("molecular fractions from Blitz & Rosolowsky (2006)")
    cold = mass * hydrogen * neutral
    return GasParticles(
        position, mass, metallicity, rate, cold * (1.0 - molecular), cold * molecular
    ), notes


def _subhalo(
    catalog: str | os.PathLike[str], subhalo: int, counts: dict[str, int]
) -> tuple[dict[str, slice], np.ndarray]:
    """Return which particles belong to a subhalo, and its position in the file's unit."""
    with open_hdf5(catalog) as file:
        for name in ("Subhalo/SubhaloLenType", "Subhalo/SubhaloPos"):
            if name not in file:
                raise FileFormatError(f"{catalog} lacks {name}: no table of subhaloes.")
        lengths = np.asarray(file["Subhalo/SubhaloLenType"][()], dtype=np.int64)
        positions = np.asarray(file["Subhalo/SubhaloPos"][()], dtype=np.float64)
    if not 0 <= subhalo < len(lengths):
        raise InvalidInputError(
            f"subhalo={subhalo} is not in {catalog}: it holds 0 to {len(lengths) - 1}."
        )
    slices = {}
    for kind, column in (("PartType0", 0), ("PartType4", 4)):
        total = int(lengths[:, column].sum())
        if total > counts.get(kind, 0):
            raise FileFormatError(
                f"{catalog} counts {total} particles of {kind}: the snapshot has "
                f"{counts.get(kind, 0)}. They do not belong together, or the snapshot is one of "
                "several files: join those first."
            )
        start = int(lengths[:subhalo, column].sum())
        slices[kind] = slice(start, start + int(lengths[subhalo, column]))
    if slices["PartType4"].start == slices["PartType4"].stop:
        raise InvalidInputError(f"subhalo={subhalo} of {catalog} has no stars.")
    return slices, positions[subhalo]


def _shrinking_sphere(position: np.ndarray, mass: np.ndarray) -> np.ndarray:
    """Return the densest place (Power et al. 2003, MNRAS 338, 14)."""
    center = np.median(position, axis=0)
    radius = float(np.sqrt(((position - center) ** 2).sum(axis=1)).max())
    least = 1e-9 * radius  # many may be in one place, or one infinitely far
    while True:
        inside = ((position - center) ** 2).sum(axis=1) <= radius**2
        if inside.sum() < max(20, 0.01 * len(position)) or radius <= least:
            return center
        center = np.average(position[inside], axis=0, weights=mass[inside])
        radius *= 0.9


def read_particles(
    path: str | os.PathLike[str],
    *,
    layout: str | None = None,
    center: Sequence[float] | np.ndarray | None = None,
    radius: float | None = None,
    catalog: str | os.PathLike[str] | None = None,
    subhalo: int | None = None,
) -> Particles:
    """Read the stars and the gas of a galaxy from a simulation's file.

    The layout is recognized from the file, units come from it with its h and scale factor,
    and ages from its own cosmology. What it does not hold is computed, and said in `notes`.

    Parameters
    ----------
    path : str or path-like
        An HDF5 snapshot, or a galaxy cut out of one, in one file.
    layout : {"EAGLE", "Illustris", "SWIFT", "Magneticum"}, optional
        The layout, if it is not to be recognized.
    center : sequence of float, optional
        Center of the galaxy in the file's own unit of length. The densest place of the
        stars, or the subhalo's position, if not given.
    radius : float, optional
        Only particles inside this radius in kpc are kept.
    catalog : str or path-like, optional
        For Illustris: a file with the table of subhaloes, whose particles stand in the
        snapshot one subhalo after the other.
    subhalo : int, optional
        Which of them to read.

    Returns
    -------
    Particles
        Stars and gas about the center, in kpc, Msun and Gyr.

    Raises
    ------
    FileFormatError
        If the file is missing, damaged, of an unknown layout or lacks something; the
        message says what.
    InvalidInputError
        If an argument makes no sense.

    Examples
    --------
    >>> from picasssso.mocks import read_particles
    >>> read_particles("galaxy.hdf5", radius=30)  # doctest: +SKIP
    <Particles of EAGLE 'galaxy.hdf5': 400 stars of 6e+10 Msun, 200 gas of 3e+10 Msun, z = 0.03>
    """
    name = os.fspath(path)
    if layout is not None:
        check_choice("layout", layout, layouts())
    if (catalog is None) != (subhalo is None):
        raise InvalidInputError("catalog and subhalo belong together: give both or neither.")
    with open_hdf5(path) as file:
        kind = recognize(file, name) if layout is None else layouts()[layout]
        head = read_header(file, name)
        if "PartType4" not in file:
            raise FileFormatError(f"{name} has no group PartType4 (star particles).")
        _warn_of_parts(file, name)
        everything = {"PartType0": slice(None), "PartType4": slice(None)}
        if catalog is not None and subhalo is not None:
            counts = {
                group: file[group][kind.stars["position"][0]].shape[0]
                for group in everything
                if group in file and kind.stars["position"][0] in file[group]
            }
            everything, place = _subhalo(catalog, subhalo, counts)
            center = place if center is None else center
        reader = _Reader(file["PartType4"], kind, head, name, everything["PartType4"])
        stars, notes = _read_stars(reader)
        gas = GasParticles.empty()
        if "PartType0" in file and len(file["PartType0"]):
            gas_reader = _Reader(file["PartType0"], kind, head, name, everything["PartType0"])
            gas, gas_notes = _read_gas(gas_reader, file)
            notes += gas_notes
        else:
            notes.append("no gas in the file")
        kpc = reader.unit(reader.find("position"), "length")
        middle = _center(center, kpc, name)
        box = None if head.box_size is None else head.box_size * kpc
    return _cut(
        Particles(
            stars=stars,
            gas=gas,
            redshift=head.redshift,
            cosmology=head.cosmology,
            layout=kind.name,
            source=os.path.basename(name),
            notes=(*head.notes, *notes),
        ),
        middle,
        box,
        radius,
        name,
    )


def _warn_of_parts(file: h5py.File, name: str) -> None:
    count = np.ravel(file["Header"].attrs.get("NumFilesPerSnapshot", [1]))
    if count.size and int(count[0]) > 1:
        warnings.warn(
            f"{name} is one of {int(count[0])} files of a snapshot: galaxies may be cut.",
            PicassssoWarning,
            stacklevel=4,
        )


def _center(
    center: Sequence[float] | np.ndarray | None, kpc: float, name: str
) -> np.ndarray | None:
    if center is None:
        return None
    given = np.asarray(center, dtype=np.float64)
    if given.shape != (3,) or not np.isfinite(given).all():
        raise InvalidInputError(
            f"center={center!r} is not a position: expected three finite numbers in the unit of "
            f"length of {name}."
        )
    return given * kpc


def _cut(
    particles: Particles,
    center: np.ndarray | None,
    box: float | None,
    radius: float | None,
    name: str,
) -> Particles:
    if radius is not None and not radius > 0:
        raise InvalidInputError(f"radius={radius!r} cannot be used: expected kpc above 0.")
    stars = particles.stars.position
    first = stars[0] if center is None else center

    def unwrap(position: np.ndarray, middle: np.ndarray) -> np.ndarray:
        offset = position - middle
        return offset if box is None else offset - box * np.round(offset / box)

    offset = unwrap(stars, first)
    shift = _shrinking_sphere(offset, particles.stars.mass) if center is None else np.zeros(3)
    gas = unwrap(particles.gas.position, first + shift)
    moved = replace(
        particles,
        stars=replace(particles.stars, position=offset - shift),
        gas=replace(particles.gas, position=gas),
    )
    if radius is None:
        return moved
    result = moved.within(radius)
    if len(result.stars.mass) == 0:
        raise InvalidInputError(
            f"{name} has no stars within {radius:g} kpc of the center: the nearest is at "
            f"{np.sqrt((moved.stars.position**2).sum(axis=1)).min():.3g} kpc."
        )
    return result
