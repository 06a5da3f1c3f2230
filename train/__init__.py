"""From a dataset to a model, its score and its answers.

`train` trains a run, `evaluate` scores it, `load_model` brings it back to locate photos, `ablate` compares settings,
and `PhotoDataset` gives a dataset's photos to a trainer of one's own.
"""

from typing import TYPE_CHECKING

from img2gps.lazy import lazy_names
from img2gps.threads import settle_threads

if TYPE_CHECKING:
    from train.api import ablate, compare, evaluate, predict, resume, train
    from train.config.schema import TrainConfig
    from train.data.photo_dataset import PhotoDataset
    from train.inference.model import Model, load_model

__all__ = [
    "Model",
    "PhotoDataset",
    "TrainConfig",
    "ablate",
    "compare",
    "evaluate",
    "load_model",
    "predict",
    "resume",
    "train",
]

settle_threads()  # before torch is loaded; where it is already, this changes nothing

__getattr__, __dir__ = lazy_names(
    __name__,
    dict.fromkeys(("ablate", "compare", "evaluate", "predict", "resume", "train"), "train.api")
    | dict.fromkeys(("Model", "load_model"), "train.inference.model")
    | {"PhotoDataset": "train.data.photo_dataset", "TrainConfig": "train.config.schema"},
)
