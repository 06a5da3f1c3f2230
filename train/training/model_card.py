"""The model card of a run: what it is, what it was made from, how to use it and what not to expect."""

from typing import Final

from img2gps.files import write_atomic
from img2gps.text import format_count, safe_path, safe_text, shell_path
from train.config.presets import PUBLISHED_ASSUMPTIONS
from train.config.schema import TrainConfig
from train.data.training_data import TrainingData
from train.inference.load import stated
from train.runs.folder import RunFolder
from train.runs.remarks import TELLS_NO_STRANGERS, familiarity_sentence

__all__ = ["card", "write_card"]

_LIMITS: Final = (
    "It knows this site only: a photo from anywhere else is placed on the site all the same.",
    "Figures hold for photos like those they were measured on; other days, light and phones are harder.",
    "Positions of the training photos came from phones, which are off by 5 to 50 m themselves.",
)


def write_card(run: RunFolder, config: TrainConfig, parts: list[TrainingData]) -> None:
    """Write README.md."""
    write_atomic(run.root / "README.md", card(run, config, parts).encode())


def card(run: RunFolder, config: TrainConfig, parts: list[TrainingData]) -> str:
    """Return the card as Markdown."""
    name, source = safe_text(run.root.name), parts[0].source
    spec = config.pixels
    lines = [
        f"# {name}",
        "",
        f"Tells where on {safe_text(source.site_name)} a photo was taken.",
        "",
        "| | |",
        "|---|---|",
        f"| preset | {config.preset} |",
        f"| model | {safe_text(config.model)}, weights: {safe_text(config.weights)} |",
        f"| input | {spec.width} x {spec.height} px, {spec.fit} |",
        f"| dataset | {safe_path(source.dataset.root)} |",
        f"| photos | {_photos(parts, config)} |",
        f"| seed | {config.seed} |",
        *_figures(run, config),
        "",
        "## Use",
        "",
        f"    img2gps predict {shell_path(run.root)} PHOTOS",
        f"    img2gps evaluate {shell_path(run.root)}",
        f"    img2gps train --config {shell_path(run.config_path)}    # train it again",
        "",
        "## Limits",
        "",
        *(f"- {limit}" for limit in _LIMITS),
        *_familiarity(run, config),
    ]
    if config.preset == "published":
        lines += ["", "## Assumptions where the published recipe is silent", ""]
        lines += [f"- {assumption}" for assumption in PUBLISHED_ASSUMPTIONS]
    return "\n".join(lines) + "\n"


def _photos(parts: list[TrainingData], config: TrainConfig) -> str:
    data = parts[0]
    if data.fold is not None:
        return f"{len(parts)} folds, one model each"
    purpose = "calibrate the regions" if config.method == "probe" else "choose the epoch"
    val = f", {len(data.val):,} to {purpose}" if data.val is not None else ", no validation photos"
    return format_count(len(data.train), "training photo") + val


def _familiarity(run: RunFolder, config: TrainConfig) -> list[str]:
    """Return what the model tells of photos of elsewhere; nothing of a run of folds, whose models differ."""
    if config.method != "probe" or run.folds_path.is_dir():
        return []
    power = stated(run.root, "familiarity_power")
    if power is None:
        return [f"- {TELLS_NO_STRANGERS}"]
    return [f"- {familiarity_sentence(power)}"]


def _figures(run: RunFolder, config: TrainConfig) -> list[str]:
    what_val_did = "whose regions these photos calibrated" if config.method == "probe" else "which these photos chose"
    judged = [line for line in run.read_metrics() if line.get("val/rmse_m") is not None]
    if not judged:
        return []
    best = min(judged, key=lambda line: float(line["val/rmse_m"]))
    return [
        f"| validation | RMSE {best['val/rmse_m']:.1f} m, median {best['val/median_m']:.1f} m "
        f"(epoch {best['epoch']}, {what_val_did}) |"
    ]
