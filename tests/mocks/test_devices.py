"""What would happen on CUDA, found without one: tensors carry the device they were asked for."""

import sys

import numpy as np
import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

from picasssso.mocks import GeneratedPairs
from picasssso.mocks.observing.surveys import get_survey

#: May take an index or a source from the CPU, or move a tensor.
MOVING = {"__getitem__", "__setitem__", "to", "as_tensor", "tensor", "cpu"}
#: Make the host wait for the GPU.
WAITING = {"cpu", "item", "tolist", "__bool__", "__float__", "__int__", "nonzero"}


def on_cuda(tensor):
    return getattr(tensor, "pretends_cuda", False)


class PretendedCuda(TorchFunctionMode):
    """Computes on the CPU what is asked of CUDA, and refuses what CUDA would refuse.

    Tensors asked for on "cuda" are marked, and so is all that comes from them. Marked tensors
    say that their device is CUDA, cannot be turned into arrays, and cannot be used together with
    others. `waits` counts the times that a host would have waited for the GPU.
    """

    def __init__(self):
        super().__init__()
        self.waits = 0

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs, name = dict(kwargs or {}), getattr(function, "__name__", "")
        if function == torch.Tensor.device.__get__:
            return torch.device("cuda" if on_cuda(args[0]) else "cpu")
        tensors = [t for t in tree_leaves((args, kwargs)) if isinstance(t, torch.Tensor)]
        marked = any(on_cuda(t) for t in tensors)
        if marked and name in ("numpy", "__array__"):
            raise TypeError("can't convert cuda:0 device type tensor to numpy")
        self.waits += marked and name in WAITING
        if name not in MOVING and len({on_cuda(t) for t in tensors if t.ndim > 0}) > 1:
            raise RuntimeError(f"{name} of tensors on cuda:0 and cpu")
        if name == "cpu":
            marked = False
        if kwargs.get("device") is not None:
            marked = torch.device(kwargs["device"]).type == "cuda"
            kwargs["device"] = "cpu"
        if name == "to" and isinstance(args[-1], (str, torch.device)):
            marked = torch.device(args[-1]).type == "cuda"
            args = (args[0], "cpu")
        result = function(*args, **kwargs)

        def mark(value):
            if isinstance(value, torch.Tensor) and on_cuda(value) != marked:
                value = value.clone() if any(value is t for t in tensors) else value
                value.pretends_cuda = marked
            return value

        return tree_map(mark, result)


def test_the_pretense_refuses_what_cuda_refuses():
    with PretendedCuda() as mode:
        there, here = torch.ones(3, device="cuda"), torch.ones(3)
        assert (there * 2).sum().device.type == "cuda"
        assert there.to("cpu").device.type == there.cpu().device.type == here.device.type == "cpu"
        with pytest.raises(RuntimeError, match="cuda:0 and cpu"):
            there + here
        with pytest.raises(TypeError, match="numpy"):
            there.numpy()
        assert mode.waits == 1
        assert float(there[0]) == 1.0
        assert mode.waits == 2


@pytest.fixture
def forgetful(paper_table):
    """Forget what was kept for a device that is not there."""
    yield
    paper_table._on_device.clear()
    sys.modules["picasssso.mocks.observing.observe"]._transfer_table.cache_clear()


@pytest.mark.usefixtures("forgetful")
@pytest.mark.parametrize(
    "settings",
    [
        {"redshift": 0.05},
        {"survey": "paper_field"},
        {"survey": get_survey("sdss").varied(seeing=0.3, depth=0.3, pixel_scale=(0.3, 0.5)),
         "redshift": 0.05},
        {"link_structure": False, "redshift": 0.05},
    ],
)  # fmt: skip
def test_pairs_are_made_on_the_device(paper_table, settings):
    settings = {"n_pixels": 24, "margin": 4, **settings}
    expected = GeneratedPairs(5, table=paper_table, device="cpu", **settings).batch(range(24))
    with PretendedCuda() as mode:
        pairs = GeneratedPairs(5, table=paper_table, device="cuda", **settings)
        pairs.batch(range(2))
        mode.waits = 0
        batch = pairs.batch(range(24))
        assert {tensor.device.type for tensor in batch.values()} == {"cuda"}
        # A few in all, not a few per galaxy.
        assert mode.waits <= 8
    for name, tensor in batch.items():
        np.testing.assert_allclose(tensor, expected[name], rtol=1e-4, atol=1e-6)
