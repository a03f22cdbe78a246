"""Galaxies from the particles of cosmological simulations.

`read_particles` reads EAGLE, Illustris (IllustrisTNG, CAMELS), SWIFT (COLIBRE) and
Magneticum files; `Particles.to_galaxies` describes what it read on a pixel grid, from
where light, images and true maps follow as for every other mock galaxy.
"""
