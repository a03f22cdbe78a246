"""Maps of MaNGA DR17: those of the analysis pipeline (MAPS), and the Firefly catalog.

MAPS (Westfall et al. 2019, AJ 158, 231) have no stellar mass or age: what they give here is the
star formation of H-alpha. Lines are corrected for the Galaxy's dust, in 1e-17 erg/s/cm2 per
spaxel; SCINPVEL is c z; pixels with the bits NOCOV, UNRELIABLE or DONOTUSE of MANGA_DAPPIXMASK are
left out, as the survey's own Marvin does. The channels of BINID are those of binned spectra,
continuum, moments of lines, line fits and indices (``mangadap.dapfits``).

Firefly (Neumann et al. 2022, MNRAS 513, 5988) has a value for each Voronoi cell of all galaxies:
logarithms of means (log Gyr, [Z/H]; the means are linear, as Firefly's source has them) with
errors in dex, log Msun/kpc2, and E(B-V) of Calzetti's law; Kroupa's mass function. SPATIAL_BINID
is as large as the largest cube: a galaxy's first pixel is that of its cube, the rest -1.
"""

from __future__ import annotations

from typing import Any

import astropy.units as u
import numpy as np
import numpy.typing as npt

from picasssso.exceptions import FileFormatError, InvalidInputError
from picasssso.ifu.cube_formats import flux_unit, need_hdu, noise_factor, whole_numbers
from picasssso.ifu.map_formats import MapReader, PublishedSet
from picasssso.ifu.published import PublishedMap
from picasssso.io import ImageFile

FloatArray = npt.NDArray[np.floating]

_LIGHT = 299792.458  # km/s
#: Bits of MANGA_DAPPIXMASK: NOCOV, UNRELIABLE and DONOTUSE.
_USELESS = 2**0 | 2**5 | 2**30
_LINES = "1E-17 erg/s/cm^2/spaxel"
_LINE_UNIT = 1e-17 * u.erg / u.s / u.cm**2
#: Width of the PSF of MaNGA (Law et al. 2016).
_PSF_FWHM = 2.5 * u.arcsec
_SPAXEL = 0.25 * u.arcsec**2
#: Metals of the sun of the M11-MILES and MaStar models (Maraston & Stromback 2011).
_SOLAR = 0.02
_CALZETTI_R_V = 4.05
#: Msun/yr for 1 erg/s of H-alpha on Kroupa's mass function (Kennicutt & Evans 2012, table 1).
RATE = 10**-41.27
#: H-alpha over H-beta, case B at 10,000 K (Osterbrock & Ferland 2006).
INTRINSIC = 2.86
#: A / E(B-V) at both by the law of Cardelli et al. (1989), R_V = 3.1.
_K_ALPHA, _K_BETA = 2.53, 3.61
#: Signal-to-noise ratio that both lines must have.
_DETECTED = 3.0


class DAPReader(MapReader):
    """Reads star formation from H-alpha and H-beta."""

    title = "MaNGA DAP MAPS"

    def recognize(self, file: ImageFile) -> bool:
        """Recognize by an HDU called EMLINE_GFLUX."""
        return file.find("EMLINE_GFLUX") is not None

    def read(self, file: ImageFile, galaxy: str | None) -> PublishedSet:
        """Read lines, and what they say of star formation; see `MapReader.read`."""
        hdus = [need_hdu(file, "lines", f"EMLINE_GFLUX{end}") for end in ("", "_IVAR", "_MASK")]
        flux, ivar, mask = (np.asarray(file.array(k, "lines", cube=True)) for k in hdus)
        hdu = hdus[0]
        unit = flux_unit(file, hdu, _LINES, _LINES, like=_LINE_UNIT, kind="flux of lines")
        flux = flux * unit.to(_LINE_UNIT)
        factor = noise_factor(file, hdus[1], unit, hdu, -2)
        ivar = ivar * (factor / unit.to(_LINE_UNIT) ** 2)
        lines = [self._channel(file, hdu, name) for name in ("Ha", "Hb")]
        redshift = file.number("SCINPVEL") / _LIGHT
        useless = whole_numbers(file, mask, "mask") & _USELESS
        with np.errstate(divide="ignore", invalid="ignore"):
            errors = np.where((useless == 0) & (ivar > 0), ivar**-0.5, np.nan)
        alpha, beta = ((flux[k], errors[k]) for k in lines)
        plane = halpha_star_formation(*alpha, *beta, _LINE_UNIT, _SPAXEL, redshift)
        ids = file.find("BINID")
        bins = None
        if ids is not None:
            # The fourth channel is that of the fits to the lines.
            every = np.asarray(file.array(ids, "bins", cube=True))
            bins = every[min(3, len(every) - 1)].astype(np.int32)
        return PublishedSet({"sfr": plane}, "MaNGA DAP", file.wcs(hdu), redshift, _PSF_FWHM, bins)

    @staticmethod
    def _channel(file: ImageFile, hdu: int, line: str) -> int:
        """Return the plane of a line, by the cards C01, C02 ..."""
        for key, value in file.headers[hdu].items():
            if key[:1] == "C" and key[1:].isdigit() and str(value).startswith(f"{line}-"):
                return int(key[1:]) - 1
        raise FileFormatError(
            f"{file}: found no line {line} in the cards C01, C02 ..., expected it."
        )


