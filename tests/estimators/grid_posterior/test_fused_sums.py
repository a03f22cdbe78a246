"""The kernels of CUDA against the sums of the CPU.

They run on a CUDA device, or in Triton's interpreter: with the environment variable
``TRITON_INTERPRET=1`` and Triton installed, which needs no device.
"""

import os

import numpy as np
import pytest
import torch

from picasssso.estimators._grid_posterior import GridPosterior

pytest.importorskip("triton", reason="needs Triton, which comes with PyTorch for CUDA")
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
if not (torch.cuda.is_available() or INTERPRETED):
    pytest.skip("needs a CUDA device or TRITON_INTERPRET=1", allow_module_level=True)


@pytest.mark.parametrize("skip", [True, False])
@pytest.mark.parametrize("n_bands", [2, 5])
def test_fused_sums(n_bands, skip, library, observe):
    from picasssso.estimators._grid_posterior.fused import FusedTables, likelihood_levels

    n_models, n_pixels = (100, 24) if INTERPRETED else (3000, 200)
    device = "cpu" if INTERPRETED else "cuda"
    arguments = {
        "model_flux": library.flux[:n_models, :n_bands],
        "amplitude_scaled": {k: v[:n_models] for k, v in library.scaled.items()},
        "intensive": {k: v[:n_models] for k, v in library.intensive.items()},
        "edge": library.edge[:n_models],
        "error_floor": 0.05,
    }
    flux, weight = (
        table[:, :n_bands] for table in observe(n_pixels, np.geomspace(1, 100, n_pixels))
    )
    expected = GridPosterior(**arguments, device="cpu").evaluate(flux, weight)
    posterior = GridPosterior(**arguments, device=device)
    posterior._fused = FusedTables(posterior._library, posterior._single)
    posterior._fused.skip = skip
    posterior._nodes.fused = likelihood_levels
    posterior._fused.pixels = 16 if INTERPRETED else 512
    found = posterior.evaluate(flux, weight)
    for name in library.values:
        np.testing.assert_allclose(
            found.percentiles[name].numpy(),
            expected.percentiles[name].numpy(),
            rtol=10**1e-3 - 1,
            atol=1e-3 * float(expected.percentiles[name].max()) * 1e-3,
        )
        np.testing.assert_allclose(
            found.mean[name].numpy(), expected.mean[name].numpy(), rtol=1e-3, atol=1e-15
        )
    np.testing.assert_allclose(
        found.edge_probability.numpy(), expected.edge_probability.numpy(), atol=1e-4
    )
    np.testing.assert_allclose(found.n_effective.numpy(), expected.n_effective.numpy(), rtol=1e-3)
