"""Color terms and k-corrections against synthetic photometry of composite spectra.

An independent check: the numbers in the package are published polynomials, the truth
here is an integral over filter curves of the spectra of stellar populations.
"""

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits

from picasssso.estimators._mass_to_light.k_corrections import (
    COEFFICIENTS,
    check_redshift,
    k_correction,
    k_correction_scatter,
)
from picasssso.estimators._mass_to_light.mass_model import MassModel
from picasssso.estimators._mass_to_light.photometric_systems import SYSTEMS, find_system
from picasssso.estimators._mass_to_light.plan import make_plan
from picasssso.estimators._mass_to_light.relations import RELATIONS
from picasssso.exceptions import InvalidInputError

N_GALAXIES = 150


def attenuation(wave, a_v):
    """Calzetti et al. (2000), continued into the near infrared."""
    x = wave / 1e4
    blue = 2.659 * (-2.156 + 1.509 / x - 0.198 / x**2 + 0.011 / x**3) + 4.05
    red = 2.659 * (-1.857 + 1.04 / x) + 4.05
    return 10 ** (-0.4 * a_v * np.where(x < 0.63, blue, red) / 4.05)


@pytest.fixture(scope="module")
def spectra(shared_sps):
    """Exponential histories of several ages, metallicities and dust: wave, L_lambda."""
    with fits.open(shared_sps / "ssp_bc03miles_kroupa.fits.gz") as hdus:
        wave = hdus["WAVE"].data.astype(float)
        age = hdus["AGE"].data.astype(float)
        ssp = hdus["SPEC"].data.astype(float)
    rng = np.random.default_rng(3)
    galaxies = []
    for _ in range(N_GALAXIES):
        start, tau = rng.uniform(1.5e9, 13e9), 10 ** rng.uniform(8.5, 10.3)
        rate = np.where(age < start, np.exp(-(start - age) / tau), 0.0) * np.gradient(age)
        spectrum = rate / rate.sum() @ ssp[rng.integers(1, 6)]
        a_v = rng.choice([0.0, min(rng.exponential(0.4), 2.0)])
        galaxies.append(spectrum * attenuation(wave, a_v))
    return wave, np.array(galaxies)


@pytest.fixture(scope="module")
def photometry(spectra):
    """AB magnitudes by band letter: ``photometry(prefix, letters, redshift)``."""
    from speclite.filters import load_filters

    wave, galaxies = spectra

    def measure(prefix, letters, redshift):
        filters = load_filters(*[f"{prefix}-{letter}" for letter in letters])
        flux = galaxies / (1 + redshift) * u.erg / u.s / u.cm**2 / u.AA
        padded, shifted = filters.pad_spectrum(flux, wave * (1 + redshift) * u.AA, method="zero")
        table = filters.get_ab_magnitudes(padded, shifted)
        return {
            letter: np.array(table[name])
            for letter, name in zip(letters, table.colnames, strict=True)
        }

    cache = {}

    def cached(*key):
        if key not in cache:
            cache[key] = measure(*key)
        return cache[key]

    return cached


def galaxies_like_others(rest):
    """Those within the colors that most galaxies have."""
    color = rest["g"] - rest["i"]
    return (color > 0.2) & (color < 1.5)


# ---- color terms -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prefix", "redshift", "tolerance"),
    [
        # mag, for mean and scatter over galaxies, each with what was found when written.
        # At z = 0.2 the 4000 A break, which stars do not have there, lies inside g.
        ("decam2014", 0.0, 0.02),  # 0.014
        ("decamDR1", 0.05, 0.02),  # 0.016
        ("panstarrs", 0.0, 0.025),  # 0.018
        ("lsst2016", 0.0, 0.025),  # 0.017
        ("lsst2023", 0.05, 0.025),  # 0.019
        ("hsc2017", 0.0, 0.015),  # 0.009
        ("decam2014", 0.2, 0.05),  # 0.041
        ("panstarrs", 0.2, 0.025),  # 0.019
        ("lsst2023", 0.2, 0.025),  # 0.018
        ("hsc2017", 0.2, 0.02),  # 0.017
    ],
)
def test_color_terms(photometry, prefix, redshift, tolerance):
    system = find_system(f"{prefix}-g")
    found = system.to_sdss(photometry(prefix, "griz", redshift))
    truth = photometry("sdss2010", "griz", redshift)
    before = photometry(prefix, "griz", redshift)
    worst_before = max(abs(np.mean(before[x] - truth[x])) for x in "gri")
    for letter in "griz":
        difference = found[letter] - truth[letter]
        assert abs(difference.mean()) < tolerance, letter
        assert difference.std() < tolerance, letter
    # A term that does nothing would be found out.
    assert max(abs(np.mean(found[x] - truth[x])) for x in "gri") < 0.75 * worst_before


