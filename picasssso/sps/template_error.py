"""What a stellar grid gets wrong by rest-frame wavelength: a correction and what is left.

Galaxies whose ages, metals and dust are known from elsewhere show by how much a grid's
colors are off. As in EAZY (Brammer, van Dokkum & Coppi 2008, ApJ 686, 1503, section 2.3)
this is a smooth function of rest wavelength: its mean is taken off the models
(`TemplateError.correction`), its scatter and what is uncertain of the mean stay as an error
of the models (`TemplateError.error`). Both come from quiescent galaxies of the NASA-Sloan
Atlas as one curve for all, written by ``benchmarks/stellar_grids.py``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from picasssso._core.safe_files import packaged_text, read_text, short
from picasssso.exceptions import FileFormatError, InvalidInputError
from picasssso.filters.curves import pivot_wavelength

FloatArray = npt.NDArray[np.float64]

#: Number of the file format that is read and written, and the packaged file.
FORMAT = 1
_PACKAGED = "template_error.json"

#: The grid whose error stands for that of grids that were not judged.
_DEFAULT_GRID = "PopStar"

_MAG = 0.4 * np.log(10.0)


@dataclass(frozen=True)
class TemplateError:
    """Correction and error of the light of a stellar grid by rest-frame wavelength.

    Parameters
    ----------
    grid : str
        Name of the grid that the correction belongs to.
    name : str
        Name of the correction, which a corrected grid appends to its own.
    wavelength : tuple of float
        Increasing rest wavelengths of the nodes in AA.
    correction : tuple of float
        Correction of the magnitudes of old stars at each node, mag.
    error : tuple of float
        Standard deviation of the remaining error at each node, mag, for stars of all ages.
    ages : tuple of float, optional
        Ages in yr below which stars are not corrected, and above which they are fully corrected;
        in between the correction increases linearly with log age.
    source : str, optional
        Origin of the curves.

    Raises
    ------
    InvalidInputError
        If lengths differ, wavelengths or ages do not increase, a number is not finite, or
        an error is negative or 1 mag and more.

    Notes
    -----
    Between nodes both curves are monotone cubics in log wavelength (Fritsch & Butland 1984,
    SIAM J. Sci. Stat. Comput. 5, 300); beyond the first and the last node they are constant.

    Examples
    --------
    >>> from picasssso.sps import TemplateError
    >>> curve = TemplateError(
    ...     grid="PopStar", name="example", wavelength=(4000.0, 6000.0, 9000.0),
    ...     correction=(-0.05, 0.0, 0.05), error=(0.03, 0.01, 0.03))
    >>> curve.correction_at([3000.0, 6000.0, 9000.0]).tolist()
    [-0.05, 0.0, 0.05]
    """

    grid: str
    name: str
    wavelength: tuple[float, ...]
    correction: tuple[float, ...]
    error: tuple[float, ...]
    ages: tuple[float, float] = (5e8, 2e9)
    source: str = ""

    def __post_init__(self) -> None:
        for name in ("wavelength", "correction", "error", "ages"):
            try:
                values = tuple(float(value) for value in getattr(self, name))
            except (TypeError, ValueError):
                raise InvalidInputError(
                    f"{name}={getattr(self, name)!r} of a template error: expected numbers."
                ) from None
            if not np.all(np.isfinite(values)):
                raise InvalidInputError(
                    f"{name}={values} of a template error: expected finite numbers."
                )
            object.__setattr__(self, name, values)
        counts = {len(self.wavelength), len(self.correction), len(self.error)}
        if len(counts) != 1 or len(self.wavelength) < 2 or len(self.ages) != 2:
            raise InvalidInputError(
                f"A template error has {len(self.wavelength)} wavelengths, "
                f"{len(self.correction)} corrections, {len(self.error)} errors and "
                f"{len(self.ages)} ages: expected as many of the first three, at least 2, and 2 "
                "ages."
            )
        for name in ("wavelength", "ages"):
            values = getattr(self, name)
            if values[0] <= 0 or np.any(np.diff(values) <= 0):
                raise InvalidInputError(
                    f"{name}={values} of a template error must be positive and increase."
                )
        if min(self.error) < 0 or max(self.error) >= 1:
            raise InvalidInputError(
                f"error={self.error} of a template error: expected 0 <= error < 1 mag."
            )

    @classmethod
    def for_grid(cls, grid: str = _DEFAULT_GRID) -> TemplateError:
        """Return the packaged correction and error of a grid.

        Parameters
        ----------
        grid : str, optional
            Name of the grid, such as ``"PopStar"`` or ``"BC03-MILES"``, corrected or not.

        Returns
        -------
        TemplateError
            Both curves. Other grids have the errors of PopStar and no correction.

        Examples
        --------
        >>> from picasssso.sps import TemplateError
        >>> TemplateError.for_grid("PopStar").grid
        'PopStar'
        >>> set(TemplateError.for_grid("my own grid").correction)
        {0.0}
        """
        known = _packaged()
        if grid in known:
            return known[grid]
        for judged in known.values():
            if grid == f"{judged.grid}+{judged.name}":
                return judged
        other = known[_DEFAULT_GRID]
        return cls(
            grid=grid,
            name="none",
            wavelength=other.wavelength,
            correction=(0.0,) * len(other.wavelength),
            error=other.error,
            ages=other.ages,
            source=f"not judged: the errors of {_DEFAULT_GRID}",
        )

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> TemplateError:
        """Read a file that `write` wrote.

        Parameters
        ----------
        path : path-like
            The file.

        Returns
        -------
        TemplateError
            The correction and error.

        Raises
        ------
        FileFormatError
            If the file cannot be read, is not such a file or of a newer format, or holds
            more than one grid's.
        """
        try:
            text = read_text(path)
        except OSError as error:
            raise FileFormatError(
                f"{path} cannot be read as a template error: {error}."
            ) from error
        found = _parsed(text, str(path))
        if len(found) != 1:
            raise FileFormatError(
                f"{path} holds template errors of {', '.join(found) or 'no grid'}: expected one."
            )
        return next(iter(found.values()))

    def write(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write the curves as JSON.

        Parameters
        ----------
        path : path-like
            The file.
        overwrite : bool, optional
            Whether to replace an existing file.

        Raises
        ------
        FileFormatError
            If the file exists or cannot be written.
        """
        write_template_errors([self], path, overwrite=overwrite)

    def _to_dict(self) -> dict[str, Any]:
        """Return the curves as plain numbers, for files."""
        return asdict(self)

    @classmethod
    def _from_dict(cls, values: Mapping[str, Any]) -> TemplateError:
        """Make one from what `_to_dict` returned."""
        known = {field.name for field in fields(cls)}
        unknown, missing = sorted(set(values) - known), sorted(known - set(values))
        if unknown or missing:
            raise InvalidInputError(
                f"A template error got unknown {unknown} and lacks {missing}: expected "
                f"{sorted(known)}."
            )
        return cls(**values)

    def _fraction_corrected(self, age: npt.ArrayLike) -> FloatArray:
        """Return the fraction of the correction at ages in yr: 0 for young stars, 1 for old."""
        low, high = np.log(self.ages)
        age = np.maximum(np.asarray(age, dtype=np.float64), 1.0)
        return np.clip((np.log(age) - low) / (high - low), 0.0, 1.0)

    def correction_at(self, wavelength: npt.ArrayLike) -> FloatArray:
        """Return the correction of the magnitudes of old stars.

        Parameters
        ----------
        wavelength : array-like
            Rest wavelengths in AA, of any shape.

        Returns
        -------
        ndarray
            In mag, of the same shape; positive where the grid is too bright.
        """
        return self._interpolated(self.correction, wavelength)

    def error_at(self, wavelength: npt.ArrayLike) -> FloatArray:
        """Return the error of the models' magnitudes.

        Parameters
        ----------
        wavelength : array-like
            Rest wavelengths in AA, of any shape.

        Returns
        -------
        ndarray
            Standard deviation in mag, of the same shape.
        """
        return self._interpolated(self.error, wavelength)

    def _interpolated(self, values: tuple[float, ...], wavelength: npt.ArrayLike) -> FloatArray:
        from scipy.interpolate import PchipInterpolator

        nodes = np.log(self.wavelength)
        where = np.clip(np.log(np.asarray(wavelength, dtype=np.float64)), nodes[0], nodes[-1])
        return np.asarray(PchipInterpolator(nodes, values)(where), dtype=np.float64)

    def _band_errors(self, bands: Sequence[str], redshift: float) -> FloatArray:
        """Return the errors of models in bands as a fraction of the flux, (n_band,)."""
        rest = np.array([pivot_wavelength(band).value for band in bands]) / (1.0 + redshift)
        return _MAG * self.error_at(rest)