class FireflyReader(MapReader):
    """Reads ages, metallicities, masses and attenuation of one galaxy of the catalog."""

    title = "MaNGA Firefly catalog"

    def recognize(self, file: ImageFile) -> bool:
        """Recognize by the catalog's HDUs."""
        return file.find("SPATIAL_BINID") is not None and file.find("GALAXY_INFO") is not None

    def read(self, file: ImageFile, galaxy: str | None) -> PublishedSet:
        """Read the cells of a galaxy and place them; see `MapReader.read`."""
        from astropy.table import Table

        if not self.recognize(file):
            raise FileFormatError(
                f"{file}: found {file.contents}, expected the catalog with GALAXY_INFO and "
                "SPATIAL_BINID."
            )
        info = Table.read(file.path, hdu="GALAXY_INFO")
        known = [str(name).strip() for name in info["PLATEIFU"]]
        if galaxy not in known:
            raise InvalidInputError(
                f"{file}: found galaxy={galaxy!r}, expected a PLATE-IFU of the "
                f"{len(known)} in the catalog, such as {known[0]!r}."
            )
        row = known.index(galaxy)

        def of(name: str) -> npt.NDArray[Any]:
            hdu = need_hdu(file, "cells", name)
            return np.asarray(file.array(hdu, name, cube=True)[row], float)

        bins = of("SPATIAL_BINID").astype(np.int32)
        cells = of("SPATIAL_INFO")[:, 0].astype(int)
        # Where each spaxel's cell stands in the lists; -1: none.
        order = {int(cell): k for k, cell in reversed(list(enumerate(cells))) if cell >= 0}
        place = np.array([order.get(int(b), -1) for b in bins.ravel()]).reshape(bins.shape)

        def spread(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
            grid = np.where(place >= 0, values[place], np.nan)
            return np.where(grid <= -99, np.nan, grid)  # their sign for nothing

        def both(name: str) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
            table = of(name)
            return spread(table[:, 0]), np.abs(spread(table[:, 1]))

        mean: dict[str, Any] = {"weighting": "mass", "average": "linear"}
        age, metal, mass = (
            both(name)
            for name in ("MW_AGE_VORONOI", "MW_Z_VORONOI", "SURFACE_MASS_DENSITY_VORONOI")
        )
        planes = {
            "stellar_mass": PublishedMap(mass[0], u.dex(u.Msun / u.kpc**2), mass[1], imf="kroupa"),
            "stellar_age": PublishedMap(age[0], u.dex(u.Gyr), age[1], **mean),
            "stellar_metallicity": PublishedMap(
                metal[0], u.dex, metal[1], solar_metallicity=_SOLAR, **mean
            ),
            "attenuation_v": PublishedMap(spread(of("E(B_V)_VORONOI")), u.mag, r_v=_CALZETTI_R_V),
        }
        found = [name for name in info.colnames if name.upper() == "REDSHIFT"]
        redshift = float(info[found[0]][row]) if found else None
        placed = np.where(place >= 0, bins, -1)
        return PublishedSet(planes, "Firefly", None, redshift, _PSF_FWHM, placed)


def halpha_star_formation(
    alpha: FloatArray,
    alpha_error: FloatArray,
    beta: FloatArray,
    beta_error: FloatArray,
    unit: u.Quantity,
    solid_angle: u.Quantity,
    redshift: float,
) -> PublishedMap:
    """Return star formation rates per kpc2 over the last 10 Myr, for a Kroupa mass function.

    Lines are of shape (y, x), in ``unit`` per pixel of ``solid_angle``. NaN where one of the lines
    has a signal-to-noise ratio below 3. All H-alpha emission is assumed to be due to young stars.
    """
    # Luminosity per area at the galaxy: 4 pi (1 + z)^4 times the brightness on the sky.
    brightness = (unit / solid_angle).to_value(u.erg / u.s / u.cm**2 / u.sr)
    scale = 4 * np.pi * (1 + redshift) ** 4 * brightness * u.kpc.to(u.cm) ** 2
    power = _K_ALPHA / (_K_BETA - _K_ALPHA)
    with np.errstate(divide="ignore", invalid="ignore"):
        known = (alpha > _DETECTED * alpha_error) & (beta > _DETECTED * beta_error)
        reddened = alpha / beta > INTRINSIC
        boost = np.where(reddened, (alpha / beta / INTRINSIC) ** power, 1.0)
        own = alpha_error / alpha * np.where(reddened, 1 + power, 1.0)
        relative = np.hypot(own, np.where(reddened, power * beta_error / beta, 0.0))
        rate = np.where(known, RATE * scale * alpha * boost, np.nan)
    return PublishedMap(
        rate, u.Msun / u.yr / u.kpc**2, rate * relative, imf="kroupa", averaging_time=10 * u.Myr
    )
