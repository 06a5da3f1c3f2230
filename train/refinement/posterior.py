"""Where the photos of walks were taken: by their labels, the drift of phones and models that had not seen the walk."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from img2gps.estimation.drift import Drift, drift_along_walk, drift_offsets, walk_log_likelihood
from img2gps.geo import FloatArray
from img2gps.walks import evidence_weights
from train.refinement.places import PlaceEvidence

__all__ = [
    "AS_TOLD_M",
    "RADIUS_50",
    "RADIUS_90",
    "ErrorModel",
    "LabelledWalk",
    "Positions",
    "fitted_error_model",
    "log_likelihood",
    "positions",
]

AS_TOLD_M: Final = 2.0
"""What a person's correction is off by, per axis."""

RADIUS_50: Final = 1.1774
"""The radius that holds half of a round Gaussian, in standard deviations per axis."""

RADIUS_90: Final = 2.1460
"""The radius that holds nine tenths of one."""

_GROSS: Final = 0.01  # share of labels that have nothing to do with their place
_UNSURE: Final = 0.65  # the exponent of a model where it errs: wider than what it says
_SPREADS: Final = (0.3, 0.42, 0.54, 0.66, 0.78, 0.9, 1.0, 1.12, 1.27, 1.45, 1.75, 2.2, 2.7, 3.3, 4.0)  # of the expected
_FAR_MORE: Final = 1.3  # times what is expected: then the grid of drifts must reach farther
_MOST_WIDENED: Final = 3  # times: it goes as far as four times what is expected
_TRIED: Final[Mapping[str, tuple[float, ...]]] = {
    "temper": (1.0, 1.4, 2.0, 2.8, 4.0, 5.6, 8.0, 11.0, 16.0),
    "unsure": (0.02, 0.1, 0.2, 0.35, 0.5, 0.7),
    "anywhere": (0.003, 0.01, 0.03, 0.06, 0.1),
    "lasting_s": (30.0, 50.0, 80.0, 120.0, 180.0, 300.0),
}
_KNOWN: Final = 0.15  # standard deviation of the logarithm of the spread, beforehand
_OF_A_DEVICE: Final = 0.25  # how far, in logarithms, phones of one site differ in it
_LEAST_WALKS, _LEAST_PHOTOS = 3, 60  # of a device, to tell its own
_SWEEPS: Final = 2
_MOST_FITTED: Final = 1500  # photos that the error model is fitted on: more do not move it


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LabelledWalk:
    """N photos of one walk in order of time: `rows` among all, `seconds`, labels (N, 2) in metres, what they show.

    `usual_m` is the spread of the drift that is expected of their phone (`ErrorModel.drift`). `errors_m` (N, 2) are the
    errors of labels whose true place a person has told, NaN for all others.
    """

    rows: NDArray[np.int64]
    seconds: FloatArray
    labels_m: FloatArray
    evidence: PlaceEvidence
    device: str
    usual_m: float
    errors_m: FloatArray


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ErrorModel:
    """What labels and models err by. The drift's spread is a factor on what is expected of a phone, by device.

    `temper` is the exponent on what models say. A share `unsure` of photos is told by wider distributions than
    that, a share `anywhere` not at all.
    """

    spread: float = 1.0
    of_device: Mapping[str, float] = dataclasses.field(default_factory=dict)
    lasting_s: float = 90.0
    temper: float = 2.4
    unsure: float = 0.3
    anywhere: float = 0.03

    def spread_m(self, device: str, usual_m: float) -> float:
        """Return the spread per axis of the drift of a device, of which `usual_m` is expected."""
        return self.of_device.get(device, self.spread) * usual_m

    def drift(self, walk: LabelledWalk) -> Drift:
        """Return the drift of a walk's phone."""
        return Drift(spread_m=self.spread_m(walk.device, walk.usual_m), lasting_s=self.lasting_s)

    def reach(self, walk: LabelledWalk) -> float:
        """Return by what to widen the grid of a walk's drifts: what its phone errs by, if far more than expected."""
        factor = self.of_device.get(walk.device, self.spread)
        return factor if factor > _FAR_MORE else 1.0

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, rounded."""
        return {name: round(getattr(self, name), 4) for name in ("spread", *_TRIED)}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Positions:
    """Estimates for N photos in metres: `xy` (N, 2), and the rest (N,).

    `radius_50_m`, `radius_90_m` hold half and nine tenths of the belief around `xy`. `gross` is the probability that
    the label has nothing to do with the place.
    """

    xy: FloatArray
    radius_50_m: FloatArray
    radius_90_m: FloatArray
    gross: FloatArray

    @property
    def spread_m(self) -> FloatArray:
        """The standard deviations (N,) per axis of round Gaussians with the same radius of 50 %."""
        return self.radius_50_m / RADIUS_50


@dataclasses.dataclass(slots=True)
class _Shown:
    """How likely each drift (G, G) is by each photo of a walk, under tempers; looked up once each."""

    walk: LabelledWalk
    offsets_m: FloatArray
    index: NDArray[np.int32]
    weight: NDArray[np.float32]
    kept: dict[float, tuple[FloatArray, FloatArray]]
    counts: FloatArray

    @classmethod
    def of(cls, walk: LabelledWalk, model: ErrorModel) -> "_Shown":
        offsets = drift_offsets(model.reach(walk) * walk.usual_m)
        grid_m = np.stack(np.meshgrid(offsets, offsets, indexing="ij"), axis=-1)
        around = walk.evidence.around(walk.labels_m[:, None, None] - grid_m)
        return cls(walk, offsets, *around, {}, evidence_weights(walk.seconds))

    def likelihood(self, model: ErrorModel) -> FloatArray:
        """Return the likelihood (N, G, G) of each drift by each photo, as far as it counts beside its neighbours.

        The exponent that makes it count less applies to a density, which must stay one. Otherwise the likelihood of the
        labels would grow with how little a model says, and hide the drift.
        """
        (sure, whole_sure), (wide, whole_wide) = self._at(model.temper), self._at(_UNSURE)
        counts = self.counts[:, None]
        whole = self._mixed(model, whole_sure, whole_wide) ** counts
        shares = whole.sum(axis=1) * self.walk.evidence.size_m**2
        likelihood: FloatArray = self._mixed(model, sure, wide) ** counts[:, None] / shares[:, None, None]
        for row in np.flatnonzero(np.isfinite(self.walk.errors_m[:, 0])):
            likelihood[row] = self._near(self.walk.errors_m[row])
        return np.asarray(likelihood, dtype=np.float64)

    def alone(self, model: ErrorModel) -> FloatArray:
        """Return the density (N, G, G) of each label at each drift, by its photo alone."""
        return self._mixed(model, self._at(model.temper)[0], self._at(_UNSURE)[0])

    def _mixed(self, model: ErrorModel, sure: FloatArray, wide: FloatArray) -> FloatArray:
        """Return densities per square metre: mostly sure, now and then wide, or of anywhere."""
        area_m2 = self.walk.evidence.area_m2
        shown = (1 - model.unsure - model.anywhere) * sure + model.unsure * wide + model.anywhere / area_m2
        return np.asarray((1 - _GROSS) * shown + _GROSS / area_m2, dtype=np.float64)

    def _near(self, error_m: FloatArray) -> FloatArray:
        """Return the likelihood (G, G) of drifts where the error of a label is known, as well as a person knows it."""
        reach_m = float(np.abs(self.offsets_m).max())
        spread_m = max(AS_TOLD_M, float(self.offsets_m[1] - self.offsets_m[0]))
        east, north = (
            np.exp(-((self.offsets_m - value) ** 2) / (2 * spread_m**2))
            for value in np.clip(error_m, -reach_m, reach_m).tolist()
        )
        return np.asarray(np.outer(east, north) / (2 * np.pi * spread_m**2), dtype=np.float64)

    def _at(self, temper: float) -> tuple[FloatArray, FloatArray]:
        """Return the density at every drift (N, G, G) and in every square (N, C), under a temper."""
        if temper not in self.kept:
            density = self.walk.evidence.density(temper)
            photo = np.arange(len(density))[:, None, None, None]
            self.kept[temper] = ((density[photo, self.index] * self.weight).sum(axis=-1), density[:, :-1])
        return self.kept[temper]

    def log_likelihood(self, model: ErrorModel) -> float:
        """Return the log-density of the walk's labels."""
        return walk_log_likelihood(self.likelihood(model), self.walk.seconds, model.drift(self.walk), self.offsets_m)


