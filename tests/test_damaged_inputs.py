"""Damaged files of every kind that users give: the package's own error, or what can be used.

Never a hang, and never far more memory than the file is large. ``PICASSSSO_DAMAGED=5000`` looks at
so many files of every kind instead of two.
"""

import os
import signal

import damaged_kinds
import h5py
import pytest

NUMBER = int(os.environ.get("PICASSSSO_DAMAGED", 2))
#: Kinds of which the old library for HDF5 crashes on damage.
_HDF5 = ("particles", "Illustris maps", "Illustris image")


#: Kinds that take a second for each file, of which there are half as many.
_SLOW = ("prepared and estimated", "Roman", "own maps", "info of maps")


def check(outcome):
    shown = "\n".join(
        f"{count} files, the first number {first}: {what}"
        for what, (first, count) in outcome.foreign.items()
    )
    assert not outcome.foreign, shown
    assert outcome.longest[0] < 5.0, outcome.longest
    assert outcome.peak_over_size < 20, outcome.peak
    assert outcome.longest_message < 600


@pytest.mark.no_cover
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs timers of Unix")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", damaged_kinds.KINDS)
def test_damaged_files_of_users_give_the_packages_own_errors(kind):
    if kind in _HDF5 and h5py.version.hdf5_version_tuple < (2, 0, 0):
        pytest.skip(f"HDF5 {h5py.version.hdf5_version} itself crashes on damaged strings")
    number = max(NUMBER // 2, 1) if kind in _SLOW else NUMBER
    outcome = damaged_kinds.outcome_of(kind, range(number))
    assert outcome.number == number
    check(outcome)


@pytest.mark.no_cover
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs timers of Unix")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "name", ["SimSpin_EAGLE", "SimSpin_Colibre", "SimSpin_Magneticum", "camels_snap"]
)
def test_damaged_snapshots_of_simulations(shared_data, name):
    if h5py.version.hdf5_version_tuple < (2, 0, 0):
        pytest.skip(f"HDF5 {h5py.version.hdf5_version} itself crashes on damaged strings")
    known = damaged_kinds.simulation(shared_data / "particles" / f"{name}.hdf5")
    check(damaged_kinds.outcome_of(name, range(NUMBER), known))