def write_template_errors(
    curves: Sequence[TemplateError], path: str | os.PathLike[str], *, overwrite: bool = False
) -> None:
    """Write the curves of several grids to one file."""
    from picasssso._core.safe_files import atomic_write, check_output

    check_output(path, overwrite)
    content = {"format": FORMAT, "curves": [curve._to_dict() for curve in curves]}
    with atomic_write(path, overwrite=overwrite) as temporary:
        Path(temporary).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _parsed(text: str, where: str) -> dict[str, TemplateError]:
    try:
        content = json.loads(text)
        found, curves = content["format"], content["curves"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise FileFormatError(
            f"{where} is not a template error of picasssso: expected JSON with 'format' and "
            f"'curves' ({short(error)})."
        ) from error
    if found != FORMAT:
        raise FileFormatError(
            f"{where} is a template error in format {found!r}: this version of picasssso reads "
            f"format {FORMAT}. Update picasssso."
        )
    try:
        made = [TemplateError._from_dict(curve) for curve in curves]
        return {curve.grid: curve for curve in made}
    except (InvalidInputError, TypeError) as error:
        raise FileFormatError(f"{where} holds no usable template error: {short(error)}") from error


@lru_cache(maxsize=1)
def _packaged() -> dict[str, TemplateError]:
    return _parsed(packaged_text(_PACKAGED), _PACKAGED)
