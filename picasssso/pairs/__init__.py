"""Pairs of images and truth, for training and evaluation.

`PairSource` is the common interface of pairs that are generated on demand
(`picasssso.mocks.GeneratedPairs`), of galaxies in memory (``observed.to_pairs()``), of the
user's own images and maps (``picasssso.pairs.from_maps``), and of stored sets (`StoredPairs`,
written by `write_pairs`). All are torch datasets. `PairStream` makes batches of any of them; the
truth in a batch is a `TrueSums`.
"""

from picasssso.pairs.source import PairSource
from picasssso.pairs.stored import StoredPairs
from picasssso.pairs.writing import write_pairs

__all__ = ["PairSource", "StoredPairs", "write_pairs"]
