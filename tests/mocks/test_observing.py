from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from picasssso.exceptions import InvalidInputError
from picasssso.mocks import MockGenerator, ProceduralGalaxies, observe
from picasssso.mocks.observing.surveys import SURVEYS, get_survey
from picasssso.mocks.observing.transfer_functions import (
    convolve,
    gaussian_transfer,
    image_transfer,
    moffat_transfer,
)

UGRIZ = tuple(f"sdss2010-{band}" for band in "ugriz")
CLEAN = {"contaminants": 0.0, "background": 0.0, "bad_pixels": 0.0}


@settings(max_examples=25, deadline=None)
@given(fwhm=st.floats(0.5, 8.0), size=st.sampled_from([(31, 40), (32, 32), (33, 33)]))
def test_a_psf_keeps_flux(fwhm, size):
    images = torch.rand(2, *size)
    kernel = np.random.default_rng(0).random((5, 7)) + 0.1
    width = torch.tensor([fwhm])
    for transfer in (
        gaussian_transfer(width, size),
        moffat_transfer(width, size),
        image_transfer(kernel, size),
    ):
        found = convolve(images, transfer).sum((1, 2))
        torch.testing.assert_close(found, images.sum((1, 2)), rtol=1e-3, atol=0)


@pytest.mark.parametrize("make", [gaussian_transfer, moffat_transfer])
def test_a_point_becomes_as_wide_as_stated(make):
    image = torch.zeros(1, 65, 65)
    image[0, 32, 32] = 1.0
    profile = convolve(image, make(torch.tensor([7.0]), (65, 65)))[0, 32].numpy()
    above = np.interp(0.5 * profile[32], profile[:33], np.arange(33))
    assert 2 * (32 - above) == pytest.approx(7.0, rel=0.03)


def test_a_psf_image_is_applied_unturned():
    kernel = np.zeros((3, 3))
    kernel[0, 2] = 1.0  # down, right
    image = torch.zeros(1, 9, 9)
    image[0, 4, 4] = 1.0
    found = convolve(image, image_transfer(kernel, (9, 9)))[0]
    assert float(found[3, 5]) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("kernel", [np.ones((4, 5)), np.ones((11, 11)), np.zeros((3, 3))])
def test_bad_psf_images_are_refused(kernel):
    with pytest.raises(InvalidInputError, match="PSF image"):
        image_transfer(kernel, (9, 9))


def test_surveys_are_as_their_sources_say():
    for name in SURVEYS:
        survey = get_survey(name)
        assert survey.source
        assert len(survey.psf_fwhm) == len(survey.bands)
    sdss = get_survey("sdss")
    assert sdss.pixel_scale == 0.396
    # The published 5-sigma depths, from what the noise per pixel amounts to.
    np.testing.assert_allclose(sdss.point_source_depth(), [22.15, 23.13, 22.70, 22.20, 20.71])
    deep = [get_survey(name).point_source_depth()[2] for name in ("ps1", "des", "lsst")]
    assert deep == sorted(deep)
    few = sdss.select(("sdss2010-i", "sdss2010-g"))
    assert few.psf_fwhm == (sdss.psf_fwhm[3], sdss.psf_fwhm[1])
    with pytest.raises(InvalidInputError, match="no band"):
        sdss.select(("hsc2017-g",))
    with pytest.raises(InvalidInputError, match="paper_field"):
        get_survey("2mass")


def test_noise_is_as_stated(paper_table):
    galaxies = ProceduralGalaxies(seed=3, n_pixels=48, redshift=0.05).draw(range(30))
    light = paper_table.light(galaxies)
    observed = observe(galaxies, light, UGRIZ, "sdss", seed=5, **CLEAN)
    again = observe(galaxies, light, UGRIZ, "sdss", seed=6, **CLEAN)
    # Zero points differ between the two by 1 %, which bright pixels would show.
    faint = observed.inverse_variance > 0.7 * observed.inverse_variance.amax((2, 3), keepdim=True)
    difference = observed.flux - again.flux
    sigma2 = 1 / observed.inverse_variance + 1 / again.inverse_variance
    for band in range(5):
        chosen = faint[:, band]
        ratio = (difference[:, band] / sigma2[:, band].sqrt())[chosen]
        assert float(ratio.std()) == pytest.approx(1.0, abs=0.02)


