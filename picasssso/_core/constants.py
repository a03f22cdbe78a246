"""Constants that several parts must agree on."""

#: Mass of all gas over that of its hydrogen: helium.
HELIUM = 1.36
