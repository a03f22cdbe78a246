"""How means move with errors that all pixels share, against fits of what is off by them."""

from typing import NamedTuple

import numpy as np
import pytest


class Shift(NamedTuple):
    """A band off by a factor or an offset."""

    band: int
    factor: float = 1.0
    offset: float = 0.0


def _fit(posterior, flux, weight, shift, sign):
    """Fit what is off by one sigma to one side; return the means."""
    flux, weight = flux.copy(), weight.copy()
    factor = shift.factor**sign
    flux[:, shift.band] = flux[:, shift.band] * factor + sign * shift.offset
    weight[:, shift.band] /= factor**2
    return {k: v.double().numpy() for k, v in posterior.evaluate(flux, weight).mean.items()}


def _expected(posterior, flux, weight, shifts):
    """Return half the difference between either side, names to (n_shift, n_pixel)."""
    sides = [[_fit(posterior, flux, weight, s, sign) for s in shifts] for sign in (1, -1)]
    return {
        name: np.stack([(up[name] - down[name]) / 2 for up, down in zip(*sides, strict=True)])
        for name in sides[0][0]
    }


def _sky(weight):
    """A fifth of the smallest noise in each band."""
    return [Shift(band, offset=float(0.2 * weight[:, band].max() ** -0.5)) for band in range(5)]


ZERO_POINTS = [Shift(band, factor=10 ** (0.4 * 0.02)) for band in range(5)]


@pytest.mark.parametrize("kind", ["sky", "zero point"])
@pytest.mark.parametrize("signal_to_noise", [3.0, 10.0, 50.0, 300.0])
def test_moves_are_those_of_refits(signal_to_noise, kind, library, observe):
    posterior = library.posterior(error_floor=0.05)
    flux, weight = observe(60, signal_to_noise)
    shifts = _sky(weight) if kind == "sky" else ZERO_POINTS
    moves = posterior.evaluate(flux, weight, shifts=shifts).moves
    for name, expected in _expected(posterior, flux, weight, shifts).items():
        found = moves[name].double().numpy()
        assert found.shape == expected.shape
        ratio = np.linalg.norm(found, axis=0) / np.linalg.norm(expected, axis=0)
        # Residuals as large as the light make a zero point's error another one than assumed.
        off = 0.25 if signal_to_noise < 5 and kind != "sky" else 0.1
        assert np.median(ratio) == pytest.approx(1, abs=off / 2), name
        assert np.linalg.norm(found - expected) < off * np.linalg.norm(expected), name


def test_moves_of_pixels_that_no_model_describes(library, observe):
    posterior = library.posterior(error_floor=0.05)
    flux, weight = observe(12, 20.0)
    flux[:6, 0] *= 30
    flux[6:] *= -1
    shifts = _sky(weight)
    moves = posterior.evaluate(flux, weight, shifts=shifts).moves
    for name, expected in _expected(posterior, flux, weight, shifts).items():
        found = moves[name].double().numpy()
        assert np.linalg.norm(found - expected) < 0.1 * np.linalg.norm(expected), name


def test_everything_else_stays_as_it_is(posterior, observe):
    flux, weight = observe(300, np.geomspace(0.5, 400, 300))
    plain = posterior.evaluate(flux, weight, n_samples=2, seed=1)
    shifted = posterior.evaluate(flux, weight, n_samples=2, seed=1, shifts=ZERO_POINTS)
    assert plain.moves is None
    for name, mean in plain.mean.items():
        assert np.array_equal(mean, shifted.mean[name])
        assert np.array_equal(plain.percentiles[name], shifted.percentiles[name])
        assert np.array_equal(plain.samples[name], shifted.samples[name])
        assert shifted.moves[name].isfinite().all()


def test_moves_go_with_the_error(posterior, observe):
    flux, weight = observe(60, np.geomspace(2, 40, 60))
    small = float(0.01 * weight[:, 2].max() ** -0.5)
    once, twice, zero = (Shift(2, offset=x * small) for x in (1, 2, 0))
    moves = posterior.evaluate(flux, weight, shifts=[once, twice, zero]).moves
    for name, table in moves.items():
        np.testing.assert_allclose(table[1], 2 * table[0], rtol=1e-4, err_msg=name)
        assert not table[2].any()


def test_only_the_band_that_is_seen_counts(posterior, observe):
    flux, weight = observe(20, 10.0)
    weight[:10, 1] = 0
    flux[:10, 1] = np.nan
    for table in posterior.evaluate(flux, weight, shifts=_sky(weight[10:])[1:2]).moves.values():
        assert not table[:, :10].any()
        assert table[:, 10:].all()


def test_large_errors_are_fitted(posterior, observe):
    flux, weight = observe(40, 100.0)
    shift = Shift(2, factor=10 ** (0.4 * 0.1))
    found = posterior.evaluate(flux, weight, shifts=[shift])
    once = _fit(posterior, flux, weight, shift, 1)
    for name, mean in found.mean.items():
        expected = once[name] - mean.double().numpy()
        scale = float(mean.abs().max())
        np.testing.assert_allclose(found.moves[name][0], expected, rtol=1e-3, atol=1e-5 * scale)
