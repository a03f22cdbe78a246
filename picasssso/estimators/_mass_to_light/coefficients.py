"""Coefficients of the published relations, as in their tables: a + b color.

One line for each color, then (a, b) pairs for the luminosity bands in the header. They
are published numbers, retyped; what each was checked against stands with the relation
in `picasssso.estimators._mass_to_light.relations`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

#: For each color, for each luminosity band: intercept and slope of log10 M/L.
Coefficients = Mapping[tuple[str, str], Mapping[str, tuple[float, float]]]


def parse_coefficients(table: str) -> Coefficients:
    r"""Read a table of coefficients.

    Returns ``coefficients[("g", "i")]["r"]`` is ``(intercept, slope)``.

    Examples
    --------
    >>> from picasssso.estimators._mass_to_light.coefficients import parse_coefficients
    >>> parse_coefficients("r i\ng-i  - -  -0.68 0.70")[("g", "i")]
    mappingproxy({'i': (-0.68, 0.7)})
    """
    header, *lines = table.strip().splitlines()
    bands = header.split()
    rows = {}
    for line in lines:
        label, *values = line.split()
        if len(values) != 2 * len(bands):
            raise ValueError(f"{line!r} has {len(values)} values for {len(bands)} bands")
        blue, _, red = label.partition("-")
        pairs = zip(bands, values[::2], values[1::2], strict=True)
        rows[blue, red] = MappingProxyType(
            {band: (float(a), float(b)) for band, a, b in pairs if a != "-"}
        )
    return MappingProxyType(rows)


#: Bell et al. (2003), table 7, SDSS part.
BELL2003 = parse_coefficients(
    """
        g             r             i             z
u-g  -0.221 0.485  -0.099 0.345  -0.053 0.268  -0.105 0.226
u-r  -0.390 0.417  -0.223 0.299  -0.151 0.233  -0.178 0.192
u-i  -0.375 0.359  -0.212 0.257  -0.144 0.201  -0.171 0.165
u-z  -0.400 0.332  -0.232 0.239  -0.161 0.187  -0.179 0.151
g-r  -0.499 1.519  -0.306 1.097  -0.222 0.864  -0.223 0.689
g-i  -0.379 0.914  -0.220 0.661  -0.152 0.518  -0.175 0.421
g-z  -0.367 0.698  -0.215 0.508  -0.153 0.402  -0.171 0.322
r-i  -0.106 1.982  -0.022 1.431   0.006 1.114  -0.052 0.923
r-z  -0.124 1.067  -0.041 0.780  -0.018 0.623  -0.041 0.463
"""
)

#: Zibetti, Charlot & Rix (2009), table B1, SDSS part.
ZIBETTI2009 = parse_coefficients(
    """
        g             r             i             z
u-g  -1.628 1.360  -1.319 1.093  -1.277 0.980  -1.315 0.913
u-r  -1.427 0.835  -1.157 0.672  -1.130 0.602  -1.181 0.561
u-i  -1.468 0.716  -1.193 0.577  -1.160 0.517  -1.206 0.481
u-z  -1.559 0.658  -1.268 0.531  -1.225 0.474  -1.260 0.439
g-r  -1.030 2.053  -0.840 1.654  -0.845 1.481  -0.914 1.382
g-i  -1.197 1.431  -0.977 1.157  -0.963 1.032  -1.019 0.955
g-z  -1.370 1.190  -1.122 0.965  -1.089 0.858  -1.129 0.791
r-i  -1.405 4.280  -1.155 3.482  -1.114 3.087  -1.145 2.828
r-z  -1.576 2.490  -1.298 2.032  -1.238 1.797  -1.250 1.635
"""
)

#: Taylor et al. (2011), equation 7.
TAYLOR2011 = parse_coefficients(
    """
        i
g-i  -0.68 0.70
"""
)

#: Into & Portinari (2013), templates of disc galaxies; the rows that could be checked.
INTO_PORTINARI2013 = parse_coefficients(
    """
        r             i
g-r  -0.663 1.530     -     -
g-i  -0.702 1.098  -0.669 0.985
"""
)

#: Roediger & Courteau (2015), appendix, stellar populations of Bruzual & Charlot (2003).
ROEDIGER_COURTEAU2015_BC03 = parse_coefficients(
    """
        g             r             i             z
g-r  -0.984 2.029  -0.792 1.629  -0.771 1.438  -0.796 1.306
g-i  -1.067 1.379  -0.861 1.110  -0.831 0.979  -0.848 0.886
g-z  -1.132 1.116  -0.916 0.900  -0.878 0.793  -0.888 0.716
r-i  -1.170 4.107  -0.952 3.325  -0.908 2.925  -0.912 2.634
r-z  -1.211 2.322  -0.987 1.883  -0.937 1.655  -0.935 1.483
i-z  -1.212 5.164  -0.991 4.201  -0.939 3.683  -0.931 3.283
"""
)

#: Roediger & Courteau (2015), appendix, stellar populations of FSPS.
ROEDIGER_COURTEAU2015_FSPS = parse_coefficients(
    """
        g             r             i             z
g-r  -0.811 1.897  -0.647 1.497  -0.602 1.281  -0.583 1.102
g-i  -0.805 1.231  -0.644 0.973  -0.597 0.831  -0.576 0.713
g-z  -0.764 0.942  -0.612 0.744  -0.568 0.634  -0.548 0.542
r-i  -0.745 3.374  -0.600 2.675  -0.556 2.275  -0.537 1.940
r-z  -0.670 1.795  -0.539 1.421  -0.502 1.206  -0.487 1.021
i-z  -0.550 3.709  -0.443 2.933  -0.419 2.484  -0.411 2.084
"""
)
