"""The networks of `picasssso.CNNEstimator`: tensors in, tensors out (torch and numpy only)."""

__all__: list[str] = []
