"""What a run was made from: the contents of its config.toml."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from img2gps import __version__
from img2gps.files import canonical_json, sha256_bytes
from img2gps.splits import SPLITS
from train.config.schema import TrainConfig
from train.config.values import config_of, config_values

if TYPE_CHECKING:
    from train.data.training_data import DatasetPhotos

__all__ = ["NO_PHOTOS", "RunInfo"]

NO_PHOTOS: Final = sha256_bytes(canonical_json([]))
"""The fingerprint of a split's ids where the split has none."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RunInfo:
    """What a run was made from: its config, the dataset and the fingerprints of its split, the tools."""

    config: TrainConfig
    dataset: Path
    folds: bool
    site_sha256: str
    rows_sha256: str
    split_ids: Mapping[str, str]
    """SHA-256 per split (train, val, test, all) of `img2gps.splits.split_hashes`."""
    split_labels: Mapping[str, str]
    made_by: Mapping[str, Any]

    def to_toml(self) -> dict[str, Any]:
        """Return the table of config.toml; ``[train]`` is what `train --config` reads back."""
        return {
            "train": {"dataset": str(self.dataset), "folds": self.folds, **config_values(self.config)},
            "dataset": {"site_sha256": self.site_sha256, "rows_sha256": self.rows_sha256},
            "split": {"ids": dict(self.split_ids), "labels": dict(self.split_labels)},
            "made_by": dict(self.made_by),
        }

    @classmethod
    def from_toml(cls, table: Mapping[str, Any]) -> "RunInfo":
        """Return the info of a config.toml. Raises KeyError, TypeError or UsageError where it is damaged."""
        values = dict(table["train"])
        dataset, folds = Path(values.pop("dataset")), bool(values.pop("folds"))
        return cls(
            config=config_of(values),
            dataset=dataset,
            folds=folds,
            site_sha256=str(table["dataset"]["site_sha256"]),
            rows_sha256=str(table["dataset"]["rows_sha256"]),
            split_ids=_fingerprints(table["split"]["ids"]),
            split_labels=_fingerprints(table["split"]["labels"]),
            made_by=dict(table["made_by"]),
        )

    @classmethod
    def of(cls, config: TrainConfig, source: "DatasetPhotos", *, folds: bool, made_by: Mapping[str, Any]) -> "RunInfo":
        """Return the info of a run that begins now."""
        return cls(
            config=config,
            dataset=source.dataset.root.resolve(),
            folds=folds,
            site_sha256=source.site_sha256,
            rows_sha256=source.rows_sha256,
            split_ids=source.hashes.ids,
            split_labels=source.hashes.labels,
            made_by={"img2gps": __version__, **made_by},
        )


def _fingerprints(table: Mapping[str, Any]) -> dict[str, str]:
    """Return the fingerprints of the splits. Raises KeyError where one is missing."""
    return {name: str(table[name]) for name in (*SPLITS, "all")}
