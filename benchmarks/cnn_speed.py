#!/usr/bin/env python
"""How many images per second the shipped networks and the paper's network work through.

    python benchmarks/cnn_speed.py            two CPU cores (or --threads), single precision
    python benchmarks/cnn_speed.py --cuda     CUDA, single precision and bfloat16

The ensemble is timed from fluxes to predictions; the paper's network (64 first features) from
fluxes to maps. On CUDA the part of the peak is that of a large bfloat16 matrix product measured
in the same run, and predictions are compared with the CPU's. torch, numpy and safetensors are
all that is needed.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from records import options_of, record
from torch.utils.flop_counter import FlopCounterMode

from picasssso._core.devices import has_bfloat16
from picasssso.estimators._cnn.weight_files import weights_path
from picasssso.networks.buck_wolf import BuckWolfNetwork
from picasssso.networks.ensemble import Ensemble
from picasssso.networks.inputs import Conditions, input_planes
from picasssso.networks.weights import read_weights


def shipped(device: str) -> Ensemble:
    """Return the shipped networks."""
    ensemble = read_weights(weights_path("default")).ensemble
    for network in ensemble.networks:
        network.to(device)
    return ensemble


def images(n: int, side: int, device: str) -> tuple[Any, ...]:
    """Return made-up images: a bright source with noise, conditions, and which bands there are."""
    axis = torch.linspace(-3, 3, side)
    source = 20 * torch.exp(-torch.hypot(axis[:, None], axis[None, :]))
    noise = torch.randn(n, 5, side, side, generator=torch.Generator().manual_seed(1))
    one = torch.ones(n)
    wavelengths = torch.tensor([3551.0, 4686.0, 6166.0, 7480.0, 8932.0]).expand(n, 5)
    conditions = Conditions(
        0.05 * one, 0.396 * one, 0.4 * one, 1.3 * torch.ones(n, 5), wavelengths, 0 * one
    )
    moved = Conditions(**{k: v.to(device) for k, v in vars(conditions).items()})
    planes = 0.05 * (source + noise), torch.full(noise.shape, 400.0)
    there = torch.ones(n, 5, dtype=torch.bool, device=device)
    return (*(plane.to(device) for plane in planes), moved, there)


def timed(run: Callable[[], Any], repeats: int) -> float:
    """Return the median time of a run in seconds."""
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        run()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return sorted(times[1:])[repeats // 2]


def measure(device: str, cases: list[tuple[int, int]], repeats: int) -> list[dict[str, Any]]:
    """Time both networks on one device."""
    ensemble = shipped(device)
    paper = BuckWolfNetwork(first_features=64).to(device, memory_format=torch.channels_last).eval()
    peak = None
    if device == "cuda":
        a = torch.randn(8192, 8192, device=device, dtype=torch.bfloat16)
        peak = 2 * 8192**3 / timed(lambda: a @ a, 10)

    def ours(mixed: bool, *planes: Any) -> Any:
        return ensemble.predict(*planes, mixed_precision=mixed)

    @torch.inference_mode()
    def theirs(mixed: bool, *planes: Any) -> Any:
        inputs = input_planes(*planes[:3]).contiguous(memory_format=torch.channels_last)
        with torch.autocast(device, torch.bfloat16, enabled=mixed):
            return paper(inputs)

    rows = []
    for n, side in cases:
        planes = images(n, side, device)
        for name, run in (("ensemble", ours), ("buck_wolf_2021", theirs)):
            with FlopCounterMode(display=False) as counter:
                run(False, *planes)
            flops = counter.get_total_flops()
            for mixed in (False, True) if has_bfloat16(device) else (False,):
                seconds = timed(partial(run, mixed, *planes), repeats)
                row = {
                    "network": name, "images": n, "side": side, "bfloat16": mixed,
                    "images_per_s": n / seconds, "seconds_per_image": seconds / n,
                    "gflop_per_image": flops / n / 1e9,
                }  # fmt: skip
                if peak is not None:
                    row["part_of_peak"] = flops / seconds / peak
                rows.append(row)
    return rows


def moved(device: str, mixed: bool, n: int = 2, side: int = 64) -> dict[str, float]:
    """Return how far quantiles are from those of the CPU in single precision, dex."""
    exact = shipped("cpu").predict(*images(n, side, "cpu")).prediction.quantiles
    rough = shipped(device).predict(*images(n, side, device), mixed_precision=mixed)
    difference = rough.prediction.quantiles.cpu() - exact
    return {
        "largest_dex": float(difference.abs().max()),
        "rms_dex": float(difference.square().mean().sqrt()),
    }


def main() -> None:
    """Measure, print, write."""
    options = options_of(__doc__, cuda=False, threads=2)
    result: dict[str, Any] = {"torch": torch.__version__}
    if options.cuda:
        result |= {
            "device": torch.cuda.get_device_name(),
            "rows": measure("cuda", [(256, 64), (16, 256)], 7),
            "against_cpu": {"float32": moved("cuda", False), "bfloat16": moved("cuda", True)},
        }
    else:
        torch.set_num_threads(options.threads)
        result |= {
            "machine": platform.machine(),
            "threads": options.threads,
            "rows": measure("cpu", [(8, 64), (1, 256)], 5),
            "bfloat16": moved("cpu", True, 1, 256) if has_bfloat16("cpu") else None,
        }
    record("cnn_speed.json", result, part="cuda" if options.cuda else "cpu")


if __name__ == "__main__":
    main()
