"""What the posterior of pixels over a library promises beside its numbers."""

import numpy as np
import pytest
import torch

from picasssso.estimators._grid_posterior import GridPosterior
from picasssso.exceptions import InvalidInputError


def _all_planes(summary):
    planes = {"chi2": summary.chi2, "n_effective": summary.n_effective}
    for name, table in summary.percentiles.items():
        planes |= {f"{name} percentiles": table, f"{name} mean": summary.mean[name]}
    for name, table in (summary.samples or {}).items():
        planes[f"{name} samples"] = table
    return {name: plane.numpy() for name, plane in planes.items()}


def _assert_equal(first, second, which=slice(None), rtol=2e-5):
    for name, plane in _all_planes(first).items():
        other = _all_planes(second)[name]
        np.testing.assert_allclose(
            plane[..., which], other, rtol=rtol, atol=1e-6, equal_nan=True, err_msg=name
        )


# ---- what a pixel's answer depends on ---------------------------------------------------


def test_an_answer_does_not_depend_on_the_other_pixels(posterior, observe):
    flux, weight = observe(1500, np.geomspace(0.5, 400, 1500))
    whole = posterior.evaluate(flux, weight, n_samples=4, seed=1)
    order = np.random.default_rng(1).permutation(1500)[:120]
    part = posterior.evaluate(flux[order], weight[order], n_samples=4, seed=1, pixel_index=order)
    _assert_equal(whole, part, order, rtol=2e-4)


def test_the_same_twice(posterior, observe):
    flux, weight = observe(200, np.geomspace(0.5, 400, 200))
    first, second = (posterior.evaluate(flux, weight, n_samples=3, seed=2) for _ in range(2))
    _assert_equal(first, second, rtol=0)


def test_units_do_not_matter(posterior, observe):
    flux, weight = observe(60, np.geomspace(0.5, 400, 60))
    small = posterior.evaluate(flux, weight)
    large = posterior.evaluate(1e6 * flux, 1e-12 * weight)
    for name in ("mass", "sfr"):
        np.testing.assert_allclose(
            1e6 * small.percentiles[name], large.percentiles[name], rtol=1e-4
        )
    np.testing.assert_allclose(
        small.percentiles["stellar_age"], large.percentiles["stellar_age"], rtol=1e-4
    )


def test_models_in_another_order(library, observe):
    flux, weight = observe(40, np.geomspace(1, 100, 40))
    order = np.random.default_rng(4).permutation(len(library.flux))
    shuffled = GridPosterior(
        library.flux[order],
        amplitude_scaled={k: v[order] for k, v in library.scaled.items()},
        intensive={k: v[order] for k, v in library.intensive.items()},
        device="cpu",
    )
    first, second = library.posterior().evaluate(flux, weight), shuffled.evaluate(flux, weight)
    for name in library.values:
        np.testing.assert_allclose(
            first.percentiles[name], second.percentiles[name], rtol=2e-2, atol=1e-12
        )


def test_awkward_arrays(posterior, observe):
    flux, weight = observe(9, 10.0)
    expected = posterior.evaluate(flux.astype(np.float32), weight.astype(np.float32))
    strange = flux.astype(">f4")[::-1][::-1]
    strange.flags.writeable = False
    _assert_equal(expected, posterior.evaluate(strange, weight.astype(">f4")), rtol=0)


# ---- pixels without much in them --------------------------------------------------------


def test_no_data(posterior, observe):
    flux, weight = observe(5, 10.0)
    whole = posterior.evaluate(flux, weight)
    weight[1] = 0
    flux[3] = np.nan
    holed = posterior.evaluate(flux, weight, n_samples=2)
    assert holed.n_bands.tolist() == [5, 0, 5, 0, 5]
    for plane in _all_planes(holed).values():
        assert np.isnan(plane[..., [1, 3]]).all()
    some = [0, 2, 4]
    for name, plane in _all_planes(whole).items():
        np.testing.assert_allclose(
            _all_planes(holed)[name][..., some], plane[..., some], rtol=1e-5
        )


def test_nothing_but_masked_pixels(posterior):
    summary = posterior.evaluate(np.zeros((3, 5)), np.zeros((3, 5)), n_samples=2)
    assert torch.isnan(summary.percentiles["mass"]).all()
    assert torch.isnan(summary.samples["sfr"]).all()


def test_no_pixels(posterior):
    summary = posterior.evaluate(np.zeros((0, 5)), np.zeros((0, 5)), n_samples=2)
    assert summary.percentiles["mass"].shape == (5, 0)
    assert summary.samples["mass"].shape == (2, 0)


@pytest.mark.parametrize("signal_to_noise", [1.0, 10.0, 1000.0])
@pytest.mark.parametrize("n_models", [1, 2])
def test_hardly_any_models(n_models, signal_to_noise):
    models = np.array([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]])[:n_models]
    posterior = GridPosterior(
        models,
        amplitude_scaled={"mass": [2.0, 4.0][:n_models]},
        intensive={"age": [1.0, 10.0][:n_models]},
        device="cpu",
    )
    flux = 5.0 * models[:1]
    sigma = flux / signal_to_noise
    summary = posterior.evaluate(flux, sigma**-2)
    mass = summary.percentiles["mass"][:, 0].numpy()
    assert (np.diff(mass) > 0).all()
    assert float(summary.chi2[0]) == pytest.approx(0, abs=1e-2)
    if signal_to_noise > 5 or n_models == 1:
        amplitude_error = 5.0 / signal_to_noise / np.sqrt(3)
        if signal_to_noise > 5:
            assert mass[2] == pytest.approx(10.0, rel=2e-3)
            assert (mass[3] - mass[1]) / 2 == pytest.approx(2 * amplitude_error, rel=0.02)
        assert summary.mean["age"][0] == pytest.approx(1.0, rel=1e-3)


