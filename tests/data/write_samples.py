"""Write the sample files of the current formats.

The files stay in ``tests/data`` for ever: a released format must always read. Run from the root of
the repository when a format changes, never to overwrite an old sample:
``python tests/data/write_samples.py maps tests/data/maps_format_1.fits``, or ``weights``,
``checkpoint``, ``pairs``, ``grid`` or ``library`` (images are those of its test).
"""

from __future__ import annotations

import sys
from pathlib import Path

import astropy.units as u
import numpy as np
import torch
from astropy.wcs import WCS, Sip

from picasssso.bands import NoiseScaling
from picasssso.maps import PropertyArrays, PropertyMaps
from picasssso.mocks import GeneratedPairs
from picasssso.mocks.light import LightTable
from picasssso.networks.architectures import build_network
from picasssso.networks.config import TrainingConfig
from picasssso.networks.conformal import SIGNALS, ConformalCalibration
from picasssso.networks.ensemble import Ensemble
from picasssso.networks.training_range import QUANTITIES
from picasssso.networks.weights import TrainedModel, write_weights
from picasssso.pairs import write_pairs
from picasssso.properties import Property
from picasssso.quality import QualityFlag
from picasssso.sps import ModelLibrary, SSPGrid
from picasssso.training.state import TrainingState

SHAPE = (5, 6)

DUST_TEMPERATURE = Property(
    name="dust_temperature",
    unit=u.K,
    kind="intensive",
    weight="stellar_mass",
    label="dust temperature",
    definition="temperature of the dust; a property of a plugin that is not installed",
    color_map="plasma",
)


def make_wcs() -> WCS:
    """Return a rotated tangent plane with a SIP distortion."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "RA---TAN-SIP", "DEC--TAN-SIP"
    wcs.wcs.crval = 202.4695750, 47.1952583
    wcs.wcs.crpix = 3.25, 2.5
    wcs.wcs.cd = np.array([[-9.1e-5, 6.3e-5], [6.3e-5, 9.1e-5]])
    a, b = np.zeros((3, 3)), np.zeros((3, 3))
    a[2, 0], b[1, 1] = 2.5e-5, -1.5e-5
    wcs.sip = Sip(a, b, None, None, wcs.wcs.crpix)
    wcs.wcs.set()
    return wcs


def make_maps() -> PropertyMaps:
    """Return maps whose every number can be worked out by hand."""
    number = np.arange(30, dtype=np.float32).reshape(SHAPE)
    ladder = np.array([-2, -1, 0, 1, 2], dtype=np.float32)[:, None, None]
    mass = 1e6 * (number + 1)
    quality = np.zeros(SHAPE, dtype=np.int32)
    quality[0, 0] = int(QualityFlag.NO_DATA) | int(QualityFlag.MISSING_BAND)
    quality[4, 5] = int(QualityFlag.LOW_SIGNAL)
    temperature = 20 + number.astype(np.float64)[None] + ladder
    temperature[:, 1, 1] = np.nan
    return PropertyMaps(
        {
            "stellar_mass": PropertyArrays(
                mass + 1e5 * ladder,
                mean=mass + np.float32(5e4),
                samples=np.stack([mass - np.float32(1e5), mass + np.float32(1e5)]),
            ),
            "dust_temperature": PropertyArrays(temperature),
        },
        quality=quality,
        wcs=make_wcs(),
        definitions={"dust_temperature": DUST_TEMPERATURE},
        redshift=0.00155,
        luminosity_distance=8.58 * u.Mpc,
        shared_error={"stellar_mass": 0.1},
        systematics={"zero_point:sdss2010-g": {"stellar_mass": 0.01 * mass}},
        noise_scaling=NoiseScaling([1, 100], [1.0, 2.0]),
        bins=np.arange(30).reshape(SHAPE) // 2 - 1,
        meta={"estimator": "None", "bands": ["sdss2010-g"], "parameters": {"limit": np.inf}},
    )


def config() -> TrainingConfig:
    """Return the configuration of the smallest networks there can be."""
    network = {"widths": [4], "depths": [1], "kind": "pointwise", "n_embedded": 2}
    return TrainingConfig(network=network, members=2, steps=3, batch_size=2, pool_size=2)


def make_weights() -> TrainedModel:
    """Return networks whose parameters are the member's number plus an eighth."""
    networks = [build_network(config()) for _ in range(2)]
    for member, network in enumerate(networks):
        for parameter in network.parameters():
            parameter.data.fill_(member + 0.125)
    shape = (5, 8, len(SIGNALS))
    calibration = ConformalCalibration(
        factors=torch.full((*shape, 5), 1.5),
        mean_shift=torch.zeros(shape),
        shared=torch.full((8,), 0.25),
        smooth=torch.full((8,), 0.5),
        mixing=torch.eye(8),
        disagreement=torch.full(shape[1:], 2.0),
        ranges=torch.tensor([[-9.0, 9.0]]).expand(len(QUANTITIES), 2).clone(),
        presence=torch.tensor([0.0, 1.0]).expand(5, 3, 2).clone(),
        structure=torch.tensor([[-9.0, 9.0]]).expand(5, 2).clone(),
        colors=torch.eye(7)[:, :6],
        color_limits=torch.full((32,), 9.0),
        whole_colors=torch.eye(7)[:, :6],
        whole_color_limits=torch.full((32,), 8.0),
    )
    return TrainedModel(Ensemble(networks), config(), calibration, {"package_version": "0.1"})


def write_pairs_sample(path: Path) -> None:
    """Write three pairs of eight pixels in two bands."""
    bands = ("sdss2010-g", "sdss2010-r")
    table = LightTable.build(bands, 0.05)
    pairs = GeneratedPairs(
        1, survey="paper_field", bands=bands, n_pixels=8, margin=0, table=table, device="cpu"
    )
    write_pairs(pairs, path, 3, shard_size=2, workers=0)


def make_grid() -> SSPGrid:
    """Return a grid of two ages and two metallicities."""
    light = np.arange(1.0, 25.0).reshape(2, 2, 6)
    return SSPGrid(
        [1e7, 1e10], [0.004, 0.02], [1e3, 3e3, 5e3, 7e3, 1e4, 1e5], light,
        surviving_fraction=[[0.9, 0.6], [0.8, 0.5]], name="sample",
        provenance={"source": "made up"},
    )  # fmt: skip


def make_library() -> ModelLibrary:
    """Return a library of three models."""
    number = np.arange(1.0, 4.0, dtype=np.float32)
    names = (
        "surviving_fraction",
        "stellar_metallicity",
        "stellar_age",
        "ssfr100",
        "attenuation_v",
    )
    return ModelLibrary(
        ("sdss2010-g", "sdss2010-r"), 0.05, np.stack([number, 2 * number], 1),
        {name: number + k for k, name in enumerate(names)}, {"attenuation": number},
        {"grid": "sample"},
    )  # fmt: skip


if __name__ == "__main__":
    kind, name = sys.argv[1], Path(sys.argv[2])
    {
        "maps": lambda: make_maps().write(name),
        "weights": lambda: write_weights(name, make_weights()),
        "checkpoint": lambda: TrainingState(config()).save(name),
        "pairs": lambda: write_pairs_sample(name),
        "grid": lambda: make_grid().write(name),
        "library": lambda: make_library().write(name),
    }[kind]()
