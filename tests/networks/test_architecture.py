"""What networks promise by construction: reach, equivariance, order, hydrogen below gas."""

import pytest
import torch
from small_weights import SMALL, make_model, random_network

from picasssso._core.devices import has_bfloat16
from picasssso.exceptions import InvalidInputError
from picasssso.networks.architectures import build_network
from picasssso.networks.config import TrainingConfig
from picasssso.networks.ensemble import Ensemble, turned, turned_back
from picasssso.networks.heads import N_RAW, decode, limit_hydrogen
from picasssso.networks.inputs import N_CONDITIONS, N_PLANES, Conditions, input_planes
from picasssso.networks.layers import PointwiseConv
from picasssso.networks.outputs import LOG_LARGEST_HYDROGEN, OUTPUT_NAMES
from picasssso.networks.unet import ResidualUNet
from picasssso.pairs.truth import TrueSums
from picasssso.training.targets import make_targets

DEPTHWISE = {**SMALL, "kind": "depthwise"}
POINTWISE = {**SMALL, "widths": (8,), "depths": (2,), "kind": "pointwise"}
GAS, HYDROGEN = OUTPUT_NAMES.index("gas_mass"), OUTPUT_NAMES.index("hi_mass")


def conditions(n=1, sharp=0.0):
    one, five = torch.ones(n), torch.ones(n, 5)
    return Conditions(0.05 * one, 0.4 * one, 0.4 * one, 1.3 * five, 5000 * five, sharp * one)


def images(n=1, size=48, seed=0):
    random = torch.Generator().manual_seed(seed)
    flux = torch.randn(n, 5, size, size, generator=random) + 2.0
    return flux, torch.full_like(flux, 25.0)


def predict(ensemble, flux, weight, **options):
    has_band = torch.ones(len(flux), 5, dtype=torch.bool)
    return ensemble.predict(flux, weight, conditions(len(flux)), has_band, **options)


@pytest.mark.parametrize("network", [SMALL, DEPTHWISE, POINTWISE])
def test_nothing_beyond_the_reach_matters(network):
    model = random_network(TrainingConfig(network=network), seed=1)
    random = torch.Generator().manual_seed(2)
    size = 2 * (model.reach + model.stride) // model.stride * model.stride + 3 * model.stride
    planes = torch.randn(1, N_PLANES, size, size, generator=random)
    vector = torch.randn(1, N_CONDITIONS, generator=random)
    before = model(planes, vector)
    farthest = 0
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    # Every place within the network's grid.
    for offset in range(model.stride):
        at = size // 2 + offset
        changed = planes.clone()
        changed[:, :, at, at] += 100.0
        moved = (model(changed, vector) != before).any(1)[0]
        distance = torch.maximum((y - at).abs(), (x - at).abs())
        assert not moved[distance > model.reach].any()
        farthest = max(farthest, int(distance[moved].max()))
    # The figure is no mere upper limit.
    assert farthest == model.reach


@pytest.mark.parametrize("changes", [{"kind": "round"}, {"kind": "pointwise"}, {"depths": (1,)}])
def test_networks_that_cannot_be_made_are_refused(changes):
    with pytest.raises(InvalidInputError, match="cannot be created"):
        build_network(TrainingConfig(network={**SMALL, **changes}))


def test_default_network_reaches_no_farther_than_64_pixels():
    assert ResidualUNet().reach <= 64


def test_shifts_by_the_stride_are_exact():
    ensemble = make_model().ensemble
    flux, weight = images(size=64)
    whole = predict(ensemble, flux, weight).prediction.quantiles
    stride, reach = ensemble.stride, ensemble.reach
    part = predict(
        ensemble, flux[..., stride:, 2 * stride :], weight[..., stride:, 2 * stride :]
    ).prediction.quantiles
    torch.testing.assert_close(
        part[..., reach:, reach:],
        whole[..., stride + reach :, 2 * stride + reach :],
        rtol=1e-5,
        atol=1e-5,
    )


def test_eight_orientations_are_equivariant():
    ensemble = make_model().ensemble
    flux, weight = images(size=32)
    whole = predict(ensemble, flux, weight, orientations=8).prediction
    for turn in range(8):
        seen = turned(flux, turn), turned(weight, turn)
        other = predict(ensemble, *seen, orientations=8).prediction
        torch.testing.assert_close(
            turned_back(other.quantiles, turn), whole.quantiles, rtol=1e-4, atol=1e-4
        )
    one = predict(ensemble, turned(flux, 3), turned(weight, 3)).prediction
    assert not torch.allclose(turned_back(one.quantiles, 3), whole.quantiles, atol=1e-2)


def test_quantiles_never_cross():
    random = torch.Generator().manual_seed(3)
    raw = 30.0 * torch.randn(4, N_RAW, 16, 16, generator=random)
    assert (decode(raw).quantiles.diff(dim=2) > 0).all()


