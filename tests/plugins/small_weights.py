"""Small networks for tests: weights are random, so that every layer does something."""

import torch

from picasssso.networks.architectures import build_network
from picasssso.networks.config import TrainingConfig
from picasssso.networks.conformal import SIGNALS, ConformalCalibration
from picasssso.networks.ensemble import Ensemble
from picasssso.networks.outputs import OUTPUTS
from picasssso.networks.training_range import QUANTITIES
from picasssso.networks.weights import TrainedModel, write_weights
from picasssso.pairs.source import PairSource

SMALL = {"widths": [8, 12, 16], "depths": [1, 1, 1], "n_embedded": 8}


def random_network(config, seed):
    """Return a network of which no layer is left at its neutral start."""
    generator = torch.Generator().manual_seed(seed)
    network = build_network(config)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim > 1:
                fan_in = parameter[0].numel()
                noise = torch.randn(parameter.shape, generator=generator)
                parameter.copy_(noise * (0.4 / fan_in**0.5))
            else:
                parameter.copy_(0.1 * torch.randn(parameter.shape, generator=generator))
    return network.eval().requires_grad_(False)


def make_calibration(*, shared=0.1, smooth=0.5, anything=True):
    """Return a calibration that stretches nothing; ``anything``: all images are inside."""
    shape = (5, len(OUTPUTS), len(SIGNALS))
    factors = torch.ones(*shape, 5)
    factors[..., 2] = 0.0
    correlation = 0.3 + 0.7 * torch.eye(len(OUTPUTS))
    end = torch.inf if anything else -torch.inf
    ranges = torch.tensor([[-end, end]]).expand(len(QUANTITIES), 2).clone()
    return ConformalCalibration(
        factors=factors,
        mean_shift=torch.zeros(shape),
        shared=torch.full((len(OUTPUTS),), shared),
        smooth=torch.full((len(OUTPUTS),), smooth),
        mixing=torch.linalg.cholesky(correlation),
        disagreement=torch.full(shape[1:], torch.inf),
        ranges=ranges,
    )


def make_model(*, members=2, network=None, architecture="residual_unet", calibration=True):
    """Return a model with random weights."""
    config = TrainingConfig(
        architecture=architecture, network=dict(network or SMALL), members=members
    )
    networks = [random_network(config, seed) for seed in range(members)]
    card = {"package_version": "0", "name": "small"}
    if architecture == "buck_wolf_2021":
        from picasssso.networks.buck_wolf import BASELINE_PROPERTIES

        card["residual_quantiles"] = {
            name: [-0.5, -0.2, 0.05, 0.25, 0.6] for name in BASELINE_PROPERTIES
        }
    kept = make_calibration() if calibration and architecture == "residual_unet" else None
    return TrainedModel(Ensemble(networks), config, kept, card)


def write_small(path, **options):
    """Write such a model; returns the path."""
    write_weights(path, make_model(**options), overwrite=True)
    return path


class ToyPairs(PairSource):
    """Round galaxies whose maps follow from their light; pair k is always the same."""

    def __init__(self, count=None, size=16, bands=tuple(f"sdss2010-{b}" for b in "ugriz")):
        self.bands, self.size, self.count = tuple(bands), size, count
        if count is not None:
            self.__class__ = _StoredToyPairs

    def describe(self):
        return {"source": "toy"}

    def batch(self, numbers):
        rows = [self._one(int(number)) for number in numbers]
        return {name: torch.stack([row[name] for row in rows]) for name in rows[0]}

    def _one(self, number):
        random = torch.Generator().manual_seed(1000 + number)
        size, n = self.size, len(self.bands)
        brightness, slope, redshift, age = torch.rand(4, generator=random)
        y, x = torch.meshgrid(*[torch.arange(size) - size / 2 + 0.3] * 2, indexing="ij")
        radius = torch.hypot(y, 1.3 * x) / (2 + 2 * slope)
        mass = 10 ** (8.0 + brightness) * torch.exp(-radius)
        colors = 10 ** (-0.4 * age * torch.linspace(1.5, -0.5, n))
        flux = (mass / 1e8)[None] * colors[:, None, None]
        noise = 0.02 * torch.randn(flux.shape, generator=random)
        gas = torch.where(radius < 2, 0.2 * mass, 0.0)
        fields = [
            mass, 0.02 * mass, (1 + 9 * age) * mass, 1e-10 * gas, gas, 0.01 * gas, 0.5 * gas,
            mass, 0.8 * mass,
        ]  # fmt: skip
        scale = torch.tensor(0.4)
        return {
            "flux": (flux + noise).float(),
            "inverse_variance": torch.full(flux.shape, 2500.0),
            "truth": torch.stack(fields).float(),
            "truth_at_psf": torch.stack(fields).float(),
            "psf_fwhm": torch.full((n,), 1.2),
            "redshift": 0.02 + 0.05 * redshift,
            "pixel_scale": scale,
            "pixel_scale_kpc": scale * (0.5 + redshift),
        }


class _StoredToyPairs(ToyPairs):
    def __len__(self):
        return self.count


#: Pivot wavelengths of the bands of `ToyPairs`, AA.
WAVELENGTHS = (3556.5, 4702.5, 6175.6, 7490.0, 8946.7)
