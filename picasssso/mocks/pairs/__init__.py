"""Pairs of images and truth, for training and evaluation.

One interface, `PairSource`, for an endless generator (`GeneratedPairs`, no disk), for
galaxies in memory (`ObservedPairs`) and for stored sets (`StoredPairs`, written by
`write_pairs`). All are datasets of torch. `PairStream` makes batches of any of them.
"""

from picasssso.mocks.pairs.generated import GeneratedPairs, ObservedPairs
from picasssso.mocks.pairs.source import PairSource, PairStream
from picasssso.mocks.pairs.splits import SPLITS, split_of
from picasssso.mocks.pairs.stored import StoredPairs
from picasssso.mocks.pairs.writing import write_pairs

__all__ = [
    "SPLITS",
    "GeneratedPairs",
    "ObservedPairs",
    "PairSource",
    "PairStream",
    "StoredPairs",
    "split_of",
    "write_pairs",
]
