"""Several images at a time: those of one shape are put through the network together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from picasssso.estimators._assembly import MapAssembler
from picasssso.estimators.context import EstimationContext

if TYPE_CHECKING:
    from picasssso.bands import BandImages
    from picasssso.maps import PropertyMaps

Job = tuple["BandImages", EstimationContext]


def estimate_jobs(
    estimator: Any, jobs: Sequence[Job], batch_size: int, progress: bool | None
) -> list[PropertyMaps]:
    """Estimate images for a `CNNEstimator`, as many at a time as its memory budget allows."""
    from tqdm.auto import tqdm

    maps: list[Any] = [None] * len(jobs)
    groups: dict[tuple[int, int], list[int]] = {}
    for k, (one, _) in enumerate(jobs):
        groups.setdefault(one.shape, []).append(k)
    disable = None if progress is None else not progress
    name = type(estimator).__name__
    with tqdm(total=len(jobs), desc=name, unit="image", disable=disable) as bar:
        for shape, members in groups.items():
            n_samples = jobs[members[0]][1].n_samples
            pixels = shape[0] * shape[1] * estimator.bytes_per_pixel(5, n_samples)
            size = max(1, min(batch_size, int(estimator.memory_budget // pixels)))
            for start in range(0, len(members), size):
                some = members[start : start + size]
                found = _estimate_together(estimator, [jobs[k] for k in some])
                for k, result in zip(some, found, strict=True):
                    maps[k] = result
                    bar.update()
    return maps


def _estimate_together(estimator: Any, jobs: Sequence[Job]) -> list[PropertyMaps]:
    """Estimate images of one shape."""
    assemblers = [MapAssembler(estimator, images, context) for images, context in jobs]
    blocks, _ = estimator._blocks(jobs[0][0], jobs[0][1].n_samples)
    for block in blocks:
        arrays = [images.to_arrays(block.padded) for images, _ in jobs]
        origin = (block.padded[0].start, block.padded[1].start)
        contexts = [replace(context, origin=origin) for _, context in jobs]
        results = estimator._estimate_batch(
            [flux for flux, _ in arrays], [weights for _, weights in arrays], contexts
        )
        for assembler, (flux, weights), context, result in zip(
            assemblers, arrays, contexts, results, strict=True
        ):
            assembler.add(block, flux, weights, context, result)
    found = [assembler.finish() for assembler in assemblers]
    for maps in found:
        estimator.review(maps)
    return found
