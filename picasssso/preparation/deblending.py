"""What of a patch of light is the target, and what are stars on it and galaxies beside it.

Images here are in units of their noise per pixel, bands added. Point sources are found first, and
the light without them says where the galaxy's center is: its brightest, reached from the position
asked for without crossing a deep valley, nor leaving another galaxy's center. What a point source
outshines is taken to rise inwards as it does around it. The point source in that center is the
nucleus and stays, however bright it is and wherever the position asked for lies; one around which
light leans to one side is a star before the galaxy, even if it is what was asked for. Where that
cannot be told the light stays, and is named: nothing is masked that may be the nucleus, or under
which it may be.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from picasssso.maps.missing import smooth_light
from picasssso.preparation.point_sources import (
    MIN_PEAK,
    MIN_PIXELS,
    Lean,
    Point,
    centroid,
    find_points,
    lean_around,
    lean_at,
    turn,
)
from picasssso.preparation.surroundings import fill_with_surroundings

_SHALLOW = 1.2  # the same, of what is balanced around a center of its own
_VALLEY = 2.5  # a peak over the valley before it, of a galaxy of its own
_BEYOND = 0.8  # of the radius of the target's central part: neighbors are farther out
_STEEPEST = 2.5  # how far light may rise under a point source, as a power of e
#: Light opposite a center, over that of a peak, from which on the peak may be an arm's.
_OPPOSITE = 0.2
#: Light of a part, over all, that has nothing like it opposite the center: it may be another's.
_UNLIKE = 0.05
_NEVER_MASKED = 0.7  # FWHM around what may be the nucleus
_BLENDED = 2.0  # FWHM within which a star cannot be told from a nucleus beside it
_SMALL = 16.0  # FWHM squared: area of what may be a star and no galaxy
#: Light around a point source, within 3 FWHM of its wings and in all, that is not balanced around
#: the target's center, from which on the source may be a nucleus itself.
_UNBALANCED = 0.22, 0.12
_REACH = 1.5  # of how far positions may be off, for what may have been meant

Array = npt.NDArray[Any]
BoolArray = npt.NDArray[np.bool_]
Pixel = tuple[int, int]


@dataclass(frozen=True)
class Other:
    """Another source: pixel (x, y), and some light of it, in units of the image's noise."""

    x: float
    y: float
    light: float


@dataclass(frozen=True, eq=False)
class Parts:
    """What `take_apart` finds.

    Pixels of the target, of what is foreign, and of that what lies before the target; the nucleus,
    pixel (x, y); ``left``: what is masked, with its light that is left in the target's pixels;
    ``doubtful``: what is not masked and may not be the target's, with its light.
    """

    target: BoolArray
    foreign: BoolArray
    hidden: BoolArray
    n_stars: int
    n_neighbors: int
    nucleus: tuple[float, float]
    left: tuple[Other, ...]
    doubtful: tuple[Other, ...]


@dataclass(frozen=True, eq=False)
class _Field:
    """An image, the segment that holds the target, and the point sources in that."""

    image: Array
    whole: BoolArray
    fwhm: float
    points: Sequence[Point]
    leans: dict[Point, Lean]
    smooth: Array

    @property
    def width(self) -> float:
        """Standard deviation of the filter for light, pixels."""
        return max(self.fwhm / 2.355, 1.0)


