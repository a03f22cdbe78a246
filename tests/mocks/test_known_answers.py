"""Known answers of the functions that mock galaxies and networks are made of."""

import astropy.units as u
import numpy as np
import pytest
import torch

from picasssso.mocks.age_bins import mass_in_age_bins
from picasssso.mocks.distances import angular_diameter_distance, pixel_sizes
from picasssso.mocks.galaxies.formation import delayed_history
from picasssso.mocks.galaxies.projection import inclining_matrix
from picasssso.mocks.galaxies.render import slab_transmission
from picasssso.mocks.galaxies.sersic import sersic_fraction
from picasssso.mocks.particles.gridding import share_between_ages
from picasssso.mocks.particles.header import SimulationCosmology
from picasssso.mocks.particles.hydrogen import molecular_fraction, neutral_fraction
from picasssso.mocks.particles.smoothing import deposit
from picasssso.networks.detection import measure_light
from picasssso.networks.heads import N_RAW, decode
from picasssso.networks.inputs import Conditions, input_planes, slot_of
from picasssso.networks.mixture import linear_means, linear_values, shared_deviations
from picasssso.networks.morphology import measure_structure
from picasssso.networks.training_range import TrainingRange, is_outside, measure
from picasssso.networks.unet import ResidualUNet
from picasssso.pairs.truth import plain_number


def test_ages():
    found = mass_in_age_bins([5e6, 5e9, 1.37e10], [1.0, 2.0, 4.0])
    assert found.tolist() == [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 2.0, 0.0, 4.0]
    shares = share_between_ages(np.array([0.005, 4.25]))
    assert shares[:, 1].round(2).tolist() == [0, 0, 0, 0, 0, 0.5, 0.5, 0, 0]
    history = delayed_history(np.array([12.0]), np.array([4.0]), np.array([0.0]))
    assert history.sum() == pytest.approx(1.0)
    cosmology = SimulationCosmology(h=0.704, omega_matter=0.2726, omega_lambda=0.7274)
    assert float(cosmology.cosmic_time(1.0)) == pytest.approx(13.75, abs=0.005)


def test_distances_and_profiles():
    assert float(angular_diameter_distance(0.05)) == pytest.approx(208.5, abs=0.05)
    assert pixel_sizes(1.0 * u.kpc, 0.05, 1.0)[0] == pytest.approx(0.99, abs=0.005)
    half = sersic_fraction(np.array([1.0]), np.array([1.0]))[0]
    assert float(half) == pytest.approx(0.5, abs=0.005)
    rows = torch.linspace(-10, 10, 41)[None]
    matrix = inclining_matrix(rows, rows, torch.tensor([0.5]), torch.tensor([1.0]))
    assert (matrix[0].sum(0) - 1).abs().max() < 1e-3
    middle = np.array([15.5])
    spread = deposit(middle, middle, np.array([6.0]), np.ones((1, 1)), (32, 32))
    assert spread.sum() == pytest.approx(1.0)


def test_dust_and_hydrogen():
    found = slab_transmission(torch.tensor([0.0, 1.0]))
    np.testing.assert_allclose(found, [1.0, 0.65], atol=0.005)
    neutral = neutral_fraction(np.array([1e-4, 1.0, 1.0]), np.array([1e4, 1e4, 1e6]), 0.0)
    np.testing.assert_allclose(neutral, [0.001, 0.989, 0.0], atol=0.0005)
    assert float(molecular_fraction(4.3e4)) == pytest.approx(0.5)
    assert plain_number(torch.tensor(0.03)) == 0.03


def test_networks():
    assert (slot_of("sdss2010-r"), slot_of("hsc2017-y")) == (2, None)
    prediction = decode(torch.randn(1, N_RAW, 4, 4, generator=torch.Generator().manual_seed(1)))
    assert (prediction.quantiles.diff(dim=2) > 0).all()
    raw = torch.zeros(1, N_RAW, 1, 1)
    relative = shared_deviations(decode(raw), torch.zeros(8)) / linear_means(decode(raw))
    # Gas is there with a probability of 0.5.
    assert relative[0, [0, 4], 0, 0].tolist() == [0.0, 1.0]
    raw[:, 48:] = -9.0  # star formation and gas are absent
    assert linear_values(decode(raw), torch.zeros(1, 8, 1, 1))[0, 3:5, 0, 0].tolist() == [0, 0]
    network = ResidualUNet(widths=(8, 16), depths=(1, 1))
    assert network(torch.zeros(1, 20, 16, 16), torch.zeros(1, 19)).shape == (1, 51, 16, 16)
    assert (network.reach, network.stride) == (6, 2)
    assert ResidualUNet(widths=(8,), depths=(2,), kind="pointwise").reach == 0


def test_images():
    one, five = torch.ones(1), torch.ones(1, 5)
    conditions = Conditions(0.05 * one, one, one, five, 5000 * five, one)
    planes = input_planes(torch.ones(1, 5, 8, 8), torch.zeros(1, 5, 8, 8), conditions)
    assert planes.shape == (1, 20, 8, 8)
    assert (planes == 0).all()
    images = torch.ones(1, 5, 9, 9)
    assert (measure_light(images, images).significance > 6).all()
    wide = torch.ones(1, 5, 40, 100)
    assert 10 ** float(measure_structure(wide, wide)[0, 0]) == pytest.approx(40)
    measured = measure(images, 100 * images, conditions, five > 0)
    assert (measured.image.shape, measured.pixel.shape) == ((1, 13), (1, 20, 9, 9))
    training = TrainingRange()
    training.add(measured)
    assert not is_outside(measured, training.ranges())[0].any()
