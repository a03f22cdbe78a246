"""The parts of `picasssso.estimators.sed_fit`.

`fitters` makes and keeps model libraries ready for fitting, `shared_error` says how much of a
posterior's width all pixels have in common, and orders samples accordingly.
"""
