"""Training: the same whatever interrupts it, whoever drives it, and however much is known."""

import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from small_weights import SMALL, WAVELENGTHS, ToyPairs, random_network

from picasssso.exceptions import FileFormatError, InvalidInputError
from picasssso.networks.buck_wolf import MAPS, squared_loss
from picasssso.networks.heads import decode
from picasssso.networks.outputs import OUTPUT_NAMES
from picasssso.training import TrainingConfig
from picasssso.training.batches import PairPool, TrainingSource, degrade, to_slots
from picasssso.training.loop import run_training
from picasssso.training.losses import quantile_loss
from picasssso.training.recipe import Recipe
from picasssso.training.state import TrainingState, batch_loss
from picasssso.training.targets import make_targets

CONFIG = TrainingConfig(
    network=SMALL, members=2, steps=8, batch_size=4, pool_size=8, replays=2, warmup=2,
    average_decay=0.8,
)  # fmt: skip
PAPER = TrainingConfig(
    architecture="buck_wolf_2021", network={"first_features": 8}, members=1, steps=2,
    batch_size=2, pool_size=2, schedule="paper",
)  # fmt: skip


def pool(config=CONFIG, count=None):
    return PairPool([TrainingSource(ToyPairs(count), WAVELENGTHS)], config, first=100)


def trained(config=CONFIG, **options):
    return run_training(TrainingState(config), pool(config), progress=False, **options)


def assert_same(first, second):
    assert first.step == second.step
    for name in ("networks", "averages"):
        for mine, theirs in zip(getattr(first, name), getattr(second, name), strict=True):
            for key, value in mine.state_dict().items():
                assert torch.equal(value, theirs.state_dict()[key]), (name, key)


@pytest.fixture(scope="module")
def reference():
    return trained()


def test_training_moves_the_weights_and_their_averages(reference):
    start = TrainingState(CONFIG)
    for name in ("networks", "averages"):
        pairs = zip(getattr(reference, name), getattr(start, name), strict=True)
        assert all(not torch.equal(a.head.weight, b.head.weight) for a, b in pairs)
    assert not torch.equal(reference.networks[0].head.weight, reference.averages[0].head.weight)
    assert not torch.equal(reference.networks[0].head.weight, reference.networks[1].head.weight)


def test_training_lowers_the_loss():
    config = TrainingConfig(
        network=SMALL, members=1, steps=60, batch_size=8, pool_size=16, warmup=5,
        learning_rate=5e-3, average_decay=0.9, band_dropout=0.0, depth_noise=0.0, sharp=0.0,
    )  # fmt: skip
    losses = []
    run_training(
        TrainingState(config),
        pool(config),
        progress=False,
        report=lambda step, loss: losses.append(loss),
        report_every=10,
    )
    assert losses[-1] < 0.6 * losses[0]


def test_repeating_gives_the_same(reference):
    assert_same(trained(), reference)


@pytest.mark.parametrize("stop", [1, 4, 7])
def test_interrupted_training_goes_on_exactly(stop, reference, tmp_path):
    class Interrupted(Exception):
        pass

    class Pool(PairPool):
        def batches(self, start=0):
            yield from itertools.islice(super().batches(start), stop)
            raise Interrupted

    path = tmp_path / "checkpoint"
    state = TrainingState(CONFIG)
    with pytest.raises(Interrupted):
        run_training(
            state,
            Pool([TrainingSource(ToyPairs(), WAVELENGTHS)], CONFIG, first=100),
            checkpoint=path,
            progress=False,
        )
    again = TrainingState.load(path)
    assert again.step == stop
    assert_same(run_training(again, pool(), progress=False), reference)


def test_time_limit_leaves_a_checkpoint(reference, tmp_path):
    path = tmp_path / "checkpoint"
    state = trained(checkpoint=path, time_limit=0.0)
    assert state.step == 1
    assert_same(run_training(TrainingState.load(path), pool(), progress=False), reference)


