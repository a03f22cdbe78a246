"""Images per second of the shipped network and of the paper's, on one device.

Both take the same images in the same run: 64 x 64 in batches, and 256 x 256 one by one and in
batches; the shipped one with its whole ensemble, from images to quantiles (also with one
member, which compares network with network), the paper's with 64 first features and as many
members as it has, one. On CUDA also in bfloat16, with the share of the device's
peak (``--peak``, TFLOP/s in bfloat16: 989 for an H100) and the difference that it makes.
Needs torch, numpy and safetensors only.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from picasssso.networks.baseline import predict_maps
from picasssso.networks.buck_wolf import BuckWolfNetwork
from picasssso.networks.ensemble import Ensemble
from picasssso.networks.inputs import Conditions
from picasssso.networks.weights import read_weights

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks" / "results" / "cnn_speed.json"
WEIGHTS = ROOT / "picasssso" / "data" / "weights" / "default"

#: Longest that 256 x 256 pixels may take on two cores, seconds; least gain over the paper's.
BARS = {"seconds_256": 0.15, "gain": 1.5}


def make_images(n: int, size: int, device: torch.device) -> tuple:
    """Return flux, inverse variance, conditions and bands of images that look like galaxies."""
    generator = torch.Generator().manual_seed(1)
    y, x = torch.meshgrid(*[torch.arange(size) - size / 2] * 2, indexing="ij")
    light = 5.0 * torch.exp(-torch.hypot(y, x) / (0.1 * size))
    flux = light * torch.tensor([0.3, 0.7, 1.0, 1.2, 1.3])[None, :, None, None]
    flux = flux + 0.1 * torch.randn(n, 5, size, size, generator=generator)
    one, five = torch.ones(n, device=device), torch.ones(n, 5, device=device)
    wavelengths = torch.tensor([3557.0, 4702.0, 6176.0, 7490.0, 8947.0], device=device)
    conditions = Conditions(
        0.05 * one, 0.4 * one, 0.4 * one, 1.3 * five, wavelengths.expand(n, 5), 0 * one
    )
    flux = flux.to(device)
    return flux, torch.full_like(flux, 100.0), conditions, five > 0


def seconds(call: Callable[[], object], device: torch.device, repetitions: int) -> float:
    """Return the median time of a call."""
    times = []
    for k in range(repetitions + 2):
        start = time.perf_counter()
        call()
        if device.type == "cuda":
            torch.cuda.synchronize()
        if k >= 2:
            times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, default=WEIGHTS)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--peak", type=float, help="TFLOP/s of the device in bfloat16")
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("-o", "--output", type=Path, default=RESULT)
    options = parser.parse_args()
    device = torch.device(options.device)
    is_cuda = device.type == "cuda"
    model = read_weights(options.weights)
    networks = [network.to(device) for network in model.ensemble.networks]
    paper = BuckWolfNetwork().eval().requires_grad_(False)
    paper = paper.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    ensembles = {"ours": Ensemble(networks), "ours, one member": Ensemble(networks[:1])}
    shapes = [(64, 256), (256, 1), (256, 16)] if is_cuda else [(64, 16), (256, 1)]
    rows = []
    for size, n in shapes:
        flux, weight, conditions, has_band = make_images(n, size, device)

        def run_paper(flux=flux, weight=weight, conditions=conditions):  # type: ignore[no-untyped-def]
            with torch.autocast(device.type, torch.bfloat16, enabled=is_cuda):
                return predict_maps([paper], flux, weight, conditions)

        calls = {"paper": run_paper}
        for name, ensemble in ensembles.items():
            for mixed in (False, True) if is_cuda else (False,):

                def run(e=ensemble, mixed=mixed, images=(flux, weight, conditions, has_band)):  # type: ignore[no-untyped-def]
                    return e.predict(*images, mixed_precision=mixed)

                calls[name + (", bfloat16" if mixed else "")] = run
        for name, call in calls.items():
            with FlopCounterMode(display=False) as counter:
                call()
            taken = seconds(call, device, options.repetitions)
            row = {
                "network": name, "size": size, "batch": n, "seconds": taken,
                "images_per_second": n / taken, "tflops": counter.get_total_flops() / taken / 1e12,
            }  # fmt: skip
            if options.peak:
                row["share_of_peak"] = row["tflops"] / options.peak
            rows.append(row)
            print(row, flush=True)
        if is_cuda:
            exact, rough = (ensembles["ours"].predict(
                flux, weight, conditions, has_band, mixed_precision=mixed
            ).prediction.quantiles[:, :, 2] for mixed in (False, True))  # fmt: skip
            print("bfloat16 moves medians by", float((exact - rough).abs().mean()), "dex (mean)")
            rows[-1]["bfloat16_change_dex"] = float((exact - rough).abs().mean())
    result = {
        "device": torch.cuda.get_device_name() if is_cuda else platform.machine(),
        "threads": None if is_cuda else torch.get_num_threads(),
        "torch": torch.__version__,
        "weights": model.card["sha256"],
        "bars": BARS,
        "rows": rows,
    }
    options.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
