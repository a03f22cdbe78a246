r"""The light of described galaxies in any bands at any redshift: tables and their use.

For each age bin and each metallicity of the stellar grid a table holds the light in a few
parts of each band, integrated from the grid's spectra by `picasssso.sps.photometry` for a
constant star formation rate within the bin. Between metallicities light is linear in log
metallicity, as in the stellar grid itself. Dust dims each part of a band at its own mean
wavelength. So a pixel's light is a product of its masses with the tables, and what is
lost against the full spectra (`LightTable` is tested to 0.01 mag) is only the
wavelength dependence of dust within a third of a band.

Light is surface brightness, :math:`f_\nu / \Omega = \Sigma L_\nu / (4 \pi (1 + z)^3)` of a
surface density :math:`\Sigma`: there is no dimming factor besides, and no distance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from picasssso._core.constants import HELIUM
from picasssso._core.safe_files import atomic_write, check_heaps, open_hdf5, read_datasets
from picasssso.exceptions import FileFormatError, InvalidInputError
from picasssso.mocks.age_bins import AGE_CENTERS, AGE_EDGES, N_AGE
from picasssso.mocks.galaxy_maps import Galaxies
from picasssso.pairs.schema import checksum
from picasssso.pairs.truth import TrueSums

if TYPE_CHECKING:
    from picasssso.mocks.model_error import ModelErrors
    from picasssso.sps import SSPGrid
    from picasssso.sps.photometry import GridPhotometry

#: Parts of a band whose dust is treated apart; their borders share the response evenly.
PARTS = 3

#: At which wavelength, in AA, attenuation is defined.
V_WAVELENGTH = 5500.0

#: Redshifts of a table for a range are at most this far apart.
REDSHIFT_STEP = 0.0025

#: Galaxies worked on at once hold about this many pixels: it keeps arrays in the cache.
CHUNK_PIXELS = 45_000
CHUNK_PIXELS_CUDA = 4_000_000


@dataclass(frozen=True, eq=False)
class Light:
    """Surface brightness of galaxies in nmgy/arcsec2, (n, n_band, y, x), and sums of true maps."""

    surface_brightness: torch.Tensor
    truth: TrueSums


def _parts(photometry: GridPhotometry) -> np.ndarray:
    """Return for each slice of each band which part of all bands it belongs to."""
    part = np.zeros(photometry.band_of_slice.size, dtype=int)
    typical = photometry.stars.mean(axis=(0, 1)) / np.maximum(photometry.wavelength[0], 1.0)
    for band in range(len(photometry.bands)):
        inside = photometry.band_of_slice == band
        share = np.cumsum(typical[inside])
        middle = (share - 0.5 * typical[inside]) / share[-1]
        part[inside] = band * PARTS + np.minimum((middle * PARTS).astype(int), PARTS - 1)
    return part


@lru_cache(maxsize=4)
def _built(
    bands: tuple[str, ...],
    curves: tuple[str, ...],
    redshift: tuple[float, float, int],
    grid: SSPGrid,
    nebular: bool,
    progress: bool,
) -> LightTable:
    """Make a table at so many redshifts from one to another; ``curves``: hashes of the bands'."""
    from tqdm import tqdm

    from picasssso.sps.histories import AgeBins, StepHistories
    from picasssso.sps.photometry import V_BAND, GridPhotometry

    redshifts = np.linspace(*redshift)
    weights = StepHistories(AGE_EDGES, np.eye(N_AGE)).age_weights(AgeBins(grid.ages))
    pieces = [
        _summed(GridPhotometry.build(grid, bands, float(z), nebular=nebular), weights)
        for z in tqdm(redshifts, disable=not progress, desc="light tables")
    ]
    v_stars, _, v_wavelength = _summed(
        GridPhotometry.build(grid, [V_BAND], 0.0, nebular=False), weights
    )
    return LightTable(
        bands=bands,
        redshifts=redshifts,
        log_metallicities=np.log10(grid.metallicities),
        stars=np.stack([piece[0] for piece in pieces]),
        gas=np.stack([piece[1] for piece in pieces]),
        wavelength=np.stack([piece[2] for piece in pieces]),
        v_stars=v_stars,
        v_wavelength=v_wavelength,
        surviving=weights @ grid.surviving_fraction.T,
        grid_hash=grid.hash,
    )