def log_likelihood(walks: Sequence[LabelledWalk], model: ErrorModel) -> float:
    """Return the log-density of the labels of walks, given what models say that had not seen them."""
    return sum(_Shown.of(walk, model).log_likelihood(model) for walk in walks)


def positions(walk: LabelledWalk, model: ErrorModel) -> Positions:
    """Return where the photos of a walk were taken."""
    shown = _Shown.of(walk, model)
    likelihood = shown.likelihood(model)
    along = drift_along_walk(likelihood, walk.seconds, model.drift(walk), shown.offsets_m)
    grid_m = np.stack(np.meshgrid(shown.offsets_m, shown.offsets_m, indexing="ij"), axis=-1).reshape(-1, 2)
    probs = along.probs.reshape(len(likelihood), -1)
    mean_m = probs @ grid_m
    radii_m = np.array([_radii(grid_m, own, point) for own, point in zip(probs, mean_m, strict=True)])
    # how likely the label is by what its photo shows, given the drift that the others tell
    there = (along.without_own * shown.alone(model)).sum(axis=(1, 2))
    return Positions(
        xy=walk.labels_m - mean_m,
        radius_50_m=radii_m[:, 0],
        radius_90_m=radii_m[:, 1],
        gross=np.minimum(_GROSS / walk.evidence.area_m2 / there, 1.0),
    )