def test_inverted_terms_are_exact():
    """HSC terms are published from SDSS: bringing what they give back is the identity."""
    system = find_system("hsc2017-g")
    rng = np.random.default_rng(1)
    sdss = {"g": rng.uniform(0.1, 1.5, 50), "r": np.zeros(50)}
    sdss["i"] = -rng.uniform(0.0, 0.6, 50)
    sdss["z"] = sdss["i"] - rng.uniform(0.0, 0.4, 50)
    hsc = {x: sdss[x] + system.terms[x](sdss) for x in "griz"}
    back = system.to_sdss(hsc)
    for letter in "griz":
        np.testing.assert_allclose(back[letter], sdss[letter], atol=1e-7)


def test_color_terms_do_not_depend_on_the_zero_point():
    for system in SYSTEMS:
        magnitudes = {"u": 2.0, "g": 0.8, "r": 0.0, "i": -0.3, "z": -0.5}
        first = system.to_sdss(magnitudes)
        second = system.to_sdss({k: v + 20 for k, v in magnitudes.items()})
        for letter in first:
            assert second[letter] - first[letter] == pytest.approx(20, abs=1e-9)


# ---- k-corrections ----------------------------------------------------------------------


def test_published_k_corrections():
    """Numbers that other implementations of the same polynomials give.

    TOPCAT's documentation: kCorr(g, 0.16, g-r, -0.8) = 3.593, far outside the colors of
    galaxies, where this package holds the color at its limit; the polynomial itself must
    agree.
    """
    table = COEFFICIENTS["g", ("g", "r")]
    value = sum(table[j, k] * 0.16**j * (-0.8) ** k for j in range(8) for k in range(4))
    assert value == pytest.approx(3.593, abs=1e-3)
    inside = float(k_correction("g", ("g", "r"), 0.16, 0.9))
    assert inside == pytest.approx(
        sum(table[j, k] * 0.16**j * 0.9**k for j in range(8) for k in range(4))
    )


def test_no_k_correction_at_redshift_zero():
    for band, color in COEFFICIENTS:
        assert float(k_correction(band, color, 0.0, 0.7)) == 0.0


@pytest.mark.parametrize("redshift", [-0.0051, 0.51, 3.0, np.nan])
def test_redshift_out_of_range(redshift):
    with pytest.raises(InvalidInputError, match=r"hold for 0 to 0\.5"):
        check_redshift(redshift)


@pytest.mark.parametrize(
    ("redshift", "tolerance"), [(0.01, 0.02), (0.03, 0.04), (0.05, 0.05), (0.1, 0.12)]
)
@pytest.mark.parametrize(
    ("band", "color"), [("g", "gi"), ("g", "gr"), ("i", "gi"), ("r", "gr"), ("z", "gz")]
)
def test_k_corrections_of_spectra(photometry, band, color, redshift, tolerance):
    """RMS against the spectra; at z = 0.1 the polynomials are up to 0.1 mag too small."""
    blue, red = color
    rest = photometry("sdss2010", "ugriz", 0.0)
    observed = photometry("sdss2010", "ugriz", redshift)
    use = galaxies_like_others(rest)
    found = k_correction(band, (blue, red), redshift, observed[blue] - observed[red])
    difference = (found - (observed[band] - rest[band]))[use]
    assert np.sqrt(np.mean(difference**2)) < tolerance


@pytest.mark.parametrize("redshift", [0.01, 0.03, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5])
def test_k_correction_scatter_is_as_stated(photometry, redshift):
    """What the k-corrections do to log10(mass), which is what the package declares."""
    rest = photometry("sdss2010", "ugriz", 0.0)
    observed = photometry("sdss2010", "ugriz", redshift)
    use = galaxies_like_others(rest)
    available = tuple(f"sdss2010-{x}" for x in "gri")
    worst = 0.0
    for name, color, band in (("taylor2011", ("g", "i"), "i"), ("bell2003", ("g", "r"), "r")):
        plan = make_plan(available, color, band)
        at_rest, at_redshift = (MassModel(RELATIONS[name], plan, z) for z in (0.0, redshift))
        truth = at_rest.log_factor(rest)[0]
        found = at_redshift.log_factor(observed)[0] - 0.4 * (observed[band] - rest[band])
        worst = max(worst, np.sqrt(np.mean((found - truth)[use] ** 2)))
    assert 0.7 < worst / k_correction_scatter(redshift) < 1.1


def test_ignoring_the_k_correction_would_be_wrong(photometry):
    rest, observed = (photometry("sdss2010", "ugriz", z) for z in (0.0, 0.1))
    plan = make_plan(tuple(f"sdss2010-{x}" for x in "gri"), ("g", "i"), "i")
    ignored, done = (MassModel(RELATIONS["taylor2011"], plan, z) for z in (0.0, 0.1))
    use = galaxies_like_others(rest)
    truth = ignored.log_factor(rest)[0] + 0.4 * (observed["i"] - rest["i"])
    error = {
        k: abs(np.mean((m.log_factor(observed)[0] - truth)[use]))
        for k, m in (("ignored", ignored), ("done", done))
    }
    assert error["done"] < 0.6 * error["ignored"]


def test_scatter_grows_from_zero():
    assert k_correction_scatter(0.0) == k_correction_scatter(-0.004) == 0.0
    values = [k_correction_scatter(z) for z in np.linspace(0, 0.5, 30)]
    assert np.all(np.diff(values) >= 0)
