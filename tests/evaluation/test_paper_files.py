"""The files of the paper: a few galaxies in their layout, through all that is done with them."""

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from picasssso.evaluation.experiments.pair_sources import make_source
from picasssso.exceptions import FileFormatError
from picasssso.mocks import MockGenerator
from picasssso.mocks.illustris import PARTICLE_MASS

SIDE = 48


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Ten mock galaxies written as the paper's files are."""
    place = tmp_path_factory.mktemp("illustris")
    generator = MockGenerator(seed=3, survey="paper_field", n_pixels=SIDE)
    mocks = generator.draw(range(10))
    maps = {name: m.numpy().astype(float) for name, m in mocks.truth.properties().items()}
    for k in range(10):
        name = place / f"halo_{100 + k // 2}_camera_{k % 2}"
        sets = {
            "stars_Masses": maps["stellar_mass"][k],
            "stars_GFM_Metallicity": (maps["stellar_mass"] * maps["stellar_metallicity"])[k],
            "stars_GFM_StellarFormationTime":
                (maps["stellar_mass"] * maps["stellar_age"])[k] / PARTICLE_MASS,
            "gas_Masses": maps["gas_mass"][k],
            "gas_GFM_Metallicity":
                np.nan_to_num(maps["gas_mass"] * maps["gas_metallicity"])[k],
            "gas_NeutralHydrogenAbundance": maps["hi_mass"][k],
            "gas_StarFormationRate": maps["sfr"][k],
        }  # fmt: skip
        with h5py.File(f"{name}_physical_data.h5", "w") as file:
            for key, values in sets.items():
                file[key] = values
                file[key].attrs["psize"] = float(mocks.pixel_scale_kpc[k])
        area = float(mocks.pixel_scale[k]) ** 2
        brightness = mocks.flux[k].numpy() / area * 3.631e-6 * 1e6 * 4.254517e10  # uJy / sr
        with h5py.File(f"{name}_synthetic_image.h5", "w") as file:
            # Their axes are transposed and flipped against those of the maps.
            file["data"] = np.stack([image[:, ::-1].T for image in brightness]).astype(float)
    return place, mocks


def test_pairs_are_those_that_were_written(folder):
    place, mocks = folder
    source = make_source({"kind": "paper", "folder": str(place), "correct_ages": False})
    assert len(source) == 10
    pairs = source.batch([3, 4])
    assert pairs["galaxy"].tolist() == [101, 102]
    assert pairs["view"].tolist() == [1, 0]
    np.testing.assert_allclose(
        pairs["truth"][:, [0, 3, 4, 6]], mocks.truth.sums[3:5, [0, 3, 4, 6]], rtol=1e-4, atol=1e-6
    )
    ages = (pairs["truth"][:, 2] / pairs["truth"][:, 0]).numpy()
    np.testing.assert_allclose(ages, mocks.truth.properties()["stellar_age"][3:5], rtol=1e-3)
    good = mocks.inverse_variance[3:5] > 0
    np.testing.assert_allclose(pairs["flux"][good], mocks.flux[3:5][good], rtol=2e-3, atol=1e-4)
    np.testing.assert_allclose(pairs["pixel_scale"], mocks.pixel_scale[3:5], rtol=1e-3)
    # The noise that was put in is found on the images.
    ratio = (pairs["inverse_variance"] / mocks.inverse_variance[3:5])[good].median()
    assert 0.3 < float(ratio) < 3


def test_a_folder_without_such_files(tmp_path):
    with pytest.raises(FileFormatError, match="no pairs of files"):
        make_source({"kind": "paper", "folder": str(tmp_path)})


@pytest.mark.experiment
@pytest.mark.newest
def test_one_command_trains_evaluates_and_prints_the_table(folder, tmp_path):
    script = Path(__file__).parents[2] / "benchmarks" / "experiments" / "paper.py"
    command = [sys.executable, str(script), str(folder[0]), "-o", str(tmp_path / "out"),
               "--steps", "3", "--features", "8"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "galaxies kept for tests" in done.stdout
    assert "0.090 / -0.103" in done.stdout
    assert (tmp_path / "out/results/paper_aperture.inc").exists()
    # Called again, nothing is trained anew.
    weights = next((tmp_path / "out").glob("*.safetensors"))
    made = weights.stat().st_mtime_ns
    subprocess.run(command, check=True, capture_output=True, timeout=600)
    assert weights.stat().st_mtime_ns == made


def test_galaxies_of_simulations_are_a_source(shared_data):
    path = next((shared_data / "particles").glob("SimSpin_Colibre*.hdf5"))
    source = make_source(
        {"kind": "particles", "files": [str(path)], "views": 2, "n_pixels": 32, "redshift": 0.05}
    )
    pairs = source.batch(range(2))
    assert pairs["flux"].shape == (2, 5, 32, 32)
    assert pairs["galaxy"].tolist() == [0, 0]
    assert pairs["number"].tolist() == [0, 1]