def test_photon_noise_of_bright_pixels_is_as_stated(paper_table):
    from dataclasses import replace

    galaxies = ProceduralGalaxies(
        seed=3, n_pixels=48, redshift=0.05, mass_range=(10.8, 11.4)
    ).draw(range(40))
    survey = replace(get_survey("sdss"), zero_point_error=0.0, seeing_scatter=0.0)
    light = paper_table.light(galaxies)
    one, other = (observe(galaxies, light, UGRIZ, survey, seed=s, **CLEAN) for s in (1, 2))
    ratio = (one.flux - other.flux) / (
        1 / one.inverse_variance + 1 / other.inverse_variance
    ).sqrt()
    bright = one.inverse_variance < 0.5 * one.inverse_variance.amax((2, 3), keepdim=True)
    assert int(bright.sum()) > 3000
    assert float(ratio[bright].std()) == pytest.approx(1.0, abs=0.03)


def test_the_papers_signal_to_noise(paper_table):
    galaxies = ProceduralGalaxies(seed=3, n_pixels=64, survey="paper_field").draw(range(6))
    light = paper_table.light(galaxies)
    observed = observe(galaxies, light, UGRIZ, "paper_field", **CLEAN)
    area = galaxies.pixel_scale[:, None, None, None] ** 2
    transfer = gaussian_transfer(1.0 / galaxies.pixel_scale_kpc[:, None], (64, 64))
    signal = convolve(light.surface_brightness * area, transfer)
    steps = torch.arange(64) - 31.5
    radius = torch.hypot(steps[:, None], steps[None, :])
    # The field is 10 half-mass radii wide: 2 of them are 12.8 pixels.
    inside = (radius < 12.8).float()
    ratio = (signal * observed.inverse_variance.sqrt() * inside).sum((2, 3)) / inside.sum()
    torch.testing.assert_close(ratio, torch.full((6, 5), 25.0), rtol=1e-3, atol=0)


def test_noise_and_all_else_do_not_depend_on_the_batch(paper_table):
    generator = MockGenerator(5, survey="paper_field", n_pixels=32, table=paper_table)
    together, alone = generator.draw(range(6)), generator.draw([4])
    scale = together.inverse_variance[4].amax((1, 2)).sqrt()[:, None, None]
    assert float(((alone.flux[0] - together.flux[4]) * scale).abs().max()) < 0.01
    torch.testing.assert_close(alone.truth.sums[0], together.truth.sums[4], rtol=1e-4, atol=1e-2)


def test_truth_at_the_images_resolution(paper_table):
    generator = MockGenerator(
        5, survey="paper_field", n_pixels=48, margin=0, table=paper_table, observing=CLEAN
    )
    mocks = generator.draw(range(4))
    native, seen = mocks.truth.sums, mocks.truth_at_psf.sums
    torch.testing.assert_close(seen.sum((2, 3)), native.sum((2, 3)), rtol=1e-3, atol=1e-3)
    assert bool((seen[:, 0].amax((1, 2)) < native[:, 0].amax((1, 2))).all())
    # An intensive map is the mean weighted by what is there.
    maps = mocks.truth_at_psf.properties()
    ratio = seen[:, 2] / seen[:, 0]
    torch.testing.assert_close(maps["stellar_age"], ratio)


def test_contaminants_background_and_bad_pixels(paper_table):
    galaxies = ProceduralGalaxies(seed=3, n_pixels=48, redshift=0.05).draw(range(30))
    light = paper_table.light(galaxies)
    clean = observe(galaxies, light, UGRIZ, "sdss", **CLEAN)
    dirty = observe(
        galaxies, light, UGRIZ, "sdss", contaminants=3.0, background=1.0, bad_pixels=0.01
    )
    bad = dirty.inverse_variance == 0
    assert 0.002 < float(bad.float().mean()) < 0.03
    assert float(dirty.flux[bad].abs().max()) == 0
    more = (dirty.flux - clean.flux)[~bad] * clean.inverse_variance[~bad].sqrt()
    assert float(more.max()) > 20
    torch.testing.assert_close(dirty.truth.sums, clean.truth.sums)


