"""A probe as tensors and state: written to a checkpoint, brought back from one."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

import torch

from img2gps.errors import InvalidCheckpointError, UsageError
from img2gps.geo import LocalFrame
from img2gps.text import safe_path, safe_text
from train.config.schema import ProbeConfig
from train.config.values import KERNELS, config_values, probe_of
from train.data.training_data import TrainingData
from train.models.calibration import Calibration
from train.models.familiarity import Familiarity, Power
from train.models.network.checkpointer import made_by
from train.models.probe.features.extractor import FEATURES_VERSION
from train.models.probe.heads.ensemble import Ensemble
from train.models.probe.model import ProbeLocalizer, make_extractor
from train.models.reliability import Reliability
from train.models.walks import WalkSmoother
from train.runs.checkpoint import Checkpoint, load_into, write_checkpoint
from train.runs.folder import RunFolder

__all__ = ["restore_probe", "save_probe"]

_BACKBONE: Final = "backbone."
_FAMILIAR: Final = "familiarity"
_FIRST_WITH_TOKENS: Final = 6  # of `FEATURES_VERSION`


def save_probe(
    localizer: ProbeLocalizer, config: ProbeConfig, data: TrainingData, run: RunFolder, figures: Mapping[str, Any]
) -> None:
    """Write the checkpoints ``best`` and ``last`` of a run with `config`, which are one model.

    Where its labels were refined, the model has other kernels than the config of the run.
    """
    power = localizer.familiarity.power
    state = {
        "method": "probe",
        "config": config_values(config),
        "kernels": {name: getattr(localizer.config, name) for name in KERNELS},
        "features_version": FEATURES_VERSION,
        "frame": dataclasses.asdict(localizer.frame),
        "cell_m": localizer.ensemble.cells.size_m,
        "calibration": dataclasses.asdict(localizer.calibration),
        "walk_calibration": dataclasses.asdict(localizer.walk_calibration),
        "familiarity_power": None if power is None else dataclasses.asdict(power),
        "reliability": None if localizer.reliability is None else dataclasses.asdict(localizer.reliability),
        "site": data.source.site_name,
        "fold": data.fold,
        "made_by": made_by(localizer.device),
        "epoch": 1,
        "best": {"epoch": 1, "val/rmse_m": figures.get("val/rmse_m")},
        "metrics": dict(figures),
    }
    weights = {f"{_BACKBONE}{name}": tensor for name, tensor in localizer.extractor.state_dict().items()}
    tensors = weights | localizer.ensemble.tensors() | {_FAMILIAR: localizer.familiarity.held_out}
    for folder in (run.best, run.last):
        write_checkpoint(folder, tensors=tensors, state=state)


def restore_probe(checkpoint: Checkpoint, *, device: torch.device) -> ProbeLocalizer:
    """Return the model of a checkpoint. Raises InvalidCheckpointError where tensors and state do not fit."""
    where = safe_path(checkpoint.folder)
    weights = {name.removeprefix(_BACKBONE): t for name, t in checkpoint.tensors.items() if name.startswith(_BACKBONE)}
    others = {name: t.to(device) for name, t in checkpoint.tensors.items() if not name.startswith(_BACKBONE)}
    try:
        config = probe_of(checkpoint.state["config"], where=where)
        kernels = checkpoint.state.get("kernels", {})  # earlier versions had none
        config = probe_of(config.model_dump() | {name: kernels[name] for name in KERNELS if kernels}, where=where)
        frame = LocalFrame(**checkpoint.state["frame"])
        calibration = Calibration(**checkpoint.state["calibration"])
        # earlier versions had none
        walk_calibration = Calibration(**checkpoint.state.get("walk_calibration", checkpoint.state["calibration"]))
        version = int(checkpoint.state.get("features_version", 0))  # earlier versions had none
        extractor = make_extractor(config, device, with_weights=False, tokens=version >= _FIRST_WITH_TOKENS)
        ensemble = Ensemble.from_tensors(others, config, cell_m=float(checkpoint.state["cell_m"]))
        power = checkpoint.state.get("familiarity_power")  # earlier versions had none
        familiarity = Familiarity(
            held_out=others.get(_FAMILIAR, torch.empty(0, device=device)).flatten(),
            power=None if power is None else Power(**power),
        )
        curve = checkpoint.state.get("reliability")  # earlier versions had none
        reliability = None if curve is None else Reliability(**curve)
    except (KeyError, TypeError, ValueError, RuntimeError, UsageError) as error:
        reason = safe_text(str(error).splitlines()[0] if str(error) else type(error).__name__, limit=120)
        raise InvalidCheckpointError(
            f"{where} holds a model that does not fit together ({reason}): train again."
        ) from error
    load_into(extractor, weights, where=where)
    return ProbeLocalizer(
        extractor=extractor,
        ensemble=ensemble,
        calibration=calibration,
        walk_calibration=walk_calibration,
        walk_smoother=WalkSmoother.around(ensemble.cells),
        familiarity=familiarity,
        reliability=reliability,
        config=config,
        frame=frame,
        device=device,
    )