def take_apart(
    image: Array,
    segments: Array,
    label: int,
    position: tuple[float, float],
    fwhm: float,
    near: float,
) -> Parts:
    """Return the parts of an image of which one segment holds the target.

    ``position``: where the target was asked for, pixel (x, y), good to ``near`` pixels.
    """
    from scipy.ndimage import binary_dilation, binary_fill_holes, gaussian_filter

    whole = segments == label
    points = find_points(image, whole, fwhm)
    leans = {p: lean_around(image, points, p, fwhm) for p in points}
    smooth = gaussian_filter(image, max(fwhm / 2.355, 1.0))
    field = _Field(image, whole, fwhm, points, leans, smooth)
    starless, center, nucleus, unsure = _find_center(field, position, near)
    if nucleus:
        center = nucleus.row, nucleus.column
    stars, unsure, centers = _stars(field, position, near, center, nucleus, unsure)
    center = centers[0]
    rows, columns = np.indices(image.shape)
    foreign = np.zeros(image.shape, dtype=bool)
    for star in stars:
        foreign |= star.distance(rows, columns) < star.mask_radius(fwhm)
    if stars:
        foreign = binary_dilation(foreign)
    core = np.zeros(image.shape, dtype=bool)
    # A center that a star outshines is known less well.
    reach = _NEVER_MASKED * fwhm * (1 if nucleus or len(centers) == 1 else 2)
    for row, column in (*centers, *((p.row, p.column) for p in unsure)):
        core |= np.hypot(rows - row, columns - column) < max(reach, 1.5)
    foreign &= ~core
    hidden = foreign & whole
    pieces = _deblend(starless, whole)
    own = pieces == pieces[center]
    opposite, turned = (turn(plane, 2 * np.array(center)) for plane in (image, starless))
    neighbors: list[BoolArray] = []
    doubtful: list[Other] = []
    kept = np.zeros(image.shape, dtype=bool)
    # Something so small is no galaxy, and another thing is what was meant.
    small = own.sum() < _SMALL * fwhm**2
    for number in np.setdiff1d(pieces[whole], [0, pieces[center]]):
        piece = pieces == number
        peak = _highest(starless, piece)
        lane = _lane(starless, peak, center)
        far = np.hypot(*np.subtract(peak, center)) > np.sqrt(own.sum() / np.pi) * _BEYOND
        deep = starless[peak] > (_VALLEY if far else np.inf) * lane
        if starless[peak] - lane < MIN_PEAK / 2:
            continue
        sure = starless[peak] - lane > MIN_PEAK and deep
        if not sure and _own_center(field, starless, peak, center):
            sure = starless[peak] > _SHALLOW * lane
        elif not sure and (
            starless[peak] < _SHALLOW * lane
            or turned[peak] > _OPPOSITE * starless[peak]
            or (image - opposite)[piece].sum() < _UNLIKE * image[whole].sum()
        ):
            continue
        apart = float(np.hypot(peak[1] - position[0], peak[0] - position[1]))
        meant = (
            apart < near + fwhm
            or (apart < _REACH * near + fwhm and image[piece].sum() > image[own].sum())
            or any(piece[c] for c in centers)
            or any(piece[p.row, p.column] for p in unsure)
            or nucleus in unsure
            or (small and image[piece].sum() > image[own].sum())
        )
        if sure and not meant:
            neighbors.append(piece)
            foreign |= piece & ~core
            hidden &= ~piece
        else:
            doubtful.append(_other(image, piece, peak))
            kept |= piece
    doubtful += [
        # No more than there is: stars may be narrower than thought.
        Other(p.column, p.row, min(p.flux(fwhm), _light_near(image, p, whole, 2 * fwhm)))
        for p in unsure
        if not kept[p.row, p.column]
    ]
    # A dark spot inside is still the target's.
    target = binary_fill_holes(whole) & ~foreign
    # Behind a neighbor the target reaches as far as on its other side.
    hidden |= turn(target, 2 * np.array(center)) & foreign & whole
    left = [
        Other(
            s.column,
            s.row,
            min(
                float(s.light(s.distance(*np.nonzero(target)), fwhm).sum()),
                _light_near(image, s, target, s.wing_radius(fwhm)),
            ),
        )
        for s in stars
    ]
    left += [_left_of(image, starless, piece, target, center) for piece in neighbors]
    n_neighbors = len(neighbors)
    others = (segments > 0) & ~whole & ~target
    n_neighbors += len(np.unique(segments[others]))
    if others.any():
        grown = binary_dilation(others, iterations=max(1, round(fwhm / 2)))
        foreign |= grown & ~target
    nucleus_xy = float(center[1]), float(center[0])
    return Parts(
        target,
        foreign,
        hidden,
        len(stars),
        n_neighbors,
        nucleus_xy,
        tuple(left),
        tuple(doubtful),
    )