def test_conversion_to_band_images_and_property_maps(paper_table):
    generator = MockGenerator(5, survey="paper_field", n_pixels=32, table=paper_table)
    mocks = generator.draw(range(2))
    images = mocks.to_band_images(1)
    assert images.bands == UGRIZ
    assert images.redshift == pytest.approx(0.05)
    flux, weight = images.to_arrays()
    np.testing.assert_allclose(flux[weight > 0], mocks.flux[1].numpy()[weight > 0], rtol=1e-5)
    np.testing.assert_allclose(weight, mocks.inverse_variance[1].numpy(), rtol=1e-4)
    maps = mocks.to_property_maps(1)
    blurred = mocks.to_property_maps(1, at_psf=True)
    area = float(mocks.pixel_scale_kpc[1]) ** 2
    expected = float(mocks.truth.sums[1, 0].sum()) * area
    total = maps.total("stellar_mass", correlation="full").value.value
    # The distance of the maps is astropy's, that of the mocks their own.
    assert total == pytest.approx(expected, rel=2e-3)
    assert set(blurred) == set(maps) == set(mocks.truth.properties())
    mocks = MockGenerator(
        5, survey="paper_field", n_pixels=32, table=paper_table, truth_at_psf=False
    ).draw([0])
    with pytest.raises(InvalidInputError, match="truth_at_psf"):
        mocks.to_property_maps(0, at_psf=True)


def test_pixels_that_are_not_the_surveys_are_refused(paper_table):
    galaxies = ProceduralGalaxies(n_pixels=16, survey="paper_field").draw([0])
    with pytest.raises(InvalidInputError, match="pixels"):
        observe(galaxies, paper_table.light(galaxies), UGRIZ, "sdss")


def test_varied_conditions_are_drawn_for_each_galaxy(paper_table):
    survey = get_survey("sdss").varied(seeing=0.3, depth=0.5, pixel_scale=(0.2, 0.6))
    source = ProceduralGalaxies(seed=3, n_pixels=16, survey=survey, redshift=0.05)
    galaxies = source.draw(range(400))
    scale = galaxies.pixel_scale.numpy()
    assert 0.2 < scale.min() < 0.22
    assert 0.55 < scale.max() < 0.6
    light = paper_table.light(galaxies)
    mocks = observe(galaxies, light, UGRIZ, survey, **CLEAN)
    # Widths: as scattered as asked, half of the variance common to the bands.
    widths = np.log(mocks.psf_fwhm.numpy() / np.array(survey.psf_fwhm))
    # Quantiles in 15 steps miss the tails.
    assert np.std(widths) == pytest.approx(0.29, abs=0.02)
    assert np.corrcoef(widths.T)[0, 3] == pytest.approx(0.5, abs=0.12)
    # The sky's noise: the brightest inverse variance is that of an empty pixel.
    variance = 1.0 / mocks.inverse_variance.amax((2, 3)).numpy()
    noise = np.log(np.sqrt(variance) / np.array(survey.sky_noise) / (scale / 0.396)[:, None])
    faint = np.argsort(light.surface_brightness.amax((1, 2, 3)).numpy())[:200]
    assert np.std(noise[faint]) == pytest.approx(0.5, abs=0.06)
    # Galaxy k is the same in another batch.
    alone = observe(source.draw([7]), paper_table.light(source.draw([7])), UGRIZ, survey, **CLEAN)
    torch.testing.assert_close(alone.psf_fwhm[0], mocks.psf_fwhm[7], rtol=1e-6, atol=0)
    torch.testing.assert_close(
        alone.inverse_variance[0], mocks.inverse_variance[7], rtol=1e-3, atol=0
    )


