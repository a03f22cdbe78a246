"""Totals are summed a few rows at a time: the same numbers, in bounded memory."""

import tracemalloc

import astropy.units as u
import numpy as np
import pytest
from photutils.aperture import EllipticalAperture

from picasssso.maps import PropertyMaps, totals
from picasssso.maps.arrays import PropertyArrays

SHAPE = (41, 30)


def _planes(rng, scale, n_samples, shape=SHAPE):
    middle = scale * np.exp(rng.normal(size=shape))
    percentiles = np.sort(middle * np.exp(0.3 * rng.normal(size=(5, *shape))), axis=0)
    samples = middle * np.exp(0.3 * rng.normal(size=(n_samples, *shape)))
    hole = rng.random(shape) < 0.1
    percentiles[:, hole] = middle[hole] = samples[:, hole] = np.nan
    mean = middle if scale > 1e3 else None
    return PropertyArrays(percentiles, mean, samples if n_samples else None)


@pytest.mark.parametrize("bins", ["none", "all", "some"])
@pytest.mark.parametrize("correlation", [None, "independent", "full"])
def test_rows_at_a_time_give_the_same(make_wcs, monkeypatch, bins, correlation):
    rng = np.random.default_rng(2)
    y, x = np.indices(SHAPE)
    # Bins that reach over several strips.
    numbers = (y // 7 * 10 + x // 6).astype(np.int32)
    if bins == "some":
        numbers[rng.random(SHAPE) < 0.3] = -1
    n_samples = 6 if correlation is None else 0
    maps = PropertyMaps(
        {name: _planes(rng, scale, n_samples) for name, scale in
         (("stellar_mass", 1e8), ("stellar_age", 3.0))},
        quality=np.zeros(SHAPE, np.int32),
        wcs=make_wcs(sip=True, angle=20),
        redshift=0.02,
        bins=None if bins == "none" else numbers,
        shared_error={"stellar_mass": 0.1},
        systematics={"sky": {"stellar_mass": np.full(SHAPE, 1e7), "stellar_age": 0.1 * x}},
        noise_scaling=lambda n: 1 + 0.3 * np.log(n),
    )  # fmt: skip
    regions = [None, rng.random(SHAPE) < 0.5, EllipticalAperture((3.3, 20.2), 15, 9, theta=0.4)]

    def measure():
        return [
            totals.measure(maps, name, totals.pixel_weights(region, SHAPE, None),
                           totals.check_correlation(maps, name, correlation))
            for name in maps for region in regions
        ]  # fmt: skip

    whole = measure()
    monkeypatch.setattr(totals, "MEMORY_BUDGET", 4 * SHAPE[1] * totals.BYTES_PER_PIXEL)
    for one, many in zip(whole, measure(), strict=True):
        assert many.value.value == pytest.approx(one.value.value, rel=1e-12)
        assert many.masked_fraction == pytest.approx(one.masked_fraction, abs=1e-12)
        assert many.assumptions["n_measurements"] == one.assumptions["n_measurements"]
        assert many.assumptions["variance_inflation"] == pytest.approx(
            one.assumptions["variance_inflation"]
        )
        assert set(many.components) == set(one.components)
        for source, error in one.components.items():
            assert many.components[source].value == pytest.approx(error.value, rel=1e-9)


@pytest.mark.parametrize("region", ["frame", "target", "binned"])
def test_memory_does_not_grow_with_the_image(make_wcs, monkeypatch, region):
    shape = (1000, 500)
    monkeypatch.setattr(totals, "MEMORY_BUDGET", 2**22)
    plane = np.ones(shape, np.float32)
    shallow = PropertyArrays(np.broadcast_to(plane, (5, *shape)), plane)
    bins = (np.indices(shape, np.int32) // 10 * [[[50]], [[1]]]).sum(0, dtype=np.int32)
    maps = PropertyMaps(
        {
            "stellar_mass": shallow,
            "sfr": shallow,
            "stellar_age": PropertyArrays(shallow.percentiles),
        },
        quality=np.zeros(shape, np.int32),
        wcs=make_wcs(),
        redshift=0.02,
        luminosity_distance=90 * u.Mpc,
        target=np.ones(shape, bool) if region == "target" else None,
        bins=bins if region == "binned" else None,
    )
    where = "frame" if region == "frame" else None
    maps[:9, :9].total("stellar_age", correlation="independent")  # what is imported
    tracemalloc.start()
    try:
        for name in maps:
            total = maps.total(name, where, "independent")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert total.value.value == pytest.approx(1.0)
    # The budget, and nothing else of the size of the image: a plane of booleans has 0.5 MB.
    assert peak < 2**22 + 0.4e6