# ---- the center ----------------------------------------------------------------------------


def _find_center(
    field: _Field, position: tuple[float, float], near: float
) -> tuple[Array, Pixel, Point | None, list[Point]]:
    """Return light without point sources, its center, the point source there, and unsure ones."""
    from scipy.ndimage import gaussian_filter

    image, fwhm, points = field.image, field.fwhm, field.points
    rows, columns = np.indices(image.shape)
    bright = np.zeros(image.shape, dtype=bool)
    for point in points:
        bright |= point.distance(rows, columns) < point.wing_radius(fwhm)
    filled = fill_with_surroundings(image, ~bright, 8 * fwhm)
    here = position[1], position[0]
    close = [p for p in points if p.distance(*here) < near + fwhm]
    if not any(field.leans[p].nucleus for p in close):
        # The light of a companion may lean on one that is a nucleus.
        light = np.where(field.whole, gaussian_filter(filled, field.width), -np.inf)
        top = _highest(light, field.whole)
        for point in close:
            peak = point.row, point.column
            if _own_center(field, light, peak, top, point) and _own_center(
                field, light, top, peak
            ):
                field.leans[point] = Lean(0.0, 0.0)
    for point in points:
        _restore(filled, image, bright, point, fwhm, balanced=not field.leans[point].star)
    starless = gaussian_filter(filled, field.width)
    center = _climb(field, starless, position, near)
    # Another galaxy may be brighter; that around a point source at the position is meant.
    apart = float(np.hypot(center[1] - position[0], center[0] - position[1]))
    around = [
        p
        for p in close
        if field.leans[p].nucleus
        and p.distance(*here) < apart
        and p.distance(*center) > 2 * fwhm
        and (apart > near + fwhm or _own_center(field, starless, (p.row, p.column), center, p))
    ]
    if around:
        first = min(around, key=lambda p: float(p.distance(*here)))
        center = first.row, first.column
    left = list(points)
    unsure: list[Point] = []
    while nucleus := _nucleus(field, left, center):
        lean = field.leans[nucleus]
        if lean.nucleus:
            # Which of two so close together is the nucleus cannot be told.
            unsure += [
                p
                for p in left
                if p is not nucleus
                and not field.leans[p].star
                and p.distance(nucleus.row, nucleus.column) < 2.5 * fwhm
            ]
            break
        beside = _beside(field, nucleus)
        if beside is not None:
            # A star so bright that its wings reach over the galaxy.
            rest = _without(field, nucleus, beside)
            other = _climb(field, rest, (beside.x, beside.y), fwhm)
        if beside is None or not (
            lean.star
            or np.hypot(other[1] - position[0], other[0] - position[1]) < nucleus.distance(*here)
        ):
            unsure.append(nucleus)
            break
        starless, center = rest, other
        left = [p for p in left if p is not nucleus]
        if not lean.star:
            unsure.append(nucleus)
    return starless, center, nucleus, unsure


def _restore(
    filled: Array, image: Array, bright: BoolArray, point: Point, fwhm: float, *, balanced: bool
) -> None:
    """Fill in under a point source what the light around it rises to.

    Its median along circles falls outwards around the center of a galaxy, even with another galaxy
    beside it, and hardly does around a star on a disk. ``balanced``: light that has nothing like
    it on the other side is another galaxy's.
    """
    wings = point.wing_radius(fwhm)
    step = max(fwhm, 0.3 * wings)
    reach = int(np.ceil(wings + 2 * step))
    box = tuple(slice(max(c - reach, 0), c + reach + 1) for c in (point.row, point.column))
    part = filled[box]
    rows, columns = (np.arange(c.start, c.start + n) for c, n in zip(box, part.shape, strict=True))
    distance = point.distance(rows[:, None], columns)
    # Without the wings of the source itself, and without other sources.
    rest = np.where(bright[box], part, image[box] - point.light(distance, fwhm))
    if balanced:
        twice = 2 * np.array([point.row - box[0].start, point.column - box[1].start])
        other = turn(rest, twice)
        strange = (rest > 1.5 * np.maximum(other, 0.0) + 3) & turn(
            np.ones_like(bright[box]), twice
        )
        rest = np.where(strange, other, rest)
    rings = [
        (distance >= wings + k * step) & (distance < wings + (k + 1) * step) for k in range(2)
    ]
    if min(np.count_nonzero(ring) for ring in rings) < MIN_PIXELS:
        return
    inner, outer = (float(np.median(rest[ring])) for ring in rings)
    if not inner > outer > 0:
        return
    slope = min(np.log(inner / outer) / step, _STEEPEST / wings)
    inside = distance < wings
    risen = inner * np.exp(slope * (wings + 0.5 * step - distance[inside]))
    part[inside] = np.maximum(part[inside], risen)