def fitted_error_model(walks: Sequence[LabelledWalk]) -> ErrorModel:
    """Return the error model under which the labels of all walks are most likely: one value after the other.

    The spread of the drift has a prior around what is expected. Where phones err by far more, the grid of drifts is
    laid wider, and all is fitted again.
    """
    total = sum(len(walk.rows) for walk in walks)
    fitted = walks[:: max(1, round(total / _MOST_FITTED))]
    model, shown = ErrorModel(), []
    for _ in range(1 + _MOST_WIDENED):
        laid = model.spread
        shown = [_Shown.of(walk, model) for walk in fitted]
        model = _swept(shown, model)
        if model.spread <= _FAR_MORE * max(laid, 1.0):
            break
    return dataclasses.replace(model, of_device=_of_devices(shown, model))


def _swept(shown: Sequence[_Shown], model: ErrorModel) -> ErrorModel:
    for _ in range(_SWEEPS):
        for name, values in _TRIED.items():
            tried = [_changed(model, **{name: value}) for value in values if _fits(model, name, value)]
            model = _best(shown, tried)
        model = _best(shown, [_changed(model, spread=value) for value in _SPREADS], _expected)
    return model


def _changed(model: ErrorModel, **values: float) -> ErrorModel:
    return dataclasses.replace(model, **values)  # type: ignore[arg-type]  # numbers by the names of the fields


def _fits(model: ErrorModel, name: str, value: float) -> bool:
    return name not in ("unsure", "anywhere") or _changed(model, **{name: value}).unsure + model.anywhere < 0.9


def _best(
    shown: Sequence[_Shown], models: Sequence[ErrorModel], before: Callable[[ErrorModel], float] = lambda _: 0.0
) -> ErrorModel:
    scores = [sum(walk.log_likelihood(model) for walk in shown) + before(model) for model in models]
    return models[int(np.argmax(scores))]


def _expected(model: ErrorModel, *, around: float = 1.0, known: float = _KNOWN) -> float:
    # Student's t of three degrees of freedom: near what is expected like a Gaussian, but photos can overrule it
    return -2.0 * math.log1p(float(np.log(model.spread / around) / known) ** 2 / 3.0)


def _of_devices(shown: Sequence[_Shown], model: ErrorModel) -> dict[str, float]:
    found = {}
    for device in sorted({walk.walk.device for walk in shown}):
        own = [walk for walk in shown if walk.walk.device == device]
        if len(own) >= _LEAST_WALKS and sum(len(walk.walk.rows) for walk in own) >= _LEAST_PHOTOS:
            expected = partial(_expected, around=model.spread, known=_OF_A_DEVICE)
            found[device] = _best(own, [_changed(model, spread=value) for value in _SPREADS], expected).spread
    return found


def _radii(offsets_m: FloatArray, probs: FloatArray, point: FloatArray) -> tuple[float, float]:
    distance_m = np.hypot(*(offsets_m - point).T)
    order = np.argsort(distance_m)
    held = np.cumsum(probs[order])
    half, most = (distance_m[order][min(int(np.searchsorted(held, level)), len(held) - 1)] for level in (0.5, 0.9))
    return float(half), float(most)
