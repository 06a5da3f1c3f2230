"""Landmarks or people: the costs of classes over many photos, with intervals over walks."""

import dataclasses
from typing import Final

import numpy as np

from img2gps.geo import FloatArray
from img2gps.masks import CLASSES, LASTING, MOVING
from train.evaluation.bootstrap import Clusters, IntervalSource, interval, mean_interval, ratio_samples
from train.evaluation.per_figure import Interval
from train.explanation.class_costs import PhotoCosts

__all__ = [
    "ClassExplanation",
    "ClassFigures",
    "Figure",
    "RefitFigures",
    "Worth",
    "headline_samples",
    "refit_figures",
    "worth_of",
]

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
class Worth:
    """What the classes are worth on some photos.

    `headline` is the cost of (building + vegetation) less that of (person + vehicle), in metres per tenth of the area.
    `beyond_elsewhere` is the same of costs less those of equal shapes elsewhere.
    """

    photos: int
    classes: tuple[ClassFigures, ...]
    headline: Figure
    beyond_elsewhere: Figure
    intervals_from: IntervalSource

    @property
    def leans_on_moving(self) -> bool:
        """Whether what moves costs more than what lasts, by more than chance."""
        bounds = self.headline.interval
        return bounds is not None and bounds.high < 0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RefitFigures:
    """By how many metres the mean error grows where a model is fitted anew without a class.

    `share` is the class's part of the training photos, `per_tenth_m` the metres over a tenth of it.
    """

    name: str
    share: float
    cost_m: Figure
    per_tenth_m: Figure


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ClassExplanation:
    """What a run looks at.

    `worth` is of the photos of the split. `training` is of training photos, each judged by a model that had not
    seen its walk; None where that was not asked. `refitted` are models without a class, where asked for.
    """

    run: str
    dataset: str
    split: str
    without_mask: int
    worth: Worth
    training: Worth | None
    refitted: tuple[RefitFigures, ...]

    @property
    def leans_on_moving(self) -> bool:
        """Whether what moves is worth more than what lasts, in the split or in training."""
        return self.worth.leans_on_moving or (self.training is not None and self.training.leans_on_moving)

    def to_dict(self) -> dict[str, object]:
        """The explanation for JSON: the figures of the split beside its name."""
        fields = dataclasses.asdict(self)
        return {**fields.pop("worth"), **fields, "leans_on_moving": self.leans_on_moving}


def worth_of(costs: PhotoCosts, clusters: Clusters) -> Worth:
    """Return the figures of each class but other, and the headlines, of photos that err together by `clusters`.

    A cost per tenth is the sum of costs over the sum of areas: photos with little of a class count little.
    """
    return Worth(
        photos=len(costs.share),
        classes=tuple(_class(costs, k, clusters) for k in range(1, len(CLASSES))),
        headline=_headline(costs, clusters, beyond_elsewhere=False),
        beyond_elsewhere=_headline(costs, clusters, beyond_elsewhere=True),
        intervals_from=clusters.source,
    )


def _headline(costs: PhotoCosts, clusters: Clusters, *, beyond_elsewhere: bool) -> Figure:
    lasting_m, lasting = costs.total(LASTING, beyond_elsewhere=beyond_elsewhere)
    moving_m, moving = costs.total(MOVING, beyond_elsewhere=beyond_elsewhere)
    if not lasting.any() or not moving.any():
        return Figure(value=None, interval=None)
    samples = headline_samples(costs, clusters, beyond_elsewhere=beyond_elsewhere)
    value = _TENTH * (lasting_m.sum() / lasting.sum() - moving_m.sum() / moving.sum())
    return Figure(value=float(value), interval=interval(samples, clusters.count))


def headline_samples(costs: PhotoCosts, clusters: Clusters, *, beyond_elsewhere: bool = False) -> FloatArray:
    """Return the headline in every resample of `clusters`, (replicates,): the same resamples for equal clusters."""
    lasting = ratio_samples(*costs.total(LASTING, beyond_elsewhere=beyond_elsewhere), clusters)
    moving = ratio_samples(*costs.total(MOVING, beyond_elsewhere=beyond_elsewhere), clusters)
    return np.asarray(_TENTH * (lasting - moving), dtype=np.float64)


def refit_figures(name: str, share: float, more_m: FloatArray, clusters: Clusters) -> RefitFigures:
    """Return the figures of a model without a class, whose errors on N photos are `more_m` (N,) larger."""
    cost = Figure(value=float(more_m.mean()), interval=mean_interval(more_m, clusters))
    return RefitFigures(name=name, share=share, cost_m=cost, per_tenth_m=_scaled(cost, _TENTH / share))


def _scaled(figure: Figure, factor: float) -> Figure:
    bounds = figure.interval
    return Figure(
        value=None if figure.value is None else factor * figure.value,
        interval=None if bounds is None else Interval(factor * bounds.low, factor * bounds.high),
    )


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
