import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from img2gps.errors import DeviceError, InvalidCheckpointError, InvalidDatasetError, UsageError
from img2gps.geo import geodesic_m
from tests.train.colours import TINY, colour_dataset, tiny_config, without_curves
from train.config.schema import TrainConfig
from train.data.training_data import read_photos, select_split
from train.inference.load import load_localizer
from train.inference.locate import locate_files
from train.models.network import checkpointer, loaded_photos
from train.models.network import epoch as epoch_module
from train.models.network import fit as trainer
from train.runs.checkpoint import read_checkpoint
from train.runs.folder import RunFolder
from train.runtime.distributed import World
from train.training.session import resume_run, start_run

AUGMENTED = {
    "preset": "default",
    "target": "metres",
    "loss": "huber",
    "head": "mlp",
    "dropout": 0.3,
    "ema": 0.9,
    "schedule": "cosine",
    "warmup_epochs": 0.5,
    "grad_clip": 1.0,
    "layer_lr_decay": 0.8,
    "freeze": 0.2,
    "augment_crop": 0.2,
    "augment_rotate_deg": 5.0,
    "augment_colour": 0.2,
    "optimizer": "adamw",
}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    without_curves(monkeypatch)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return colour_dataset(tmp_path_factory.mktemp("data") / "ds").root


def _weights(run: RunFolder, name: str = "last") -> dict[str, torch.Tensor]:
    return dict(read_checkpoint(run.root / name).tensors)


def _same(first: RunFolder, second: RunFolder) -> bool:
    for name in ("best", "last"):
        ours, theirs = _weights(first, name), _weights(second, name)
        if not all(torch.equal(ours[key], theirs[key]) for key in ours | theirs):
            return False
    keys = ("epoch", "train/loss", "val/rmse_m", "lr")
    lines = [[{key: line.get(key) for key in keys} for line in run.read_metrics()] for run in (first, second)]
    return lines[0] == lines[1]


@pytest.mark.slow
@pytest.mark.parametrize("values", [{}, AUGMENTED], ids=["published", "augmented"])
def test_killed_anywhere_and_resumed_the_weights_are_those_of_an_undisturbed_run(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, values: dict[str, object]
) -> None:
    config = tiny_config(epochs=3, **values)
    whole = start_run(dataset, config, runs=tmp_path, name="whole")
    again = start_run(dataset, config, runs=tmp_path, name="again")
    assert _same(whole, again)
    steps = [0]
    kill_at = iter([1, 3, 2, 1000])
    real = epoch_module._update

    class Killed(BaseException):
        pass

    def killing(*args: Any, **kwargs: Any) -> None:
        steps[0] -= 1
        if steps[0] == 0:
            raise Killed
        real(*args, **kwargs)

    monkeypatch.setattr(epoch_module, "_update", killing)
    steps[0] = next(kill_at)
    with pytest.raises(Killed):
        start_run(dataset, config, runs=tmp_path, name="killed")
    for step in kill_at:
        steps[0] = step
        try:
            resume_run(tmp_path / "killed")
        except Killed:
            continue
    assert _same(whole, RunFolder(root=tmp_path / "killed"))


def test_another_seed_gives_other_weights(dataset: Path, tmp_path: Path) -> None:
    runs = [start_run(dataset, tiny_config(epochs=1, seed=seed), runs=tmp_path) for seed in (0, 1)]
    assert [run.root.name for run in runs] == ["published-001", "published-002"]
    assert not _same(*runs)


def test_the_largest_seed_trains(dataset: Path, tmp_path: Path) -> None:
    run = start_run(dataset, tiny_config(epochs=1, seed=2**63 - 1), runs=tmp_path)
    assert len(run.read_metrics()) == 1


@pytest.mark.slow
def test_a_run_can_be_made_longer(dataset: Path, tmp_path: Path) -> None:
    run = start_run(dataset, tiny_config(epochs=1), runs=tmp_path)
    resume_run(run.root, epochs=3)
    assert [line["epoch"] for line in run.read_metrics()] == [1, 2, 3]
    assert run.read_info().config.epochs == 3
    resume_run(run.root)
    assert len(run.read_metrics()) == 3


@pytest.mark.slow
def test_a_damaged_last_is_named_and_the_previous_one_goes_on(dataset: Path, tmp_path: Path) -> None:
    config = tiny_config(epochs=3)
    whole = start_run(dataset, config, runs=tmp_path)
    run = start_run(dataset, config, runs=tmp_path)
    path = run.last / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(InvalidCheckpointError, match="previous"):
        resume_run(run.root)
    resume_run(run.previous)
    assert _same(whole, run)


