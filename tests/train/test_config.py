import re
import tomllib
from pathlib import Path

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from img2gps.errors import NotFoundError, UsageError
from train.config import FIELD_NAMES, UNREAD, TrainConfig, changed, config_values, parse_assignments
from train.options import resolve, study_base
from train.presets import PRESETS, preset

configs = st.builds(
    TrainConfig,
    size=st.integers(16, 1024),
    aspect=st.floats(0.2, 5.0),
    lr=st.floats(1e-8, 10.0),
    epochs=st.integers(1, 500),
    batch_size=st.integers(1, 4096),
    seed=st.integers(0, 2**63 - 1),
    target=st.sampled_from(["degrees", "metres"]),
    schedule=st.sampled_from(["step", "cosine", "constant"]),
    weights=st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=20),
    freeze_batchnorm=st.booleans(),
)


@given(configs)
def test_a_config_survives_toml(config: TrainConfig) -> None:
    table = tomllib.loads(tomli_w.dumps(config_values(config)))
    assert changed(TrainConfig(), table) == config


@given(configs)
def test_the_short_side_of_the_input_is_the_size(config: TrainConfig) -> None:
    spec = config.pixels
    assert min(spec.height, spec.width) == config.size
    assert spec.height >= spec.width if config.aspect >= 1 else spec.width >= spec.height


def test_published_is_the_recipe_of_its_authors() -> None:
    config = preset("published")
    stated = ("resnet18", 16, 32, "adam", 1e-3, "step", 5, 0.1, 15, "mse")
    assert stated == (
        *(config.model, config.batch_size, config.val_batch_size, config.optimizer, config.lr),
        *(config.schedule, config.step_epochs, config.step_gamma, config.epochs, config.loss),
    )
    assert (config.pixels.height, config.pixels.width) == (224, 224)


def test_every_preset_carries_its_own_name() -> None:
    assert all(config.preset == name for name, config in PRESETS.items())


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"learning_rate": 1.0}, "learning_rate"),
        ({"lr": "fast"}, "lr"),
        ({"epochs": 1.5}, "epochs"),
        ({"epochs": True}, "epochs"),
        ({"epochs": 0}, "epochs"),
        ({"lr": -1.0}, "lr"),
        ({"lr": float("nan")}, "lr"),
        ({"loss": "l7"}, "mse, huber"),
    ],
)
def test_a_wrong_value_is_named(values: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        changed(TrainConfig(), values)


def test_assignments_are_toml_values_or_plain_text() -> None:
    assert parse_assignments(("lr=1e-3", "epochs=3", "loss=huber", "freeze_batchnorm=true")) == {
        "lr": 1e-3,
        "epochs": 3,
        "loss": "huber",
        "freeze_batchnorm": True,
    }
    with pytest.raises(UsageError, match="name=value"):
        parse_assignments(("lr",))


def _resolve(preset_name: str | None = None, path: Path | None = None, **options: object) -> TrainConfig:
    return resolve(preset_name=preset_name, options=options, assignments=(), config_path=path)[0]


def test_option_wins_over_file_over_preset(tmp_path: Path) -> None:
    path = tmp_path / "options.toml"
    path.write_text('preset = "published"\nlr = 0.5\nbatch-size = 4\n')
    config = _resolve(path=path, lr=0.25, epochs=None)
    assert (config.preset, config.lr, config.batch_size, config.epochs) == ("published", 0.25, 4, 15)


def test_a_model_of_ones_own_is_trained_end_to_end_without_a_download() -> None:
    own = _resolve(model="resnet34")
    assert (own.method, own.model, own.weights) == ("network", "resnet34", "none")
    assert _resolve(model="resnet34", weights="imagenet").weights == "imagenet"
    assert _resolve("published", model="resnet34").preset == "published"
    assert _resolve(model="timm/tf_efficientnet_lite0").method == "probe"
    assert _resolve().preset == "default"


@pytest.mark.parametrize(("name", "assigned"), [("quick", "loss=huber"), ("published", "mixup=0.2")])
def test_an_assignment_that_makes_no_difference_is_refused(name: str, assigned: str) -> None:
    with pytest.raises(UsageError, match=f"{assigned.partition('=')[0]} makes no difference"):
        resolve(preset_name=name, options={}, assignments=(assigned,), config_path=None)


def test_a_config_of_a_run_may_hold_what_its_method_does_not_read(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(tomli_w.dumps({"train": config_values(preset("quick"))}))
    assert _resolve(path=path) == preset("quick")


def _read_by(*modules: str) -> set[str]:
    """Return the fields that source files take from a config."""
    names = "|".join(FIELD_NAMES)
    paths = [path for name in modules for path in sorted(Path("train").glob(name))]
    return {found for path in paths for found in re.findall(rf"config\.({names})\b", path.read_text())}


def test_what_a_method_does_not_read_is_what_its_modules_leave_alone() -> None:
    probe = _read_by("probe.py", "heads/*.py")
    network = _read_by("trainer.py", "networks.py", "schedule.py", "augment.py", "keeping.py")
    assert UNREAD["probe"] == network - probe
    assert UNREAD["network"] == probe - network


@pytest.mark.parametrize(
    ("models", "expected"),
    [
        ([], ("probe", "bundled")),
        (["timm/tf_efficientnet_lite0", "timm/tf_efficientnet_lite2"], ("probe", "bundled")),
        (["resnet18", "timm/tf_efficientnet_lite0"], ("network", "none")),
    ],
)
def test_a_study_shares_the_preset_that_train_would_choose(models: list[str], expected: tuple[str, str]) -> None:
    base = study_base(None, models=models, options={"device": "cpu", "threads": None})
    assert (base.method, base.weights, base.device, base.threads) == (*expected, "cpu", 0)
    assert study_base("published", models=models, options={}) == preset("published")


def test_a_config_file_and_another_preset_contradict_each_other(tmp_path: Path) -> None:
    path = tmp_path / "options.toml"
    path.write_text('preset = "published"\n')
    with pytest.raises(UsageError, match="published"):
        _resolve("default", path)


def test_bad_config_files(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        _resolve(path=tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("lr = = 3")
    with pytest.raises(UsageError, match="TOML"):
        _resolve(path=tmp_path / "bad.toml")
    (tmp_path / "odd.toml").write_text("colour = 3")
    with pytest.raises(UsageError, match="colour"):
        _resolve(path=tmp_path / "odd.toml")
    with pytest.raises(UsageError, match="No preset"):
        _resolve("fast")


def test_field_names_are_what_the_command_line_can_set() -> None:
    assert {"lr", "batch_size", "model", "augment_crop"} <= set(FIELD_NAMES)