def _summed(photometry: GridPhotometry, weights: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return stars' and gas' light by age bin, metallicity and part, and the wavelengths."""
    part = _parts(photometry)
    n_part = len(photometry.bands) * PARTS
    sort = (part[:, None] == np.arange(n_part)).astype(float)
    # (age, metallicity, slice), by products of matrices: einsum takes ten times as long.
    light = np.moveaxis(weights @ photometry.stars, 1, 0)
    glow = np.moveaxis(weights @ photometry.gas, 1, 0)
    stars, gas = light @ sort, glow @ sort
    # Stars in birth clouds and the others differ in color, so where their light lies in a
    # part of a band differs too. Within either group every age bin counts the same, and the
    # metallicities that most stars have.
    usual = slice(stars.shape[1] // 3, None)
    groups = []
    for bins in (slice(1, None), slice(0, 1)):
        total = (light + glow)[bins, usual].sum(axis=2, keepdims=True)
        some = (light[bins, usual] / total).sum(axis=(0, 1))
        other = (glow[bins, usual] / total).sum(axis=(0, 1))
        moment = some * photometry.wavelength[0] + other * photometry.wavelength[1]
        groups.append((moment @ sort) / ((some + other) @ sort))
    return stars, gas, np.stack(groups)


_LN10 = 2.302585092994046


def _true_sums(
    galaxies: Galaxies,
    surviving: torch.Tensor,
    v_light: torch.Tensor,
    v_light_attenuated: torch.Tensor,
) -> TrueSums:
    """Return sums of true maps, of surviving mass (n, n_age, y, x) Msun/kpc2 and V light."""
    ages = torch.as_tensor(AGE_CENTERS / 1e9, dtype=surviving.dtype, device=surviving.device)
    hydrogen = galaxies.hi_mass + galaxies.h2_mass
    mass = surviving.sum(1)
    if galaxies.log_metallicity.shape[1] == 1:
        metals = mass * torch.exp(galaxies.log_metallicity[:, 0] * _LN10)
    else:
        # exp is several times faster than a power.
        metals = torch.exp(galaxies.log_metallicity * _LN10).mul(surviving).sum(1)
    sums = [
        mass,
        metals,
        # A matrix product would round differently in another batch.
        (surviving * ages[:, None, None]).sum(1),
        galaxies.mass_formed[:, :2].sum(1) * 1e-8,
        hydrogen * HELIUM,
        hydrogen * HELIUM * galaxies.gas_metallicity,
        galaxies.hi_mass,
        v_light,
        v_light_attenuated,
    ]
    return TrueSums(torch.stack(sums, dim=1))


@dataclass(eq=False, repr=False)
class LightTable:
    """Light per mass formed in parts of bands, by redshift, age bin and metallicity.

    Make one with `LightTable.build`.

    ``redshifts``: increasing redshifts, of shape (k,); ``log_metallicities``: log10 of the
    grid's mass fractions of metals, of shape (n_z,); ``stars, gas``: surface brightness of 1
    Msun/kpc2 formed in nmgy/arcsec2, of shape (k, n_age, n_z, n_part); ``wavelength``: mean rest
    wavelengths in AA of the parts' light, for stars older than birth clouds and for those in
    them with their gas, of shape (k, 2, n_part); ``v_stars, v_wavelength``: the same for the V
    band at rest, stars only: (n_age, n_z, n_v), (2, n_v); ``surviving``: living stars and
    remnants per mass formed, of shape (n_age, n_z).
    """

    bands: tuple[str, ...]
    redshifts: np.ndarray
    log_metallicities: np.ndarray
    stars: np.ndarray
    gas: np.ndarray
    wavelength: np.ndarray
    v_stars: np.ndarray
    v_wavelength: np.ndarray
    surviving: np.ndarray
    grid_hash: str
    _on_device: dict[str, tuple[torch.Tensor, ...]] = field(default_factory=dict, init=False)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_on_device": {}}

    @classmethod
    def build(
        cls,
        bands: Sequence[str],
        redshift: float | tuple[float, float],
        *,
        grid: SSPGrid | None = None,
        nebular: bool = True,
        progress: bool = False,
    ) -> LightTable:
        """Integrate a stellar grid's spectra over bands; the last few tables are kept."""
        from picasssso.filters.curves import filter_hashes
        from picasssso.sps import SSPGrid

        grid = SSPGrid.default() if grid is None else grid
        low, high = redshift if isinstance(redshift, tuple) else (redshift, redshift)
        if not low <= high:
            raise InvalidInputError(f"redshift={redshift!r} is not a range: expected (low, high).")
        count = int(np.ceil((high - low) / REDSHIFT_STEP - 1e-9)) + 1
        # A name may stand for another curve later.
        return _built(
            tuple(bands), filter_hashes(bands), (low, high, count), grid, nebular, progress
        )

    def _tables(self, device: torch.device) -> tuple[torch.Tensor, ...]:
        """Return light of stars with gas, wavelengths, and both for V, on a device."""
        key = str(device)
        if key not in self._on_device:
            arrays = (self.stars + self.gas, self.wavelength, self.v_stars, self.v_wavelength)
            self._on_device[key] = tuple(
                torch.as_tensor(array, dtype=torch.float32, device=device) for array in arrays
            )
        return self._on_device[key]

    def _at(self, redshift: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return light, wavelengths, and both for V, linear between the table's redshifts."""
        asked = redshift.double().cpu().numpy()
        low, high = self.redshifts[[0, -1]]
        if np.any((asked < low - 1e-6) | (asked > high + 1e-6)):
            raise InvalidInputError(
                f"Galaxies at redshifts {asked.min():.4g} to {asked.max():.4g} were asked for: "
                f"the table of light covers {low:.4g} to {high:.4g}."
            )
        place = np.interp(asked, self.redshifts, np.arange(len(self.redshifts)))
        left = np.minimum(place.astype(int), max(len(self.redshifts) - 2, 0))
        right = np.minimum(left + 1, len(self.redshifts) - 1)
        light, wavelength, v_light, v_wavelength = self._tables(redshift.device)
        rows, after = (torch.as_tensor(k, device=redshift.device) for k in (left, right))
        part = torch.as_tensor(place - left, dtype=light.dtype, device=redshift.device)
        n = len(asked)
        return (
            torch.lerp(light[rows], light[after], part[:, None, None, None]),
            torch.lerp(wavelength[rows], wavelength[after], part[:, None, None]),
            v_light.expand(n, -1, -1, -1),
            v_wavelength.expand(n, -1, -1),
        )

    def light(self, galaxies: Galaxies, errors: ModelErrors | None = None) -> Light:
        """Return light and sums of true maps, differentiable in masses, metals and dust."""
        total, wavelength, v_total, v_wavelength = self._at(galaxies.redshift)
        if errors is not None:
            total = total * errors.stars(wavelength[:, 0])
            v_total = v_total * errors.stars(v_wavelength[:, 0])
        log_ratio = torch.log(torch.cat([wavelength, v_wavelength], dim=2) / V_WAVELENGTH)
        light_tables = torch.cat([total, v_total], dim=-1)
        device, n = galaxies.device, len(galaxies)
        height, width = galaxies.shape
        pixels = CHUNK_PIXELS_CUDA if device.type == "cuda" else CHUNK_PIXELS
        step = max(1, pixels // (height * width))
        chunks = [
            self._chunk(galaxies.select(slice(k, k + step)), light_tables[k : k + step],
                        log_ratio[k : k + step])
            for k in range(0, n, step)
        ]  # fmt: skip
        return Light(
            surface_brightness=torch.cat([chunk[0] for chunk in chunks]),
            truth=TrueSums(torch.cat([chunk[1] for chunk in chunks])),
        )

    def _chunk(
        self, galaxies: Galaxies, tables: torch.Tensor, log_ratio: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        n, (height, width) = len(galaxies), galaxies.shape
        n_z, n_part = len(self.log_metallicities), tables.shape[-1]
        features = self._features(galaxies)
        steps = self._slopes(tables, dim=2).permute(0, 3, 2, 1)  # n, part, metallicity, age
        young_table = steps[..., 0]
        old_table = steps.clone()
        old_table[..., 0] = 0.0
        old_table = old_table.reshape(n, n_part, n_z * N_AGE)
        surviving = torch.as_tensor(self.surviving, dtype=torch.float32, device=tables.device)
        surviving = self._slopes(surviving, dim=1)
        blocks = torch.diag_embed(surviving.T).permute(1, 0, 2).reshape(N_AGE, n_z * N_AGE)
        stacked = torch.cat([old_table, blocks.expand(n, -1, -1)], dim=1)
        flat = features.reshape(n, n_z * N_AGE, height * width)
        product = torch.bmm(stacked, flat)
        old, alive = product[:, :n_part], product[:, n_part:]
        young = torch.bmm(young_table, features[:, :, 0].reshape(n, n_z, height * width))

        # 10^(-0.4 A k) as exp(A * rate); rates by dust, stars' group and part.
        rate = torch.exp(galaxies.attenuation_slope[:, :, None, None] * log_ratio[:, None])
        rate = rate * (-0.4 * np.log(10.0))
        dust = galaxies.attenuation.reshape(n, 2, height * width)
        through = torch.exp(rate[:, 0, 0, :, None] * dust[:, :1])
        clouds = torch.exp(torch.bmm(rate[:, :, 1].transpose(1, 2), dust))
        seen = torch.addcmul(young * clouds, old, through)
        n_band = len(self.bands)
        bands = seen[:, : n_band * PARTS].reshape(n, n_band, PARTS, height, width).sum(2)
        shape = (n, height, width)
        v_seen = seen[:, n_band * PARTS :].sum(1).reshape(shape)
        v_light = (old + young)[:, n_band * PARTS :].sum(1).reshape(shape)
        alive = alive.reshape(n, N_AGE, height, width)
        return bands, _true_sums(galaxies, alive, v_light, v_seen).sums

    def _features(self, galaxies: Galaxies) -> torch.Tensor:
        """Return mass, and mass times log metallicity within each interval of the nodes.

        Of shape (n, n_z, n_age, pixels). What is linear between nodes is linear in these.
        """
        n, n_age, height, width = galaxies.mass_formed.shape
        mass = galaxies.mass_formed.reshape(n, n_age, -1)
        metallicity = galaxies.log_metallicity.reshape(n, -1, height * width)
        pieces = [mass]
        for low, high in pairwise(self.log_metallicities):
            pieces.append(metallicity.clamp(float(low), float(high)) * mass)
        return torch.stack(pieces, dim=1)

    def _slopes(self, values: torch.Tensor, dim: int) -> torch.Tensor:
        """Return by what `_features` are multiplied to interpolate values at the nodes."""
        nodes = torch.as_tensor(
            self.log_metallicities, dtype=values.dtype, device=values.device
        ).reshape(-1, *[1] * (values.ndim - 1 - dim))
        slopes = torch.diff(values, dim=dim) / torch.diff(nodes, dim=0)
        start = values.narrow(dim, 0, 1)
        # One by one: a sum over an axis would round differently in another batch.
        for k, term in enumerate(slopes.unbind(dim)):
            start = start - (term * float(self.log_metallicities[k])).unsqueeze(dim)
        return torch.cat([start, slopes], dim=dim)

    def surviving_fraction(self, mass_formed: np.ndarray, log_metallicity: float) -> np.ndarray:
        """Return surviving mass per mass formed, (n,), of masses by age bin, (n, n_age)."""
        fractions = [np.interp(log_metallicity, self.log_metallicities, s) for s in self.surviving]
        return mass_formed @ np.array(fractions) / mass_formed.sum(axis=1)


#: What a file holds of a table.
_ARRAYS = (
    "redshifts", "log_metallicities", "stars", "gas", "wavelength", "v_stars", "v_wavelength",
    "surviving",
)  # fmt: skip


def write_light_table(path: Path, table: LightTable) -> None:
    """Write a table of light."""
    import h5py

    with atomic_write(path, overwrite=True) as temporary, h5py.File(temporary, "w") as file:
        for name in _ARRAYS:
            value = getattr(table, name)
            data = file.create_dataset(name, data=value, track_times=False)
            data.attrs["sha256"] = checksum(value)
        file.attrs["bands"], file.attrs["grid_hash"] = list(table.bands), table.grid_hash


def read_light_table(path: Path) -> LightTable:
    """Read a table of light."""
    with open_hdf5(path) as file:
        data = read_datasets(file)
        check_heaps(path)
        lacking = {*_ARRAYS, "bands", "grid_hash"} - {*data, *file.attrs}
        if lacking or set(data) != set(_ARRAYS):
            raise FileFormatError(
                f"{path} is not a table of light: it lacks "
                f"{', '.join(sorted(lacking)) or 'nothing'}."
            )
        arrays = {name: values[()] for name, values in data.items()}
        sums = {name: str(values.attrs["sha256"]) for name, values in data.items()}
        bands = tuple(str(band) for band in file.attrs["bands"])
        table = LightTable(bands=bands, grid_hash=str(file.attrs["grid_hash"]), **arrays)
    wrong = [name for name, values in arrays.items() if checksum(values) != sums[name]]
    if wrong:
        raise FileFormatError(f"{path} is damaged: checksums of {', '.join(wrong)} do not fit.")
    return table