@pytest.mark.slow
def test_a_network_learns_where_colours_are(dataset: Path, tmp_path: Path) -> None:
    run = start_run(dataset, tiny_config(epochs=25, target="metres", schedule="cosine", lr=1e-2), runs=tmp_path)
    figures = run.read_metrics()
    best = min(line["val/rmse_m"] for line in figures)
    val = select_split(read_photos(dataset)).val
    assert val is not None
    assert best < 0.6 * np.hypot(val.east_m.std(), val.north_m.std())


def test_prediction_sees_what_validation_saw(dataset: Path, tmp_path: Path) -> None:
    run = start_run(dataset, tiny_config(epochs=2), runs=tmp_path)
    source = read_photos(dataset)
    val = select_split(source).val
    assert val is not None
    localizer = load_localizer(run.root, device="cpu")
    estimate = locate_files(localizer, [source.dataset.photo_path(str(photo_id)) for photo_id in val.ids])
    lon, lat = localizer.frame.to_lonlat(estimate.east_m, estimate.north_m)
    rmse_m = np.sqrt(np.mean(geodesic_m(val.lon, val.lat, lon, lat) ** 2))
    assert rmse_m == pytest.approx(read_checkpoint(run.best).state["best"]["val/rmse_m"], rel=1e-4)


def test_without_a_split_the_last_epoch_is_the_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = colour_dataset(tmp_path / "ds", 10, split=False).root
    run = start_run(root, tiny_config(epochs=2), runs=tmp_path)
    assert "none held back (there is no split); the last epoch is kept" in " ".join(capsys.readouterr().err.split())
    best, last = _weights(run, "best"), _weights(run)
    assert all(torch.equal(best[name], last[name]) for name in last)
    assert run.read_photos()["role"].tolist() == ["train"] * 10


def test_a_loss_that_leaves_the_finite_stops_the_run_and_keeps_what_was_good(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="learning rate 1e\\+06") as caught:
        start_run(dataset, tiny_config(epochs=4, lr=1e6, optimizer="sgd"), runs=tmp_path, name="wild")
    assert "step" in str(caught.value)
    assert all(torch.isfinite(tensor).all() for tensor in _weights(RunFolder(root=tmp_path / "wild")).values())
    load_localizer(tmp_path / "wild", device="cpu")


