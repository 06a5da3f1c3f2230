"""From a dataset to a model, its score and its answers.

`train` trains a run, `evaluate` scores it, and `load_model` loads it to locate photos. `ablate` compares settings, and
`serve` answers phones. `PhotoDataset` gives a dataset's photos to your own trainer.
"""

from typing import TYPE_CHECKING

from img2gps.lazy import lazy_names
from img2gps.threads import settle_threads

if TYPE_CHECKING:
    from train.api import (
        ablate,
        check_export,
        compare,
        evaluate,
        export,
        plan_ablate,
        plan_export,
        plan_resume,
        plan_train,
        predict,
        resume,
        serve,
        train,
    )
    from train.config.schema import TrainConfig
    from train.data.photo_dataset import PhotoDataset
    from train.inference.model import Model, load_model
    from train.inference.output import predictions_csv, predictions_geojson

__all__ = [
    "Model",
    "PhotoDataset",
    "TrainConfig",
    "ablate",
    "check_export",
    "compare",
    "evaluate",
    "export",
    "load_model",
    "plan_ablate",
    "plan_export",
    "plan_resume",
    "plan_train",
    "predict",
    "predictions_csv",
    "predictions_geojson",
    "resume",
    "serve",
    "train",
]

settle_threads()  # before torch is loaded; where it is already, this changes nothing

_API = (
    *("ablate", "check_export", "compare", "evaluate", "export"),
    *("plan_ablate", "plan_export", "plan_resume", "plan_train", "predict", "resume", "serve", "train"),
)

__getattr__, __dir__ = lazy_names(
    __name__,
    dict.fromkeys(_API, "train.api")
    | dict.fromkeys(("Model", "load_model"), "train.inference.model")
    | dict.fromkeys(("predictions_csv", "predictions_geojson"), "train.inference.output")
    | {"PhotoDataset": "train.data.photo_dataset", "TrainConfig": "train.config.schema"},
)
