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

import argparse
import json
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from picasssso._core.devices import has_bfloat16
from picasssso.estimators._cnn.weights import weights_path
from picasssso.networks.buck_wolf import BuckWolfNetwork
from picasssso.networks.inputs import Conditions, input_planes
from picasssso.networks.weights import read_weights

ROOT = Path(__file__).resolve().parents[1]
WEIGHTS = weights_path("default")
RESULT = Path(__file__).resolve().parent / "results" / "cnn_speed.json"


def images(
    n: int, side: int, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor, Conditions]:
    """Return made-up images: a bright source with noise."""
    generator = torch.Generator().manual_seed(1)
    axis = torch.linspace(-3, 3, side)
    source = 20 * torch.exp(-torch.hypot(axis[:, None], axis[None, :]))
    flux = source + torch.randn(n, 5, side, side, generator=generator)
    one = torch.ones(n)
    wavelengths = torch.tensor([3551.0, 4686.0, 6166.0, 7480.0, 8932.0]).expand(n, 5)
    conditions = Conditions(
        0.05 * one, 0.396 * one, 0.4 * one, 1.3 * torch.ones(n, 5), wavelengths, 0 * one
    )
    moved = Conditions(**{k: v.to(device) for k, v in vars(conditions).items()})
    return (0.05 * flux).to(device), torch.full(flux.shape, 400.0).to(device), moved


def timed(run: Callable[[], Any], repeats: int) -> float:
    """Return the median time of a run in seconds."""
    times = []
    run()
    for _ in range(repeats):
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        start = time.perf_counter()
        run()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return sorted(times)[len(times) // 2]


def measure(device: torch.device, cases: list[tuple[int, int]], repeats: int) -> list[dict]:
    """Time both networks on one device."""
    ensemble = read_weights(WEIGHTS).ensemble
    for network in ensemble.networks:
        network.to(device)
    paper = BuckWolfNetwork(first_features=64).to(device, memory_format=torch.channels_last).eval()
    peak = None
    if device.type == "cuda":
        a = torch.randn(8192, 8192, device=device, dtype=torch.bfloat16)
        peak = 2 * 8192**3 / timed(lambda: a @ a, 10)
    rows = []
    for n, side in cases:
        flux, weight, conditions = images(n, side, device)
        there = torch.ones(n, 5, dtype=torch.bool, device=device)

        def ours(mixed: bool, flux=flux, weight=weight, conditions=conditions, there=there) -> Any:
            return ensemble.predict(flux, weight, conditions, there, mixed_precision=mixed)

        @torch.inference_mode()
        def theirs(mixed: bool, flux=flux, weight=weight, conditions=conditions) -> Any:
            planes = input_planes(flux, weight, conditions)
            planes = planes.contiguous(memory_format=torch.channels_last)
            with torch.autocast(device.type, torch.bfloat16, enabled=mixed):
                return paper(planes)

        for name, run in (("ensemble", ours), ("buck_wolf_2021", theirs)):
            with FlopCounterMode(display=False) as counter:
                run(False)
            for mixed in (False, True) if has_bfloat16(device.type) else (False,):
                seconds = timed(lambda run=run, mixed=mixed: run(mixed), repeats)
                row = {
                    "network": name,
                    "images": n,
                    "side": side,
                    "bfloat16": mixed,
                    "images_per_s": round(n / seconds, 2),
                    "seconds_per_image": seconds / n,
                    "gflop_per_image": counter.get_total_flops() / n / 1e9,
                }
                if peak is not None:
                    row["part_of_peak"] = counter.get_total_flops() / seconds / peak
                rows.append(row)
                print(row, flush=True)
    return rows


def against_cpu() -> dict[str, float]:
    """Return the largest differences of medians between CUDA and CPU, dex."""
    flux, weight, conditions = images(2, 64, torch.device("cpu"))
    there = torch.ones(2, 5, dtype=torch.bool)
    here = read_weights(WEIGHTS).ensemble.predict(flux, weight, conditions, there)
    there_too = read_weights(WEIGHTS).ensemble
    for network in there_too.networks:
        network.to("cuda")
    flux, weight, conditions = images(2, 64, torch.device("cuda"))
    found = {}
    for mixed in (False, True):
        said = there_too.predict(flux, weight, conditions, there.cuda(), mixed_precision=mixed)
        difference = said.prediction.quantiles.cpu() - here.prediction.quantiles
        name = "bfloat16" if mixed else "float32"
        found[f"{name}_largest_dex"] = float(difference.abs().max())
        found[f"{name}_rms_dex"] = float(difference.square().mean().sqrt())
    return found


def rounding() -> dict[str, float] | None:
    """Return how far medians on a CPU move in bfloat16, dex; None where it has none."""
    if not has_bfloat16("cpu"):
        return None
    ensemble = read_weights(WEIGHTS).ensemble
    flux, weight, conditions = images(1, 256, torch.device("cpu"))
    there = torch.ones(1, 5, dtype=torch.bool)
    exact, rough = (
        ensemble.predict(flux, weight, conditions, there, mixed_precision=mixed)
        for mixed in (False, True)
    )
    moved = (rough.prediction.quantiles - exact.prediction.quantiles)[:, :, 2]
    return {
        "largest_dex": float(moved.abs().max()),
        "rms_dex": float(moved.square().mean().sqrt()),
    }


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cuda", action="store_true")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path, default=RESULT)
    arguments = parser.parse_args()
    result = json.loads(arguments.output.read_text()) if arguments.output.exists() else {}
    if arguments.cuda:
        device = torch.device("cuda")
        result["cuda"] = {
            "device": torch.cuda.get_device_name(),
            "torch": torch.__version__,
            "rows": measure(device, [(256, 64), (16, 256)], 7),
            "against_cpu": against_cpu(),
        }
    else:
        torch.set_num_threads(arguments.threads)
        result["cpu"] = {
            "machine": platform.machine(),
            "threads": arguments.threads,
            "torch": torch.__version__,
            "rows": measure(torch.device("cpu"), [(8, 64), (1, 256)], 5),
            "bfloat16": rounding(),
        }
    arguments.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