@pytest.mark.slow
def test_an_optimiser_that_overflows_stops_the_run_as_weights_do(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its checkpoint would be refused on resuming, although the weights are finite."""
    real = epoch_module._update

    def overflowing(training: Any, *rest: Any, **more: Any) -> None:
        real(training, *rest, **more)
        if more["step"] == 2 * training.steps - 1:
            next(iter(training.learner.optimizer.state.values()))["exp_avg_sq"].fill_(torch.inf)

    monkeypatch.setattr(epoch_module, "_update", overflowing)
    with pytest.raises(DeviceError, match="The run keeps epoch 1: train again with a smaller --lr"):
        start_run(dataset, tiny_config(epochs=3), runs=tmp_path, name="wild")
    monkeypatch.undo()
    assert len(resume_run(tmp_path / "wild").read_metrics()) == 3


def test_running_out_of_memory_names_a_batch_size_that_fits(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = epoch_module._step_loss

    def small_device(training: Any, stepping: Any, part: torch.Tensor, *rest: Any) -> torch.Tensor:
        if len(part) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(training, stepping, part, *rest)

    monkeypatch.setattr(epoch_module, "_step_loss", small_device)
    with pytest.raises(DeviceError, match="batch size 8: --batch-size 2 fits"):
        start_run(dataset, tiny_config(), runs=tmp_path)


def test_of_several_processes_each_tries_its_own_share(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tiny_config()
    training = trainer.prepare(config, select_split(read_photos(dataset)), device=torch.device("cpu"))
    sizes: list[int] = []

    def small_device(_training: Any, _stepping: Any, part: torch.Tensor, *_rest: Any) -> torch.Tensor:
        sizes.append(len(part))
        if len(part) > 3:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return torch.zeros((), requires_grad=True)

    monkeypatch.setattr(epoch_module, "_step_loss", small_device)
    shared = dataclasses.replace(training, world=World(rank=1, size=2))
    with pytest.raises(DeviceError, match="batch size 8: --batch-size 4 fits"):
        epoch_module.train_epoch(shared, training.learner.network, 0, lambda *_, **__: None)
    assert sizes == [4, 2]


def test_photos_that_do_not_fit_a_gpu_stay_in_their_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _device: (1000, 2000))
    assert loaded_photos._fits(499, torch.device("cuda:0"))
    assert not loaded_photos._fits(500, torch.device("cuda:0"))
    assert not loaded_photos._fits(0, torch.device("cpu"))


def test_memory_that_runs_out_before_the_first_step_is_one_sentence(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_large(*_args: Any, **_options: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(trainer, "build_network", too_large)
    with pytest.raises(DeviceError, match="--batch-size"):
        start_run(dataset, tiny_config(), runs=tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_run_does_not_go_on_with_other_photos(tmp_path: Path) -> None:
    root = colour_dataset(tmp_path / "ds", 12).root
    run = start_run(root, tiny_config(epochs=1), runs=tmp_path)
    colour_dataset(root, 14)
    with pytest.raises(InvalidDatasetError, match="train photos"):
        resume_run(run.root, epochs=2)


@pytest.mark.slow
def test_a_run_is_repeated_by_its_config(dataset: Path, tmp_path: Path) -> None:
    first = start_run(dataset, tiny_config(), runs=tmp_path)
    info = first.read_info()
    assert _same(first, start_run(info.dataset, info.config, runs=tmp_path))


def test_frozen_stages_keep_their_weights_and_statistics(dataset: Path, tmp_path: Path) -> None:
    config = tiny_config(epochs=1, freeze=1.0)
    run = start_run(dataset, config, runs=tmp_path)
    before, after = _weights(run, "previous"), _weights(run)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"head.1.weight", "head.1.bias"}


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [1, 5, 17, 100])
def test_any_batch_size_trains(dataset: Path, tmp_path: Path, batch_size: int) -> None:
    config = tiny_config(epochs=1, batch_size=batch_size, freeze_batchnorm=batch_size == 1)
    assert len(start_run(dataset, config, runs=tmp_path).read_metrics()) == 1


@pytest.mark.parametrize("model", ["resnet7", "timm/nothing_like_it"])
def test_an_unknown_model_is_named(dataset: Path, tmp_path: Path, model: str) -> None:
    with pytest.raises(UsageError, match=model.removeprefix("timm/")):
        start_run(dataset, tiny_config(model=model), runs=tmp_path)


def test_huber_measures_the_distance_not_the_axes() -> None:
    from train.data.targets import TargetScale

    scale = TargetScale(kind="metres", offset=(0.0, 0.0), scale=(50.0, 50.0), metres_per_unit=50.0)
    config = TrainConfig(loss="huber", huber_delta_m=10.0, model=TINY)
    angles = torch.linspace(0, 6, 20)
    points = torch.stack([torch.cos(angles), torch.sin(angles)], dim=1)
    losses = epoch_module.coordinate_loss(points, torch.zeros(20, 2), config, scale)
    assert losses.std() < 1e-6
    assert losses[0].item() == pytest.approx(1.0 - 0.1)


def test_a_single_photo_per_step_needs_batchnorm_to_stand_still(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="freeze_batchnorm"):
        start_run(dataset, tiny_config(epochs=1, batch_size=1), runs=tmp_path)


def test_one_training_photo_is_not_enough(tmp_path: Path) -> None:
    root = colour_dataset(tmp_path / "ds", 9).root
    with pytest.raises(InvalidDatasetError, match="not enough"):
        start_run(root, tiny_config(), runs=tmp_path)
    assert not list(tmp_path.glob("published-*"))


def test_an_input_that_is_too_small_is_a_usage_error(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--size"):
        start_run(dataset, tiny_config(model="densenet121", size=16), runs=tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("lost", [False, True], ids=["interrupted", "killed"])
def test_checkpoints_that_waited_for_their_turn_are_not_missed(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: bool
) -> None:
    config = tiny_config(epochs=4)
    whole = start_run(dataset, config, runs=tmp_path, name="whole")
    monkeypatch.setattr(checkpointer, "_MOST_OF_THE_TIME", 1e-9)  # after the first, none is due before the end
    assert _same(whole, start_run(dataset, config, runs=tmp_path, name="rare"))
    epochs, flush = trainer.train_epoch, checkpointer.Checkpointer.flush

    def interrupted(training: Any, stepping: Any, epoch: int, advance: Any) -> Any:
        if epoch == 3:
            raise KeyboardInterrupt
        return epochs(training, stepping, epoch, advance)

    def cut_off(checkpointer: checkpointer.Checkpointer) -> None:
        if not (lost and sys.exc_info()[0]):
            flush(checkpointer)

    with monkeypatch.context() as patch:
        patch.setattr(trainer, "train_epoch", interrupted)
        patch.setattr(checkpointer.Checkpointer, "flush", cut_off)
        with pytest.raises(KeyboardInterrupt):
            start_run(dataset, config, runs=tmp_path, name="stopped")
    stopped = RunFolder(root=tmp_path / "stopped")
    assert read_checkpoint(stopped.last).state["epoch"] == (0 if lost else 3)
    assert len(stopped.read_metrics()) == 3
    resume_run(stopped.root)
    assert _same(whole, stopped)
