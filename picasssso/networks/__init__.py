"""The networks of `picasssso.CNNEstimator`: tensors in, tensors out (torch and numpy only).

Most users need only weights, which `picasssso.CNNEstimator` reads and writes; networks are
trained by `picasssso.training`.
"""
