"""Fixtures and guards for all tests."""

import logging
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.wcs import WCS, Sip
from hypothesis import settings

# Before anything imports matplotlib, here or in a subprocess: no test needs a screen.
os.environ["MPLBACKEND"] = "Agg"

settings.register_profile("local", deadline=None, database=None)
settings.register_profile("ci", deadline=None, database=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")

# Developers may keep larger data beside the checkout; the package never needs them.
SHARED = Path(__file__).resolve().parents[2] / "shared"


def _shared_folder(name):
    folder = SHARED / name
    if not folder.is_dir():
        pytest.skip(f"needs the folder shared/{name} beside the checkout, which is not here")
    return folder


@pytest.fixture(scope="session")
def shared_data():
    """Folder of real images and simulation files (`pathlib.Path`), or skip."""
    return _shared_folder("data")


@pytest.fixture(scope="session")
def shared_sps():
    """Folder of reference stellar-population grids (`pathlib.Path`), or skip."""
    return _shared_folder("sps")


@pytest.fixture(scope="session")
def make_wcs():
    """Make a celestial WCS: rotated by ``angle`` degrees, with SIP if asked for."""

    def make(*, scale=0.4, angle=0.0, sip=False, crpix=(11.0, 9.5), crval=(202.47, 47.195)):
        wcs = WCS(naxis=2)
        wcs.wcs.ctype = ("RA---TAN-SIP", "DEC--TAN-SIP") if sip else ("RA---TAN", "DEC--TAN")
        wcs.wcs.crval, wcs.wcs.crpix = crval, crpix
        t = np.deg2rad(angle)
        rotation = np.array([[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]])
        wcs.wcs.cd = scale / 3600 * rotation @ np.diag([-1.0, 1.0])
        if sip:
            a, b = np.zeros((4, 4)), np.zeros((4, 4))
            a[2, 0], a[1, 1], a[0, 3] = 2e-5, -1.3e-5, 4e-9
            b[0, 2], b[1, 1], b[3, 0] = -1.7e-5, 1e-5, 3e-9
            wcs.sip = Sip(a, b, None, None, wcs.wcs.crpix)
        wcs.wcs.set()
        return wcs

    return make


@pytest.fixture(scope="session")
def paper_table():
    """Table of light of the paper's bands at its redshift: building one is slow."""
    from picasssso.mocks.light import LightTable

    return LightTable.build([f"sdss2010-{band}" for band in "ugriz"], 0.05)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Skip tests marked ``gpu`` where there is no CUDA device; examples do not count as covered.

    Tracing lines takes half as long again as what is traced. Experiments are slow, but continuous
    integration, which sets PICASSSSO_EXPERIMENTS, runs them among all other tests.
    """
    for item in items:
        if item.get_closest_marker("experiment") and not os.environ.get("PICASSSSO_EXPERIMENTS"):
            item.add_marker(pytest.mark.slow)
        if not isinstance(item, pytest.Function):
            item.add_marker("no_cover")
    gpu_items = [item for item in items if item.get_closest_marker("gpu")]
    if not gpu_items:
        return
    import torch

    if not torch.cuda.is_available():
        for item in gpu_items:
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device, and there is none"))


def _torch_state():
    """Every setting of torch that is global to the process and that a caller would notice."""
    torch = sys.modules.get("torch")
    # A partly imported torch (another thread, a failed import) has no settings to read.
    if torch is None or not hasattr(torch, "get_float32_matmul_precision"):
        return {}
    return {
        "default dtype": torch.get_default_dtype(),
        "default device": torch.get_default_device(),
        "gradients enabled": torch.is_grad_enabled(),
        "inference mode": torch.is_inference_mode_enabled(),
        "anomaly detection": torch.is_anomaly_enabled(),
        "deterministic algorithms": torch.are_deterministic_algorithms_enabled(),
        "matmul precision": torch.get_float32_matmul_precision(),
        "threads": torch.get_num_threads(),
        "cudnn benchmark": torch.backends.cudnn.benchmark,
        "cudnn deterministic": torch.backends.cudnn.deterministic,
        "cudnn tf32": torch.backends.cudnn.allow_tf32,
    }


def _global_state():
    """Settings of the process that belong to the user, not to a library."""
    state = {f"torch {name}": value for name, value in _torch_state().items()}
    state["numpy error handling"] = np.geterr()
    state["numpy print options"] = np.get_printoptions()
    # pytest's own handlers come and go with the phases of a test.
    handlers = [h for h in logging.root.handlers if not type(h).__module__.startswith("_pytest")]
    state["root logging handlers"] = handlers
    if "matplotlib" in sys.modules:
        for name, value in sys.modules["matplotlib"].rcParams.copy().items():
            state[f"matplotlib {name}"] = value
    return state


@pytest.fixture(autouse=True)
def _guard_global_state():
    """Fail a test that leaves a global setting of the process changed."""
    before = _global_state()
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
    after = _global_state()
    # What only the test imported has no "before".
    changed = {key: (before[key], after[key]) for key in before if before[key] != after[key]}
    assert not changed, f"global settings changed (before, after): {changed}"


@pytest.fixture(autouse=True)
def _seed_global_generators():
    """Make tests that use a global random generator repeatable."""
    np.random.seed(20211101)  # noqa: NPY002
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(20211101)
