"""Pairs of images and truth, for training and evaluation.

One interface, `PairSource`, for an endless generator (`picasssso.mocks.GeneratedPairs`, no
disk), for galaxies in memory (`picasssso.mocks.ObservedPairs`), for images and maps of one's
own (``picasssso.pairs.from_maps``) and for stored sets (`StoredPairs`, written by
`write_pairs`). All are datasets of torch. `PairStream` makes batches of any of them; the truth
in them is `TrueSums`.
"""

from picasssso.pairs.source import PairSource, PairStream
from picasssso.pairs.splits import SPLITS, split_of
from picasssso.pairs.stored import StoredPairs
from picasssso.pairs.truth import SUMS, TrueSums
from picasssso.pairs.writing import write_pairs

__all__ = [
    "SPLITS",
    "SUMS",
    "PairSource",
    "PairStream",
    "StoredPairs",
    "TrueSums",
    "split_of",
    "write_pairs",
]