def _climb(field: _Field, starless: Array, position: tuple[float, float], near: float) -> Pixel:
    """Return the brightest pixel that is reached from a position without crossing a deep valley.

    A peak that is the center of a galaxy of its own is not left, however shallow the valley.
    """
    from scipy.ndimage import label

    light = np.where(field.whole, starless, -np.inf)
    rows, columns = np.indices(light.shape)
    distance = np.where(field.whole, np.hypot(rows - position[1], columns - position[0]), np.inf)
    within = distance <= max(near, float(distance.min()) + 1)
    place = _highest(light, within)
    while True:
        parts: Array = label(light > max(light[place] / _VALLEY, 0.0))[0]
        if not parts[place]:
            break
        top = _highest(light, parts == parts[place])
        if top == place:
            break
        summit = _summit(light, place)
        if summit != top and _own_center(field, light, summit, top):
            place = summit
            break
        place = top
    return place


def _highest(light: Array, where: BoolArray) -> Pixel:
    row, column = np.unravel_index(np.argmax(np.where(where, light, -np.inf)), light.shape)
    return int(row), int(column)


def _summit(light: Array, place: Pixel) -> Pixel:
    """Return the peak above a pixel."""
    while True:
        rows, columns = (slice(max(c - 1, 0), c + 2) for c in place)
        step = np.unravel_index(np.argmax(light[rows, columns]), light[rows, columns].shape)
        higher = int(rows.start + step[0]), int(columns.start + step[1])
        if not light[higher] > light[place]:
            return place
        place = higher


def _own_center(
    field: _Field, light: Array, peak: Pixel, center: Pixel, point: Point | None = None
) -> bool:
    """Return whether a peak is the center of a galaxy, not an arm or a knot around another center.

    There is nothing like it opposite that center, and of the light that the other galaxy does not
    have on both sides much lies around the peak, and does not lean to one side.
    """
    fwhm = field.fwhm
    opposite = 2 * center[0] - peak[0], 2 * center[1] - peak[1]
    if point is None and all(0 <= c < n for c, n in zip(opposite, light.shape, strict=True)):
        other = light[opposite]
        if np.isfinite(other) and other > _OPPOSITE * light[peak]:
            return False
    inner = 1.2 * fwhm if point is None else 1.3 * max(point.mask_radius(fwhm), 1.2 * fwhm)
    outer = max(inner + 2, 0.7 * float(np.hypot(peak[0] - center[0], peak[1] - center[1])))
    rows, columns = np.indices(light.shape)
    distance = np.hypot(rows - peak[0], columns - peak[1])
    around = (distance > inner) & (distance < outer)
    balanced = np.minimum(field.smooth, turn(field.smooth, 2 * np.array(center)))
    rest = field.image - np.maximum(balanced, 0.0)
    own = point.light(distance[around], fwhm).sum() if point else 0.0
    if not (rest[around].sum() - own > 0.5 * (field.image[around].sum() - own) > 0):
        return False
    others = [p for p in field.points if p is not point]
    return lean_at(rest, others, peak, (inner, outer), fwhm, point).nucleus


