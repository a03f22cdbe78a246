"""The parts of `picasssso.estimators.mass_to_light`, one idea to a module.

`relations` holds the published color-mass-to-light relations, `photometric_systems` the color
terms between surveys, `k_corrections` the corrections to the rest frame. `plan` chooses bands,
`adaptive_colors` the neighborhood that a color is measured in, `mass_model` turns magnitudes
into mass per flux, `library_model` does so with models of stellar populations, and `products`
gives percentiles.
"""