def test_hydrogen_never_exceeds_gas():
    random = torch.Generator().manual_seed(4)
    free = decode(5.0 * torch.randn(4, N_RAW, 16, 16, generator=random))
    held = limit_hydrogen(free)
    for table in ("quantiles", "log_mean"):
        most = getattr(held, table)[:, GAS] + LOG_LARGEST_HYDROGEN
        assert (getattr(free, table)[:, HYDROGEN] > most).any()
        assert (getattr(held, table)[:, HYDROGEN] <= most).all()
    assert (held.occupancy[:, HYDROGEN] <= held.occupancy[:, GAS]).all()


def test_masked_pixels_have_no_say():
    flux, weight = images(size=16)
    weight[:, 2, 5, 5] = 0.0
    planes = input_planes(flux, weight, conditions())
    flux[:, 2, 5, 5] = torch.nan
    assert torch.equal(planes, input_planes(flux, weight, conditions()))
    flux[:, 2, 5, 5] = 1e30
    assert torch.equal(planes, input_planes(flux, weight, conditions()))


def test_input_needs_no_distance():
    # The same surface brightness at another redshift: luminosities differ by (1 + z)^3.
    flux, weight = images(size=8)
    near, far = conditions(), conditions()
    object.__setattr__(far, "redshift", near.redshift + 0.1)
    factor = ((1 + far.redshift) / (1 + near.redshift)) ** 3
    dimmed = input_planes(flux / factor, weight * factor**2, far)
    torch.testing.assert_close(dimmed, input_planes(flux, weight, near), rtol=1e-4, atol=1e-4)


def test_conditions_matter():
    ensemble = make_model().ensemble
    flux, weight = images()
    has_band = torch.ones(1, 5, dtype=torch.bool)
    blunt = ensemble.predict(flux, weight, conditions(sharp=0.0), has_band)
    sharp = ensemble.predict(flux, weight, conditions(sharp=1.0), has_band)
    assert not torch.equal(blunt.prediction.quantiles, sharp.prediction.quantiles)


def test_disagreement_is_that_of_the_members():
    model = make_model(members=3)
    flux, weight = images(size=16)
    together = predict(model.ensemble, flux, weight)
    k = OUTPUT_NAMES.index("stellar_mass")
    medians = []
    for number, network in enumerate(model.ensemble.networks):
        # Each member's grid begins elsewhere: repeated pixels put it there.
        y, x = model.ensemble._offset(number)
        padded = [
            torch.nn.functional.pad(image, (x, 0, y, 0), mode="replicate")
            for image in (flux, weight)
        ]
        alone = predict(Ensemble([network]), *padded)
        assert (alone.disagreement == 0).all()
        medians.append(alone.prediction.quantiles[:, k, 2, y:, x:])
    medians = torch.stack(medians)
    torch.testing.assert_close(
        together.disagreement[:, k], medians.std(0, correction=0), rtol=1e-3, atol=1e-3
    )


def test_targets_say_what_is_not_known():
    sums = torch.full((1, 9, 2, 2), 1e6)
    sums[0, 4:7, 0, 0] = torch.nan  # gas is not known here
    sums[0, 4:7, 1, 1] = 0.0  # and absent here
    targets = make_targets(TrueSums(sums))
    assert torch.isfinite(targets.log_value).all()
    for name in ("gas_mass", "gas_metallicity", "hi_mass"):
        k = OUTPUT_NAMES.index(name)
        assert not targets.present[0, k, 0, 0]
        assert not targets.known[0, k, 0, 0]
        assert not targets.present[0, k, 1, 1]
        assert targets.present[0, k, 0, 1]
    assert targets.known[0, GAS, 1, 1]


def test_adding_what_a_convolution_gives_is_the_same_with_and_without_gradients():
    random = torch.Generator().manual_seed(3)
    layer = PointwiseConv(6, 4)
    x, h = (torch.randn(2, n, 5, 7, generator=random) for n in (4, 6))
    x, h = (part.contiguous(memory_format=torch.channels_last) for part in (x, h))
    expected, before = x + torch.nn.functional.conv2d(h, layer.weight, layer.bias), x.clone()
    torch.testing.assert_close(layer.add_to(x, h), expected)
    with torch.inference_mode():
        torch.testing.assert_close(layer.add_to(x, h), expected)
    assert torch.equal(x, before)


@pytest.mark.skipif(not has_bfloat16("cpu"), reason="the processor has no bfloat16")
def test_bfloat16_is_near_single_precision():
    ensemble = make_model().ensemble
    flux, weight = images(size=32)
    exact = predict(ensemble, flux, weight).prediction.quantiles
    rough = predict(ensemble, flux, weight, mixed_precision=True).prediction.quantiles
    assert 0 < (rough - exact).abs().max() < 0.05


@pytest.mark.parametrize(
    "settings", [{"widths": [10**12, 8]}, {"depths": [10**9, 1]}, {"widths": [8] * 10**5}]
)
def test_networks_of_absurd_sizes_are_refused(settings):
    with pytest.raises(InvalidInputError, match=r"expected integers up to \d+"):
        build_network(TrainingConfig(network=settings))
