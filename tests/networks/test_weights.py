"""Weights on disk: what is written is read, and what is damaged is refused."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from small_weights import make_model, write_small

from picasssso.exceptions import FileFormatError
from picasssso.networks.inputs import N_PLANES, SLOTS, Conditions, input_planes
from picasssso.networks.weights import FORMAT, filter_hashes, read_weights, write_weights


@pytest.fixture
def path(tmp_path):
    return write_small(tmp_path / "weights")


def card_of(path):
    return path.with_suffix(".json")


def change_card(path, **changes):
    card = json.loads(card_of(path).read_text())
    card.update(changes)
    card_of(path).write_text(json.dumps(card))


@pytest.mark.parametrize("architecture", ["residual_unet", "buck_wolf_2021"])
def test_round_trip(tmp_path, architecture):
    network = {"first_features": 8} if architecture == "buck_wolf_2021" else None
    model = make_model(architecture=architecture, network=network)
    card = write_weights(tmp_path / "w", model)
    read = read_weights(tmp_path / "w.safetensors")
    assert read.config == model.config
    assert read.card == card
    assert card["outputs"][0] == "stellar_mass"
    assert card["members"] == 2
    assert card["output_units"][:3] == ["solMass.kpc**-2", "", "Gyr"]
    assert len(card["output_units"]) == len(card["outputs"])
    assert len(card["input_scaling"]["planes_per_slot"]) == N_PLANES // len(SLOTS)
    for mine, theirs in zip(model.ensemble.networks, read.ensemble.networks, strict=True):
        for name, value in mine.state_dict().items():
            # Stored in half precision.
            np.testing.assert_allclose(theirs.state_dict()[name], value, rtol=6e-4, atol=1e-7)
    if model.calibration is not None:
        for name, value in model.calibration.to_tensors().items():
            assert torch.equal(read.calibration.to_tensors()[name], value), name
    # What was read is written as it is.
    again = write_weights(tmp_path / "again", read)
    assert again["sha256"] == card["sha256"]


def test_inputs_are_scaled_as_the_card_says(path):
    card = json.loads(card_of(path).read_text())["input_scaling"]
    flux, sigma, z, scale = 30.0, 0.5, 0.05, 0.4
    one = torch.ones(1)
    conditions = Conditions(
        z * one, scale * one, one, torch.ones(1, 5), torch.ones(1, 5), torch.zeros(1)
    )
    planes = input_planes(
        torch.full((1, 5, 1, 1), flux), torch.full((1, 5, 1, 1), sigma**-2), conditions
    )

    names = {"pi": np.pi, "z": z, "scale": scale, "f": flux, "s": sigma, "asinh": np.arcsinh}
    luminosity = "1e-9 * 10**(0.4 * 4.58) * 1e4 * (180 * 3600 / pi)**2 * (1 + z)**3 / scale**2"
    assert card["luminosity"].startswith(
        "L(f) = f 1e-9 10^(0.4 4.58) 1e4 (180 3600 / pi)^2 (1 + z)^3 / scale^2 "
    )
    names |= {"L": lambda f: f * eval(luminosity, dict(names)), "log10": np.log10, "ln": np.log}
    for k, text in enumerate(card["planes_per_slot"][:3]):
        text = text.replace("asinh(f / 2 s)", "asinh(f / (2 * s))").replace("ln 10", "ln(10)")
        text = text.replace("log10 L(s)", "log10(L(s))").replace("0.5 asinh", "0.5 * asinh")
        assert planes[0, 5 * k, 0, 0] == pytest.approx(eval(text, names), rel=1e-4), text


def test_filters_are_known_by_their_curves():
    found = filter_hashes(["sdss2010-r", "sdss2010-g", "sdss2010-r"])
    assert list(found) == ["sdss2010-g", "sdss2010-r"]
    assert found["sdss2010-g"] != found["sdss2010-r"]
    assert all(len(value) == 64 for value in found.values())
    assert filter_hashes(["decam2014-g"])["decam2014-g"] != found["sdss2010-g"]


def test_weights_of_the_first_format(path):
    # They had no calibration of presence.
    tensors = load_file(path.with_suffix(".safetensors"))
    assert "calibration.presence" not in tensors
    change_card(path, format=1)
    assert read_weights(path).calibration.presence is None


def test_nothing_is_written_over(path):
    with pytest.raises(FileFormatError, match="overwrite=True"):
        write_weights(path, make_model())
    write_weights(path, make_model(members=1), overwrite=True)
    assert len(read_weights(path).ensemble.networks) == 1


def test_damage_is_found(path):
    data = bytearray(path.with_suffix(".safetensors").read_bytes())
    data[-100] ^= 1
    path.with_suffix(".safetensors").write_bytes(bytes(data))
    with pytest.raises(FileFormatError, match="damaged"):
        read_weights(path)


def test_half_a_file(path):
    data = path.with_suffix(".safetensors").read_bytes()
    path.with_suffix(".safetensors").write_bytes(data[: len(data) // 2])
    with pytest.raises(FileFormatError, match="damaged"):
        read_weights(path)


def test_a_missing_file(path):
    card_of(path).unlink()
    with pytest.raises(FileFormatError, match=r"no file .*weights\.json"):
        read_weights(path)


def test_a_newer_format(path):
    change_card(path, format=FORMAT + 1, package_version="9.9")
    with pytest.raises(FileFormatError, match=r"picasssso 9\.9"):
        read_weights(path)


def test_a_card_that_is_none(path):
    card_of(path).write_text("weights")
    with pytest.raises(FileFormatError, match="not a valid model card"):
        read_weights(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"members": 5},
        {"training": {"network": {"widths": [4, 4], "depths": [1, 1]}}},
        {"training": {"network": {"tint": "blue"}}},
        {"training": {"steps": "many"}},
    ],
)
def test_a_card_of_other_weights(path, changes):
    change_card(path, **changes)
    with pytest.raises(FileFormatError, match="does not match its model card"):
        read_weights(path)


@pytest.mark.parametrize("key", ["sha256", "training", "members"])
def test_a_card_that_lacks_something(path, key):
    card = json.loads(card_of(path).read_text())
    del card[key]
    card_of(path).write_text(json.dumps(card))
    with pytest.raises(FileFormatError, match=key):
        read_weights(path)