def test_models_without_any_star_formation(observe, library):
    posterior = GridPosterior(
        library.flux,
        amplitude_scaled={"mass": library.scaled["mass"], "sfr": np.zeros(len(library.flux))},
        intensive={},
        device="cpu",
    )
    flux, weight = observe(12, np.geomspace(1, 500, 12))
    summary = posterior.evaluate(flux, weight)
    assert (summary.percentiles["sfr"] == 0).all()
    assert (summary.mean["sfr"] == 0).all()


# ---- samples ----------------------------------------------------------------------------


def test_samples_are_those_of_the_posterior(posterior, observe):
    flux, weight = observe(30, np.geomspace(1, 60, 30))
    summary = posterior.evaluate(flux, weight, n_samples=2000, seed=3)
    for name, samples in summary.samples.items():
        draws = samples.double().numpy()
        assert np.isfinite(draws).all()
        width = draws.std(0) + 1e-12
        off = (draws.mean(0) - summary.mean[name].double().numpy()) / width
        # The mean of 2000 samples is known to 0.022 of their width.
        assert np.abs(off).max() < 5 * 0.022
        assert np.sqrt(np.mean(off**2)) < 2 * 0.022
    bright = flux[:, 2] ** 2 * weight[:, 2] > 100
    for name in ("mass", "stellar_age", "attenuation_v"):
        below = summary.samples[name] <= summary.percentiles[name][2]
        # A median among few models is not half way between them.
        step = 1 / summary.n_effective.numpy()[bright]
        assert (np.abs(below.double().mean(0).numpy()[bright] - 0.5) < 0.06 + step).all()


def test_samples_belong_together(library, posterior, observe):
    flux, weight = observe(10, 30.0)
    summary = posterior.evaluate(flux, weight, n_samples=50)
    models = np.stack([library.intensive[k] for k in library.intensive], 1).astype(np.float32)
    known = {tuple(row) for row in models}
    drawn = np.stack([summary.samples[k].numpy() for k in library.intensive], -1)
    assert {tuple(row) for row in drawn.reshape(-1, 3)} <= known


def test_samples_differ_by_seed_and_pixel(posterior, observe):
    flux, weight = observe(1, 20.0)
    flux, weight = np.repeat(flux, 3, 0), np.repeat(weight, 3, 0)
    index = np.array([1, 2, 1])
    one, two = (
        posterior.evaluate(flux, weight, n_samples=8, seed=seed, pixel_index=index).samples["mass"]
        for seed in (0, 1)
    )
    assert torch.equal(one[:, 0], one[:, 2])
    assert not (one[:, 0] == one[:, 1]).any()
    assert not (one == two).any()


def test_the_first_samples_do_not_depend_on_their_number(posterior, observe):
    flux, weight = observe(20, np.geomspace(1, 100, 20))
    few, many = (posterior.evaluate(flux, weight, n_samples=n).samples["sfr"] for n in (3, 9))
    np.testing.assert_allclose(few, many[:3], rtol=1e-5)


# ---- bad input --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"model_flux": np.ones(3)}, "expected \\(n_model, n_band\\)"),
        ({"model_flux": -np.ones((2, 2))}, "finite and not negative"),
        ({"model_flux": np.array([[1.0, 1.0], [0.0, 0.0]])}, "at least one positive"),
        ({"amplitude_scaled": {"mass": [1.0]}}, "mass has shape"),
        ({"amplitude_scaled": {"mass": [1.0, -1.0]}}, "not negative"),
        ({"intensive": {"age": [1.0, np.nan]}}, "age must be finite"),
        ({"error_floor": 1.0}, "not a fraction"),
        ({"error_floor": [0.1, 0.1, 0.1]}, "one for each of 2 bands"),
    ],
)
def test_bad_libraries(changes, match):
    arguments = {
        "model_flux": np.ones((2, 2)),
        "amplitude_scaled": {"mass": [1.0, 1.0]},
        "intensive": {"age": [1.0, 2.0]},
        "error_floor": 0.0,
        **changes,
    }
    with pytest.raises(InvalidInputError, match=match):
        GridPosterior(arguments.pop("model_flux"), device="cpu", **arguments)


def test_bad_pixels(posterior):
    with pytest.raises(InvalidInputError, match=r"expected \(n_pixel, 5\) twice"):
        posterior.evaluate(np.ones((3, 4)), np.ones((3, 4)))
    with pytest.raises(InvalidInputError, match="pixel_index has shape"):
        posterior.evaluate(np.ones((3, 5)), np.ones((3, 5)), pixel_index=[1])


def test_repr(posterior):
    assert "3000 models in 5 bands, mass, sfr, stellar_age" in repr(posterior)
