"""Survey runs: a table of galaxies, or one large image, over the workers of a Dask cluster."""

from picasssso.surveys.mosaics import run_mosaic
from picasssso.surveys.running import read_results, run

__all__ = ["read_results", "run", "run_mosaic"]
