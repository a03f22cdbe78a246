"""The estimator contract, kept by CNNEstimator with small random weights."""

import tempfile
from pathlib import Path

import pytest
from small_weights import write_small

from picasssso import CNNEstimator
from picasssso.testing import CHECKS, SDSS_BANDS, parametrize_with_checks

# Instances are needed when tests are collected, before any fixture; gone at exit.
_FOLDER = tempfile.TemporaryDirectory(prefix="picasssso_test_")
_OURS = write_small(Path(_FOLDER.name) / "ours")
_PAPER = write_small(
    Path(_FOLDER.name) / "paper",
    architecture="buck_wolf_2021",
    network={"first_features": 8},
    members=1,
)


@parametrize_with_checks(
    [
        CNNEstimator(weights=_OURS, device="cpu"),
        CNNEstimator(weights=_PAPER, device="cpu"),
    ]
)
def test_contract(estimator, check):
    check(estimator)


@pytest.mark.parametrize("name", ["slicing", "blocks", "masked_in_all_bands", "units"])
def test_contract_with_the_packaged_weights(name):
    if "default" not in CNNEstimator.list_pretrained():
        pytest.skip("this installation lacks the packaged weights")
    CHECKS[name](CNNEstimator(device="cpu"), bands=SDSS_BANDS, redshift=0.05)