def _stars(
    field: _Field,
    position: tuple[float, float],
    near: float,
    center: Pixel,
    nucleus: Point | None,
    unsure: Sequence[Point],
) -> tuple[list[Point], list[Point], list[Pixel]]:
    """Return stars to be masked, point sources in doubt, and where the center may be, best first.

    In doubt is what may be the nucleus, or may have it under its mask.
    """
    fwhm, leans = field.fwhm, field.leans
    stars: list[Point] = []
    unsure, centers, here = list(unsure), [center], (position[1], position[0])
    # Of another galaxy than what was asked for, perhaps.
    beyond = np.hypot(center[0] - here[0], center[1] - here[1]) > near + fwhm
    for star in field.points:
        away = float(star.distance(*center))
        if star is nucleus or star in unsure or away <= 1.2 * fwhm:
            continue
        apart = float(star.distance(*here))
        if leans[star].nucleus:
            reach = _REACH * near if beyond else near
            doubt = apart < reach + fwhm or nucleus in unsure
        else:
            part = 0.5 if beyond else 1.0
            doubt = apart < near + fwhm and _may_be_center(field, star, center, part)
        if not doubt and away < star.mask_radius(fwhm) + fwhm:
            masked = star.distance(*np.indices(field.image.shape)) < star.mask_radius(fwhm)
            # A mask would take more of the galaxy's center than of the star.
            doubt = star.flux(fwhm) < 0.5 * float(field.image[masked].sum())
            if not doubt and nucleus is None:
                behind = _behind(field, star, centers[0])
                if star.distance(*behind) < star.mask_radius(fwhm) + fwhm:
                    centers.insert(0, behind)
                doubt = min(star.distance(*c) for c in centers) < _BLENDED * fwhm
        (unsure if doubt else stars).append(star)
    return stars, unsure, centers


def _may_be_center(field: _Field, point: Point, center: Pixel, part: float) -> bool:
    """Return whether a point source may be a nucleus, with another galaxy's center beside it.

    The light around a star is that of the galaxy behind it, and balanced around that one's center.
    """
    fwhm, twice = field.fwhm, 2 * np.array(center)
    distance = point.distance(*np.indices(field.image.shape))
    light = point.light(distance, fwhm)
    plain = np.ones_like(field.whole)
    for other in field.points:
        radius = other.wing_radius(fwhm) if other is point else other.mask_radius(fwhm) + 1
        plain &= other.distance(*np.indices(plain.shape)) > radius
    plain &= turn(plain, twice) & field.whole
    smooth = field.smooth - light
    rest = smooth - turn(smooth, twice)
    # Three times the noise of a difference.
    rest[rest < 3 * np.sqrt(2 / np.pi) / 2 / field.width] = 0.0
    near = plain & (distance < point.wing_radius(fwhm) + 3 * fwhm)
    parts = [(rest[w].sum(), (field.image - light)[w].sum()) for w in (near, plain)]
    least = (part * share for share in _UNBALANCED)
    return all(r > max(k * light, 0.0) for (r, light), k in zip(parts, least, strict=True))


def _behind(field: _Field, star: Point, center: Pixel) -> Pixel:
    """Return the center of a galaxy whose center a star outshines: that of a smooth profile."""
    distance = star.distance(*np.indices(field.image.shape))
    valid = (distance > star.mask_radius(field.fwhm) + 1) & field.whole
    light = np.where(valid, field.image - star.light(distance, field.fwhm), 0.0)
    smooth = smooth_light(light, valid)
    if smooth is None:
        return center
    row, column = round(smooth.center[1]), round(smooth.center[0])
    inside = 0 <= row < light.shape[0] and 0 <= column < light.shape[1]
    return (row, column) if inside and field.whole[row, column] else center


def _nucleus(field: _Field, points: Sequence[Point], center: Pixel) -> Point | None:
    """Return the point source in which the center of the other light lies, if there is one."""
    fwhm = field.fwhm
    inside = [p for p in points if p.distance(*center) < p.wing_radius(fwhm) + fwhm]
    if not inside:
        return None
    first = min(inside, key=lambda p: float(p.distance(*center)))
    # Of those close together, around which light leans least.
    close = [p for p in inside if p.distance(first.row, first.column) < 3 * fwhm]
    return min(close, key=lambda p: field.leans[p].low)


