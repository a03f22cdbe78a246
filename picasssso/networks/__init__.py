"""The networks of `picasssso.CNNEstimator`: tensors in, tensors out (torch and numpy only).

Most users need no more than weights; networks are trained by `picasssso.training`.
"""

from picasssso.networks.weights import write_weights

__all__ = ["write_weights"]
