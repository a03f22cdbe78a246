"""Pairs of images and truth, for training and evaluation.

One interface, `PairSource`, for an endless generator (`picasssso.mocks.GeneratedPairs`, no
disk), for galaxies in memory (`picasssso.mocks.ObservedPairs`), for images and maps of one's
own (``picasssso.pairs.from_maps``) and for stored sets (`StoredPairs`, written by
`write_pairs`). All are datasets of torch. `PairStream` makes batches of any of them; the truth
in them is `TrueSums`.
"""

from picasssso.pairs.source import PairSource
from picasssso.pairs.stored import StoredPairs
from picasssso.pairs.writing import write_pairs

__all__ = ["PairSource", "StoredPairs", "write_pairs"]
