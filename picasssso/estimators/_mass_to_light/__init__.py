"""The parts of `picasssso.estimators.mass_to_light`, one idea to a module.

`literature` reads what the literature gives: color-mass-to-light relations (`relations`), color
terms between surveys (`photometric_systems`), corrections to the rest frame (`k_corrections`).
`plan` chooses bands,
`adaptive_colors` the neighborhood that a color is measured in, `mass_model` turns magnitudes
into mass per flux, `library_model` does so with models of stellar populations, and `products`
gives percentiles.
"""
