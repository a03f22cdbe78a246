"""The parts of `picasssso.estimators.sed_fit`, one idea to a module.

`fitters` makes and keeps model libraries ready for fitting, `prior_edges` says which models
lie at the edge of the prior, `shared_error` how much of a posterior's width all pixels have
in common, `shared_draws` orders samples accordingly.
"""