@dataclass(frozen=True, eq=False)
class _Beside:
    """A galaxy beside a star: its center (x, y), and its light without the star's, mirrored."""

    x: float
    y: float
    light: Array


def _beside(field: _Field, star: Point) -> _Beside | None:
    """Return the galaxy beside a point source: what differs from the image turned around that."""
    from scipy.ndimage import gaussian_filter

    image, fwhm = field.image, field.fwhm
    rows, columns = np.indices(image.shape)
    twice = np.rint(2 * centroid(image, star, fwhm)).astype(int)
    plain = np.ones(image.shape, dtype=bool)
    for point in field.points:
        if point is not star and not field.leans[point].nucleus:
            plain &= point.distance(rows, columns) >= point.wing_radius(fwhm)
    mirrored = turn(image, twice)
    both = plain & turn(plain, twice)
    away = star.distance(rows, columns) > star.mask_radius(fwhm)
    difference = gaussian_filter(image, field.width) - gaussian_filter(mirrored, field.width)
    near = star.distance(rows, columns) < star.wing_radius(fwhm) + 2 * fwhm
    difference = np.where(both & away & near & field.whole, difference, -np.inf)
    row, column = _highest(difference, field.whole)
    if not difference[row, column] > 0:
        return None
    return _Beside(float(column), float(row), image - mirrored)


def _without(field: _Field, star: Point, beside: _Beside) -> Array:
    """Return the smoothed image without point sources, one of which has a galaxy beside it."""
    from scipy.ndimage import gaussian_filter

    fwhm = field.fwhm
    rows, columns = np.indices(field.image.shape)
    distance = star.distance(rows, columns)
    light = np.where(distance < star.wing_radius(fwhm), np.maximum(beside.light, 0.0), field.image)
    bright = distance < star.mask_radius(fwhm) + 1
    for point in field.points:
        # Others may be in its wings, or its spikes.
        near = star.distance(point.row, point.column) < star.wing_radius(fwhm)
        radius = point.mask_radius(fwhm) if near else point.wing_radius(fwhm)
        bright |= point.distance(rows, columns) < radius
    return gaussian_filter(fill_with_surroundings(light, ~bright, 8 * fwhm), field.width)


# ---- neighbors -----------------------------------------------------------------------------


def _deblend(smooth: Array, whole: BoolArray) -> npt.NDArray[np.int64]:
    from photutils.segmentation import SegmentationImage, deblend_sources

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of sources too faint for exponential levels
        result = deblend_sources(
            smooth,
            SegmentationImage(whole.astype(int)),
            MIN_PIXELS,
            contrast=0.003,
            progress_bar=False,
        )
    return np.asarray(result.data, dtype=np.int64)


def _light_near(image: Array, point: Point, where: BoolArray, radius: float) -> float:
    near = where & (point.distance(*np.indices(image.shape)) < radius)
    return float(np.maximum(image[near], 0.0).sum())


def _lane(smooth: Array, peak: Pixel, center: Pixel) -> float:
    """Return the darkest light on the way from a peak to the target's center."""
    from scipy.ndimage import map_coordinates

    path = np.linspace(center, peak, 60).T
    return float(max(map_coordinates(smooth, path, order=1).min(), 0.0))


def _other(image: Array, piece: BoolArray, peak: Pixel) -> Other:
    return Other(peak[1], peak[0], float(np.maximum(image[piece], 0.0).sum()))


def _left_of(
    image: Array, smooth: Array, piece: BoolArray, target: BoolArray, center: Pixel
) -> Other:
    """Return a neighbor, and its light in the target's pixels, as on its other side.

    What the target has there is as on the target's other side.
    """
    peak = _highest(smooth, piece)
    own = turn(np.where(target, image, 0.0), 2 * np.array(center))
    beyond = np.where(piece & ~target, image - own, 0.0)
    light = turn(beyond, 2 * np.array(peak))[target].sum()
    return Other(peak[1], peak[0], max(float(light), 0.0))
