"""Constants that several parts must agree on."""

__all__ = ["HELIUM"]

#: Mass of all gas over that of its hydrogen: helium.
HELIUM = 1.36