def test_widths_of_varied_pixels_are_those_of_the_images(paper_table):
    # A point source, by the second moment of a Gaussian: the stated width is the true one.
    survey = replace(
        get_survey("sdss").varied(seeing=0.3, pixel_scale=(0.3, 0.6)), psf_profile="gaussian"
    )
    galaxies = ProceduralGalaxies(seed=3, n_pixels=65, survey=survey, redshift=0.05).draw(range(8))
    point = torch.zeros(8, 5, 65, 65)
    point[:, :, 32, 32] = 1e6
    light = replace(paper_table.light(galaxies), surface_brightness=point)
    quiet = replace(survey, sky_noise=(1e-6,) * 5, electrons=(), zero_point_error=0.0)
    mocks = observe(galaxies, light, UGRIZ, quiet, **CLEAN)
    r2 = (torch.arange(65) - 32.0) ** 2
    share = mocks.flux / mocks.flux.sum((2, 3), keepdim=True)
    moment = 0.5 * (share * (r2[:, None] + r2)).sum((2, 3))
    found = 2.3548 * moment.sqrt() * galaxies.pixel_scale[:, None]
    torch.testing.assert_close(found, mocks.psf_fwhm, rtol=2e-3, atol=0)


def test_photon_noise_goes_with_the_exposure(paper_table):
    # Twice the noise of the sky is a quarter of the exposure, so a quarter of the electrons.
    survey = get_survey("sdss").varied(depth=0.5)
    galaxies = ProceduralGalaxies(seed=3, n_pixels=32, redshift=0.05).draw(range(40))
    mocks = observe(galaxies, paper_table.light(galaxies), UGRIZ, survey, **CLEAN)
    variance = 1.0 / mocks.inverse_variance
    bright = mocks.flux[:, 2].flatten(1).argmax(1)
    rows = torch.arange(40)
    photons = variance[:, 2].flatten(1)[rows, bright] - variance[:, 2].amin((1, 2))
    ratio = photons / mocks.flux[:, 2].amax((1, 2))
    depth = variance[:, 2].amin((1, 2))
    assert np.corrcoef(torch.log(ratio), torch.log(depth))[0, 1] > 0.9


@pytest.mark.parametrize(
    "wrong", [{"seeing": -0.1}, {"depth": 3.0}, {"pixel_scale": (0.5, 0.2)},
              {"pixel_scale": (0.0, 0.2)}],
)  # fmt: skip
def test_conditions_that_make_no_sense(wrong):
    with pytest.raises(InvalidInputError, match=next(iter(wrong))):
        get_survey("sdss").varied(**wrong)


def test_pixels_of_the_papers_recipe_cannot_be_varied():
    with pytest.raises(InvalidInputError, match="follow the galaxy"):
        get_survey("paper_field").varied(pixel_scale=(0.2, 0.4))


def test_turning_a_galaxy_by_90_degrees_turns_its_images(paper_table):
    quiet = replace(get_survey("sdss"), sky_noise=(1e-9,) * 5, electrons=(), zero_point_error=0.0)
    source = ProceduralGalaxies(seed=2, n_pixels=40, margin=6, redshift=0.05)
    index = np.arange(12)
    parameters = source.parameters(index)
    angle = parameters["position_angle"] + np.pi / 2
    straight = source._render(index, parameters)
    turned = source._render(index, {**parameters, "position_angle": angle})
    one, other = (
        observe(galaxies, paper_table.light(galaxies), UGRIZ, quiet, margin=6, **CLEAN)
        for galaxies in (straight, turned)
    )
    for name in ("flux", "truth", "truth_at_psf"):
        maps, expected = (getattr(o, name) for o in (other, one))
        if name != "flux":
            maps, expected = maps.sums, expected.sums
        expected = torch.rot90(expected, -1, (-2, -1))
        scale = expected.abs().amax((-2, -1), keepdim=True)
        assert float(((maps - expected).abs() / scale.clamp(min=1e-20)).max()) < 1e-3, name
