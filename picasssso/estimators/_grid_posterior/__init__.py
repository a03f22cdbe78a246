"""The posterior of pixels over a grid of models: the numerical heart of SED fitting.

Tensors in, tensors out; this part knows no files, units or images.
"""

from picasssso.estimators._grid_posterior.posterior import GridPosterior, PosteriorSummary

__all__ = ["GridPosterior", "PosteriorSummary"]
