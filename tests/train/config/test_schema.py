import tomllib
from pathlib import Path
from typing import Any, get_args

import pydantic
import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st
from pydantic.fields import FieldInfo

from img2gps.errors import NotFoundError, UsageError
from train.config.options import resolve, study_base
from train.config.presets import PRESETS, preset
from train.config.schema import CONFIGS, NetworkConfig, ProbeConfig, TrainConfig
from train.config.values import changed, config_of, config_values, field_names, for_refined, parse_assignments


def _values(field: FieldInfo) -> st.SearchStrategy[Any]:
    """Return a strategy of what a field may be, by its type and bounds."""
    if choices := get_args(field.annotation):
        return st.sampled_from(choices)
    rules = {
        key: getattr(rule, key) for rule in field.metadata for key in ("ge", "le", "multiple_of") if hasattr(rule, key)
    }
    if field.annotation is float:
        return st.floats(rules["ge"], rules["le"])
    if field.annotation is int:
        step = rules.get("multiple_of", 1)
        return st.integers(-(-rules["ge"] // step), rules["le"] // step).map(lambda number: number * step)
    if field.annotation is bool:
        return st.booleans()
    return st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=20)


@st.composite
def configs(draw: st.DrawFn) -> TrainConfig:
    """Draw a config of either method in which some fields, of any number, differ from their defaults."""
    kind = CONFIGS[draw(st.sampled_from(sorted(CONFIGS)))]
    names = draw(st.sets(st.sampled_from(sorted(kind.model_fields)), max_size=12)) - {"method"}
    return kind(**{name: draw(_values(kind.model_fields[name])) for name in sorted(names)})


@pytest.mark.slow
@given(configs())
def test_a_config_survives_toml(config: TrainConfig) -> None:
    text = tomli_w.dumps(config_values(config))
    again = config_of(tomllib.loads(text))
    assert again == config
    assert hash(again) == hash(config)
    assert tomli_w.dumps(config_values(again)) == text


@given(configs())
def test_a_config_without_the_fields_of_the_other_method_is_read_the_same(config: TrainConfig) -> None:
    assert config_of(config.model_dump()) == config


@pytest.mark.slow
@given(configs(), configs())
def test_values_change_a_config_whatever_its_method_was(base: TrainConfig, wanted: TrainConfig) -> None:
    assert changed(base, wanted.model_dump()) == wanted


def test_every_field_says_what_it_means_and_every_number_has_bounds() -> None:
    for kind in CONFIGS.values():
        for name, field in kind.model_fields.items():
            assert field.description or name == "method", name
            if field.annotation in (int, float):
                assert {"ge", "le"} <= {key for rule in field.metadata for key in ("ge", "le") if hasattr(rule, key)}, (
                    name
                )


def test_a_method_has_no_field_of_the_other() -> None:
    shared = set(TrainConfig.model_fields)
    assert set(NetworkConfig.model_fields) & set(ProbeConfig.model_fields) == shared
    assert set(field_names()) == set(NetworkConfig.model_fields) | set(ProbeConfig.model_fields)
    with pytest.raises(pydantic.ValidationError):
        ProbeConfig(freeze=0.5)  # type: ignore[call-arg]


def test_the_method_chooses_the_model_of_the_config() -> None:
    assert type(TrainConfig()) is NetworkConfig
    assert TrainConfig(method="probe", seed=3) == ProbeConfig(seed=3)


def test_a_config_is_not_changed_in_place() -> None:
    with pytest.raises(pydantic.ValidationError):
        preset("quick").seed = 3  # type: ignore[misc]


def test_a_table_of_an_earlier_run_is_read() -> None:
    """Its tables hold the fields of both methods, whatever they say, and none of those that came since."""
    table = {name: value for name, value in config_values(preset("quick")).items() if not name.startswith("tune_")}
    assert config_of(table | {"optimizer": "adamw", "tune_epochs": 0}) == preset("quick")
    assert config_of({"method": "probe", "loss": "huber"}) == ProbeConfig()
    with pytest.raises(UsageError, match="loss"):
        config_of({"method": "probe", "loss": "l7"})
    with pytest.raises(UsageError, match="method"):
        config_of({"method": "magic"})


@given(configs())
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
        ({"learning_rate": 3}, "learning_rate, which is no field .* mean lr, which lies between 1e-12 and 1000000.0"),
        ({"epoch": 3}, "did you mean epochs"),
        ({"batchsize": 3}, "did you mean batch_size"),
        ({"mixing": 3}, "mixing, which is no field"),
        ({"neighbors": 3}, "did you mean neighbours, which lies between 1 and 1000000"),
        ({"lr": "fast"}, "lr"),
        ({"epochs": 1.5}, "epochs"),
        ({"epochs": True}, "epochs"),
        ({"epochs": 0}, "epochs"),
        ({"lr": -1.0}, "sets lr to -1.0; it must lie between 1e-12 and 1000000.0"),
        ({"tune_batch_size": 3}, "multiple of 2"),
        ({"method": "magic"}, "method to .*network, probe"),
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


def test_the_preset_follows_the_same_order_as_every_option(tmp_path: Path) -> None:
    path = tmp_path / "options.toml"
    path.write_text('preset = "published"\nlr = 0.5\n')
    environment = {"preset": "IMG2GPS_TRAIN_PRESET"}

    def resolved(name: str | None, assignments: tuple[str, ...] = (), **more: Any) -> TrainConfig:
        return resolve(preset_name=name, options={}, assignments=assignments, config_path=path, **more)[0]

    assert resolved(None).preset == "published"
    assert (resolved("quick").preset, resolved("quick").lr) == ("quick", 0.5)
    assert resolved("quick", environment=environment).preset == "quick"
    assert resolved("quick", ("preset=finetune",), environment=environment).preset == "finetune"
    assert resolved("quick", ("preset=finetune",), environment={"set": "IMG2GPS_TRAIN_SET"}).preset == "quick"


def test_what_was_typed_wins_over_the_environment() -> None:
    environment = {"lr": "IMG2GPS_TRAIN_LR", "set": "IMG2GPS_TRAIN_SET"}
    both: dict[str, Any] = {"preset_name": "published", "config_path": None}
    config, _, _ = resolve(options={"lr": 0.5}, assignments=("lr=0.25",), environment={"set": "X"}, **both)
    assert config.lr == 0.5
    config, _, _ = resolve(options={"lr": 0.5}, assignments=("lr=0.25",), environment={"lr": "X"}, **both)
    assert config.lr == 0.25
    with pytest.raises(UsageError, match="IMG2GPS_TRAIN_SET sets lr to -1"):
        resolve(options={"lr": 0.5}, assignments=("lr=-1",), environment=environment, **both)
    with pytest.raises(UsageError, match="IMG2GPS_TRAIN_LR sets lr to -1"):
        resolve(options={"lr": -1.0}, assignments=(), environment=environment, **both)


def test_the_whole_config_of_a_run_and_another_preset_contradict_each_other(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(tomli_w.dumps({"train": config_values(preset("published"))}))
    with pytest.raises(UsageError, match="--preset asks for default"):
        _resolve("default", path)
    assert _resolve("published", path) == preset("published")


def test_bad_config_files(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        _resolve(path=tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("lr = = 3")
    with pytest.raises(UsageError, match="TOML"):
        _resolve(path=tmp_path / "bad.toml")
    (tmp_path / "odd.toml").write_text("colour = 3")
    with pytest.raises(UsageError, match="colour"):
        _resolve(path=tmp_path / "odd.toml")
    (tmp_path / "folds.toml").write_text('folds = "no"')
    with pytest.raises(UsageError, match=r"folds.toml sets folds to 'no'"):
        _resolve(path=tmp_path / "folds.toml")
    with pytest.raises(UsageError, match=r"No preset 'fast' \(--preset\): there are"):
        _resolve("fast")
    with pytest.raises(UsageError, match="did you mean quick"):
        _resolve("quik")


def test_field_names_are_what_the_command_line_can_set() -> None:
    assert {"lr", "batch_size", "model", "augment_crop"} <= set(field_names())


def test_kernels_are_narrower_where_labels_were_refined_and_the_config_stays_as_it_was_chosen() -> None:
    chosen = changed(preset("quick"), {"labels": "refined", "bandwidth_m": 11.0})
    assert isinstance(chosen, ProbeConfig)
    assert (chosen.bandwidth_m, chosen.label_sigma_m) == (11.0, 10.0)
    narrower = for_refined(chosen)
    assert narrower.model_dump() == chosen.model_dump() | {"bandwidth_m": 7.3, "label_sigma_m": 6.7}
