"""The estimator contract, kept by CNNEstimator with the packaged weights, and others."""

import tempfile
from pathlib import Path

from small_weights import write_small

from picasssso import CNNEstimator
from picasssso.testing import parametrize_with_checks

# Instances are needed when tests are collected, before any fixture; gone at exit.
_FOLDER = tempfile.TemporaryDirectory(prefix="picasssso_test_")
_PAPER = write_small(
    Path(_FOLDER.name) / "paper",
    architecture="buck_wolf_2021",
    network={"first_features": 8},
    members=1,
)


@parametrize_with_checks(
    [
        CNNEstimator(device="cpu"),
        CNNEstimator(weights=_PAPER, device="cpu"),
    ]
)
def test_contract(estimator, check):
    check(estimator)
