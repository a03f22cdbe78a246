"""Stellar populations: grids, histories, dust, photometry and model libraries.

This part of the package knows no image. From a grid of simple stellar populations
(`SSPGrid`) and a prior (`SEDPrior`) it makes libraries of model populations with their
fluxes in any bands at any redshift and their properties (`ModelLibrary`).
"""

from picasssso.sps.dust import AttenuationLaw, Calzetti, TwoComponent
from picasssso.sps.grid import SSPGrid
from picasssso.sps.library import ModelLibrary
from picasssso.sps.priors import SEDPrior
from picasssso.sps.template_error import TemplateError

__all__ = [
    "AttenuationLaw",
    "Calzetti",
    "ModelLibrary",
    "SEDPrior",
    "SSPGrid",
    "TemplateError",
    "TwoComponent",
]
