"""Measure totals: sums of the mean plane over exponential disks, and their uncertainty.

Disks of a signal-to-noise ratio of 10 or 50 per pixel (the root mean square over the bands)
at their center; out to five scale lengths most pixels have next to none. The fit must not
gain mass there by keeping fluxes positive, nor lose any by summing medians.

``mixed``: each pixel's population is drawn from the prior by itself. The prior is right for
such a disk, so its sum must be; the bar is judged by it.

``single``: one population throughout. What pixels cannot tell about it (the mass-to-light
ratio where there is next to no color) then comes from the prior in all of them alike, and
does not average out. Single disks scatter by that. The error of ``correlation="independent"``
holds what is left without noise as shared; ``"full"`` takes all of each pixel's as shared.
"""

from __future__ import annotations

import astropy.units as u
import numpy as np
from records import number, options_of, record, write_table
from sed_fit_common import BANDS, NO_EXTINCTION

from picasssso import BandImages, SEDFitEstimator
from picasssso.sps import ModelLibrary

REDSHIFT = 0.05
BAR = 0.03
SIGMA = 0.02 * np.array([0.6, 0.8, 1.0, 1.2, 2.0])
SCALE_LENGTH = 6.0
SIDE = 61
CENTRAL = (10.0, 50.0)


def disk(
    models: np.ndarray, ratio: float, rng: np.random.Generator
) -> tuple[BandImages, np.ndarray]:
    """Return images, and the mass formed in Msun/kpc2, for models per pixel or one."""
    y, x = np.indices((SIDE, SIDE)) - SIDE // 2
    brightness = ratio * np.sqrt(len(BANDS)) * np.exp(-np.hypot(y, x) / SCALE_LENGTH)
    formed = brightness / np.sqrt(((models / SIGMA) ** 2).sum(axis=-1))
    sigma = np.ones(formed.shape) * SIGMA[:, None, None]
    flux = formed * np.moveaxis(np.broadcast_to(models, (*formed.shape, len(BANDS))), -1, 0)
    images = BandImages.from_cube(
        flux + sigma * rng.standard_normal(flux.shape), BANDS, u.nmgy, uncertainty=sigma,
        redshift=REDSHIFT, pixel_scale=1 * u.arcsec, galactic_extinction=NO_EXTINCTION,
    )  # fmt: skip
    return images, formed


def measure(estimator: SEDFitEstimator, images: BandImages, mass: np.ndarray) -> tuple[float, ...]:
    """Return the total and the sum of medians over the truth, and the declared errors."""
    maps = estimator.estimate(images, progress=False)
    total = maps.total("stellar_mass", correlation="independent")
    area = total.assumptions["area"].to_value(u.kpc**2) / SIDE**2
    truth = mass.sum() * area
    return (
        total.value.to_value(u.Msun) / truth,
        np.nansum(maps["stellar_mass"].data) * area / truth,
        float(total.uncertainty / total.value),
        float(total.components["shared"] / total.value),
        truth,
        float((full := maps.total("stellar_mass", correlation="full")).uncertainty / full.value),
    )


def main() -> None:
    """Measure, print and write the result."""
    # Disks of mixed populations, and of one population each.
    options = options_of(__doc__, mixed=4, single=30)
    n = max(SIDE**2 * options.mixed, options.single)
    draws = ModelLibrary.build(BANDS, REDSHIFT, n_models=n, seed=20_006)
    # Points of the sequence come in an order that fills space; at random they do not repeat it.
    order = np.random.default_rng(11).permutation(n)
    models = np.asarray(draws.fluxes, float)
    surviving = np.asarray(draws.properties["surviving_fraction"], float)
    result: dict = {"bar": BAR, "pixels_each": SIDE**2}
    for floor in (0.0, 0.05):
        estimator = SEDFitEstimator(error_floor=floor, template_error=False, device="cpu")
        for ratio in CENTRAL:
            rng = np.random.default_rng(10)
            rows = []
            for some in order[: SIDE**2 * options.mixed].reshape(-1, SIDE, SIDE):
                images, formed = disk(models[some], ratio, rng)
                rows.append(measure(estimator, images, formed * surviving[some]))
            found, medians, error, shared, _, _ = np.array(rows).T
            result[f"mixed, floor {floor:g}, central signal to noise {ratio:g}"] = {
                "disks": len(rows),
                "total_over_truth": float(found.mean()),
                "its_standard_error": float(found.std(ddof=1) / np.sqrt(len(found))),
                "sum_of_medians_over_truth": float(medians.mean()),
                "declared_relative_error": float(np.median(error)),
                "of_it_shared": float(np.median(shared)),
            }
    for ratio in CENTRAL:
        rng = np.random.default_rng(10)
        rows = []
        for k in range(options.single):
            images, formed = disk(models[k], ratio, rng)
            rows.append(measure(estimator, images, formed * surviving[k]))
        found, _, error, shared, truth, full = np.array(rows).T
        result[f"single, floor {floor:g}, central signal to noise {ratio:g}"] = {
            "disks": len(rows),
            "all_totals_over_all_truths": float((found * truth).sum() / truth.sum()),
            "its_standard_error": float(
                np.std((found - 1) * truth, ddof=1) * np.sqrt(len(rows)) / truth.sum()
            ),
            "scatter_of_disks_dex": float(np.std(np.log10(found))),
            "declared_relative_error": float(np.median(error)),
            "of_it_shared": float(np.median(shared)),
            "truth_within_declared_error": float(np.mean(np.abs(1 / found - 1) < error)),
            "declared_relative_error_if_fully_correlated": float(np.median(full)),
            "truth_within_it": float(np.mean(np.abs(1 / found - 1) < full)),
        }
    record("sed_fit_totals.json", result)
    write_table("sed_fit_totals", rows_of(result))


def rows_of(result: dict) -> list[list[str]]:
    """Return the rows of the documentation's table."""
    rows = [
        "disk|total / truth|medians / truth|stated error|scatter, dex|truth within it|full".split(
            "|"
        )
    ]
    for name, found in result.items():
        if not isinstance(found, dict) or "disks" not in found:
            continue
        mixed = "total_over_truth" in found
        ratio = found["total_over_truth" if mixed else "all_totals_over_all_truths"]
        rows.append([
            name.replace("signal to noise", "S/N"),
            number([ratio, found["its_standard_error"]], 3),
            number(found.get("sum_of_medians_over_truth"), 3),
            number(found["declared_relative_error"], 2),
            number(found.get("scatter_of_disks_dex"), 2),
            number(found.get("truth_within_declared_error"), 2),
            number(found.get("truth_within_it"), 2),
        ])  # fmt: skip
    return rows


if __name__ == "__main__":
    main()