def test_a_state_that_is_being_moved_is_not_saved(tmp_path, monkeypatch):
    path = tmp_path / "checkpoint"
    state = TrainingState(CONFIG)
    # The second of two members fails: the first has moved already.
    monkeypatch.setattr(state.optimizers[1], "step", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run_training(state, pool(), checkpoint=path, progress=False)
    assert not path.exists()


def test_stored_pairs_are_shuffled_and_all_used():
    config = TrainingConfig(batch_size=4, pool_size=8, steps=4)
    seen = []

    class Watched(ToyPairs):
        def batch(self, numbers):
            seen.extend(int(n) for n in numbers)
            return super().batch(numbers)

        def __len__(self):
            return 16

    source = Watched()
    batches = PairPool([TrainingSource(source, WAVELENGTHS)], config).batches()
    for _ in range(8):
        next(batches)
    assert sorted(seen[:16]) == list(range(16))
    assert sorted(seen[16:32]) == list(range(16))
    assert seen[:16] != seen[16:32]


def test_degraded_images_lose_bands_but_never_all():
    pairs = ToyPairs(size=8)
    batch = to_slots(pairs.batch(range(200)), pairs.bands, WAVELENGTHS)
    config = TrainingConfig(band_dropout=1.0, masked_pixels=0.1, depth_noise=0.5)
    worse = degrade(batch, config, step=3)
    kept = worse.has_band()
    assert kept.any(1).all()
    assert not kept.all()
    assert (worse.flux[worse.inverse_variance == 0] == 0).all()
    shallower = worse.inverse_variance[worse.inverse_variance > 0] < 2499
    assert 0.2 < shallower.float().mean() < 0.8
    again = degrade(batch, config, step=3)
    assert torch.equal(again.flux, worse.flux)
    assert not torch.equal(degrade(batch, config, step=4).flux, worse.flux)


@pytest.mark.parametrize("missing", ["sfr", "gas_mass", "stellar_mass_age", "v_light"])
def test_what_is_not_known_is_not_learned(missing):
    pairs = ToyPairs()
    batch = to_slots(pairs.batch(range(2)), pairs.bands, WAVELENGTHS)
    random = torch.Generator().manual_seed(1)
    raw = torch.randn(2, 51, 16, 16, generator=random, requires_grad=True)
    weights = torch.ones(2, 1, 16, 16)
    batch.truth[missing][:] = torch.nan
    loss = quantile_loss(decode(raw), make_targets(batch.truth), weights)
    (gradient,) = torch.autograd.grad(loss, raw)
    assert torch.isfinite(loss)
    assert torch.isfinite(gradient).all()
    name = {"stellar_mass_age": "stellar_age", "v_light": "attenuation_v"}.get(missing, missing)
    k = OUTPUT_NAMES.index(name)
    assert (gradient[:, 6 * k : 6 * k + 6] == 0).all()
    assert (gradient[:, 0] != 0).any()
    if name in ("sfr", "gas_mass"):
        occupancy = 48 + ["sfr", "gas_mass", "hi_mass"].index(name)
        assert (gradient[:, occupancy] == 0).all()


def test_papers_loss_skips_what_is_not_known():
    pairs = ToyPairs()
    batch = to_slots(pairs.batch(range(2)), pairs.bands, WAVELENGTHS)
    prediction = torch.zeros(2, 7, 16, 16, requires_grad=True)
    batch.truth["stellar_mass"][:, :4] = torch.nan
    loss = squared_loss(prediction, batch.truth.planes(MAPS))
    (gradient,) = torch.autograd.grad(loss, prediction)
    assert torch.isfinite(gradient).all()
    assert (gradient[:, 0, :4] == 0).all()
    assert (gradient[:, 0, 4:] != 0).all()


def test_papers_network_trains():
    state = trained(PAPER)
    assert state.step == 2
    assert state.learning_rate(0) < state.learning_rate(1)
    rates = [TrainingState(TrainingConfig(
        network=SMALL, members=1, schedule="paper", steps=13, warmup=1, learning_rate=1e-5
    )).learning_rate(step) for step in (0, 7, 8, 9, 10, 12)]  # fmt: skip
    np.testing.assert_allclose(rates, [1e-5, 1e-5, 1e-6, 1e-6, 1e-7, 1e-7])


def test_papers_network_sees_the_whole_image():
    network = random_network(PAPER, seed=1)
    pairs = ToyPairs(size=64)
    batch = to_slots(pairs.batch([0]), pairs.bands, WAVELENGTHS)
    assert network.reach is None
    assert torch.isfinite(batch_loss(network, batch))


def test_checkpoints_that_cannot_be_read(tmp_path):
    with pytest.raises(FileFormatError, match="no checkpoint"):
        TrainingState.load(tmp_path / "nothing")
    bad = tmp_path / "bad"
    bad.write_bytes(b"not a checkpoint")
    with pytest.raises(FileFormatError, match="is not a checkpoint of a training"):
        TrainingState.load(bad)


def test_configurations_that_make_no_sense():
    for settings, words in (
        ({"steps": 0}, "from 1 to"),
        ({"architecture": "transformer"}, "'residual_unet', 'buck_wolf_2021'"),
        ({"batch_size": 3, "pool_size": 8}, "no multiple"),
        ({"stepz": 3}, "stepz"),
        ({"sharp": 2.0}, "0 to 1"),
    ):
        with pytest.raises(InvalidInputError, match=words):
            TrainingConfig._from_dict(settings)
    with pytest.raises(InvalidInputError, match="no pairs"):
        Recipe.from_json('{"training": {}}')
    with pytest.raises(InvalidInputError, match="cannot be created"):
        TrainingState(TrainingConfig(network={"depth": 3}))


TWO_PROCESSES = """
import sys, warnings
sys.path[:0] = {folders!r}
warnings.simplefilter("ignore")
import torch
from test_training import CONFIG, pool
from picasssso.training.loop import run_training
from picasssso.training.state import TrainingState
from picasssso.training.loop import is_first_process

path = {path!r}
# Stopped and begun again, by the clock of the first.
for limit in (0.0, None):
    state = TrainingState.load(path) if limit is None else TrainingState(CONFIG)
    run_training(
        state, pool(), progress=False, devices=2, checkpoint=path, time_limit=limit
    )
    rank = torch.distributed.get_rank()
    torch.distributed.barrier()
    assert limit is None or 0 < state.step < CONFIG.steps
assert is_first_process() == (rank == 0)
torch.save(state.networks[0].state_dict(), path + str(rank))
"""


@pytest.mark.slow
def test_processes_that_share_batches_stay_together(reference, tmp_path):
    pytest.importorskip("lightning_fabric")
    path = str(tmp_path / "checkpoint")
    script = tmp_path / "train.py"
    here = Path(__file__).resolve().parent
    folders = [str(here), str(here.parent / "plugins")]
    script.write_text(TWO_PROCESSES.format(folders=folders, path=path))
    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    first, second = (torch.load(path + rank, weights_only=True) for rank in "01")
    # Each saw other galaxies, but gradients are averaged.
    for name, value in first.items():
        torch.testing.assert_close(value, second[name], rtol=0, atol=0)
    state = TrainingState.load(path)
    assert state.step == CONFIG.steps
    start = TrainingState(CONFIG)

    def moved(which):
        networks = zip(which.networks, start.networks, strict=True)
        return torch.cat([(a.head.weight - b.head.weight).flatten() for a, b in networks])

    # Much as one process that sees whole batches, weighted a little otherwise.
    assert (moved(state) - moved(reference)).norm() < 0.3 * moved(reference).norm()
