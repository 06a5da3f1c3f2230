"""Landmarks or people: the costs of classes over many photos, with intervals over walks."""

import dataclasses
from typing import Final

import numpy as np

from img2gps.geo import FloatArray
from img2gps.masks import CLASSES, LASTING, MOVING
from train.evaluation.bootstrap import Clusters, IntervalSource, interval, ratio_samples
from train.evaluation.per_figure import Interval
from train.explanation.class_costs import PhotoCosts

__all__ = ["ClassExplanation", "ClassFigures", "Figure", "figures_of_classes"]

_TENTH: Final = 0.1


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A number per tenth of a photo's area, and its 95 % interval; None where no photo shows it."""

    value: float | None
    interval: Interval | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ClassFigures:
    """A class over all photos: `share` of their area, `photos` that show it, costs per tenth of the area.

    `beyond_elsewhere_m` is the cost less that of fills of the same shape elsewhere in the same photo.
    """

    name: str
    photos: int
    share: float
    cost_m: Figure
    cost_log_prob: Figure
    elsewhere_m: Figure
    beyond_elsewhere_m: Figure


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ClassExplanation:
    """What a run looks at.

    `headline` is the cost of (building + vegetation) less that of (person + vehicle), in metres per tenth of the area.
    """

    run: str
    dataset: str
    split: str
    photos: int
    without_mask: int
    classes: tuple[ClassFigures, ...]
    headline: Figure
    intervals_from: IntervalSource

    @property
    def leans_on_moving(self) -> bool:
        """Whether what moves costs more than what lasts, by more than chance."""
        bounds = self.headline.interval
        return bounds is not None and bounds.high < 0

    def to_dict(self) -> dict[str, object]:
        """The explanation for JSON."""
        return dataclasses.asdict(self) | {"leans_on_moving": self.leans_on_moving}


def figures_of_classes(costs: PhotoCosts, clusters: Clusters) -> tuple[tuple[ClassFigures, ...], Figure]:
    """Return the figures of each class but other, and the headline, of photos that err together by `clusters`.

    A cost per tenth is the sum of costs over the sum of areas: photos with little of a class count little.
    """
    classes = tuple(_class(costs, k, clusters) for k in range(1, len(CLASSES)))
    (lasting_m, lasting), (moving_m, moving) = costs.total(LASTING), costs.total(MOVING)
    if not lasting.any() or not moving.any():
        return classes, Figure(value=None, interval=None)
    samples = ratio_samples(lasting_m, lasting, clusters) - ratio_samples(moving_m, moving, clusters)
    value = _TENTH * (lasting_m.sum() / lasting.sum() - moving_m.sum() / moving.sum())
    return classes, Figure(value=float(value), interval=interval(_TENTH * samples, clusters.count))


def _class(costs: PhotoCosts, k: int, clusters: Clusters) -> ClassFigures:
    share = costs.share[:, k]
    return ClassFigures(
        name=CLASSES[k],
        photos=int((share > 0).sum()),
        share=float(share.mean()),
        cost_m=_figure(costs.cost_m[:, k], share, clusters),
        cost_log_prob=_figure(costs.cost_log_prob[:, k], share, clusters),
        elsewhere_m=_figure(costs.elsewhere_m[:, k], share, clusters),
        beyond_elsewhere_m=_figure(costs.cost_m[:, k] - costs.elsewhere_m[:, k], share, clusters),
    )


def _figure(cost: FloatArray, share: FloatArray, clusters: Clusters) -> Figure:
    if not share.any() or np.isnan(cost[share > 0]).any():
        return Figure(value=None, interval=None)
    samples = _TENTH * ratio_samples(cost, share, clusters)
    return Figure(value=float(_TENTH * cost.sum() / share.sum()), interval=interval(samples, clusters.count))
