"""Tables of published values, in the layouts that the documentation describes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from picasssso._core.before_opening import check_before_opening
from picasssso._core.safe_files import short
from picasssso.evaluation.real.painting import GalaxyProfile
from picasssso.exceptions import FileFormatError, InvalidInputError

if TYPE_CHECKING:
    from astropy.table import Row, Table

FloatArray = npt.NDArray[np.floating]

#: Bands of the columns of fluxes of the NASA-Sloan Atlas, in their order.
GALAXY_BANDS = ("galex-fuv", "galex-nuv", *(f"sdss2010-{band}" for band in "ugriz"))
#: Pixel of the atlas's images in arcsec.
_PIXEL = 0.396
_PROFILE_COLUMNS = (
    "nsa_id", "redshift", "flux", "flux_ivar", "galactic_extinction", "profile_flux",
    "profile_radius", "sersic_r50", "axis_ratio", "position_angle",
)  # fmt: skip
#: Which column tells that a galaxy is of a kind.
_KINDS = {"gswlc": "log_mass", "firefly": "firefly_mw_age_1re", "hi": "log_hi_mass"}


def read_table(path: str | os.PathLike[str], columns: Sequence[str]) -> Table:
    """Read a table and check that it has the columns that are needed."""
    from astropy.table import Table

    if not Path(path).is_file():
        raise FileFormatError(
            f"There is no catalog {path}: give the folder that holds it as data, or leave its "
            "part out of the configuration."
        )
    if ".fits" in Path(path).suffixes:
        check_before_opening(path, "Catalog")
    try:
        table = Table.read(path)
    except Exception as error:  # whatever the reader of some format raises
        raise FileFormatError(f"{path} cannot be read as a table: {short(error)}.") from error
    missing = [name for name in columns if name not in table.colnames]
    if missing:
        raise FileFormatError(
            f"{path} lacks the columns {', '.join(missing)}; it has {', '.join(table.colnames)}."
        )
    return table


def column(table: Table, name: str) -> FloatArray:
    """Return a column as plain numbers."""
    if name not in table.colnames:
        return np.full(len(table), np.nan)
    return np.ma.filled(np.ma.asarray(table[name]).astype(float), np.nan)


@dataclass(frozen=True, eq=False)
class GalaxyCatalog:
    """Galaxies of the NASA-Sloan Atlas with values of other catalogs.

    ``table``: columns ``nsa_id``, ``redshift``, ``flux`` and ``flux_ivar`` (7 bands of
    `GALAXY_BANDS`, nmgy, corrected for Galactic extinction), ``galactic_extinction`` (mag),
    ``profile_flux`` (annuli, bands; nmgy per pixel of 0.396 arcsec, not corrected),
    ``profile_radius`` and ``sersic_r50`` (arcsec), ``axis_ratio``, ``position_angle`` (degrees).
    """

    table: Table

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> GalaxyCatalog:
        """Read the catalog."""
        return cls(read_table(path, _PROFILE_COLUMNS))

    def __len__(self) -> int:
        return len(self.table)

    def values(self, name: str, numbers: npt.ArrayLike | None = None) -> FloatArray:
        """Return a column, NaN where it says nothing."""
        found = column(self.table, name)
        return found if numbers is None else found[np.asarray(numbers, dtype=int)]

    def choose(self, counts: dict[str, int], seed: int = 0) -> list[int]:
        """Choose galaxies at random."""
        unknown = [kind for kind in counts if kind not in _KINDS]
        if unknown:
            raise InvalidInputError(
                f"counts names {', '.join(map(repr, unknown))}: expected some of "
                f"{', '.join(_KINDS)}."
            )
        order = np.random.default_rng(seed).permutation(len(self))
        chosen: dict[int, None] = {}
        for kind, count in counts.items():
            there = np.isfinite(self.values(_KINDS[kind]))
            chosen |= dict.fromkeys(int(k) for k in order[there[order]][: int(count)])
        return list(chosen)

    def profile(self, number: int, bands: Sequence[str]) -> GalaxyProfile:
        """Return the profile of a galaxy."""
        row: Row = self.table[number]
        place = [GALAXY_BANDS.index(band) for band in bands]
        flux = np.ma.filled(np.ma.asarray(row["profile_flux"]).astype(float), 0.0).T
        return GalaxyProfile(
            tuple(bands),
            np.asarray(row["profile_radius"], dtype=float),
            np.nan_to_num(flux[place]) / _PIXEL**2,
            float(np.clip(row["axis_ratio"], 0.05, 1.0)),
            float(row["position_angle"]),
        )

    def per_band(self, number: int, name: str, bands: Sequence[str]) -> Any:
        """Return what a column of bands says of a galaxy."""
        place = [GALAXY_BANDS.index(band) for band in bands]
        return np.asarray(self.table[name][number], dtype=float)[place]
