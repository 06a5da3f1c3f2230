"""The queue: grossly wrong labels come first, and say why."""

import dataclasses
import json
import runpy
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from collect.label.labelling import Labelling, open_labelling
from collect.label.predictions import FoldPrediction, prediction_evidence, read_predictions
from collect.label.queue import Suspicion
from collect.label.track import track_evidence
from img2gps.corrections import Correction, append_corrections
from img2gps.errors import InvalidCheckpointError, NotFoundError, UsageError
from img2gps.types import Photo
from tests.datasets import FRAME, NOON, line, make_photo, make_walk
from tests.labelling import labelled_dataset, walk_with_a_slip


def noisy_walk(
    rng: np.random.Generator, *, count: int = 100, gross: int = 5
) -> tuple[np.ndarray, np.ndarray, set[int]]:
    """Return times, labels in metres and the grossly wrong ones: a walk round a block, 15 m of noise in the median."""
    time_s = np.cumsum(rng.gamma(4.0, 2.0, count))
    along = time_s * 1.1 % 480
    corners = np.array([[-60, -60], [60, -60], [60, 60], [-60, 60], [-60, -60]], dtype=float)
    track = np.column_stack([np.interp(along, np.arange(5) * 120.0, corners[:, axis]) for axis in (0, 1)])
    labels = track + rng.normal(0, 15 / 1.1774, (count, 2))
    wrong = set(rng.choice(count, gross, replace=False).tolist())
    for index in wrong:
        angle, reach = rng.uniform(0, 2 * np.pi), rng.uniform(70, 150)
        labels[index] = track[index] + reach * np.array([np.cos(angle), np.sin(angle)])
    return time_s, labels, wrong


def queue_of(labelling: Labelling) -> dict[str, Suspicion]:
    return {suspicion.photo_id: suspicion for suspicion in labelling.queue.suspicions()}


def codes(suspicion: Suspicion) -> list[str]:
    return [reason.code for reason in suspicion.reasons]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_the_walk_finds_gross_errors_among_ordinary_noise(seed: int) -> None:
    time_s, labels, wrong = noisy_walk(np.random.default_rng(seed))
    evidence = track_evidence(time_s, labels, np.zeros(len(time_s), dtype=bool))
    first = set(np.argsort(-evidence.log_ratio)[:10].tolist())
    assert wrong <= first
    assert np.median(evidence.noise_m) == pytest.approx(15 / 1.1774, abs=6)


@pytest.mark.slow
def test_a_long_walk_is_judged_in_windows_that_agree_with_the_whole() -> None:
    time_s, labels, wrong = noisy_walk(np.random.default_rng(5), count=420, gross=20)
    evidence = track_evidence(time_s, labels, np.zeros(420, dtype=bool))
    assert len(wrong & set(np.argsort(-evidence.log_ratio)[:42].tolist())) >= 19
    assert all(len(getattr(evidence, name)) == 420 for name in ("expected_m", "distance_m", "spread_m", "noise_m"))


def test_photos_of_one_fix_do_not_vouch_for_each_other() -> None:
    time_s = np.arange(30) * 10.0
    labels = np.column_stack([time_s * 0.8, np.zeros(30)])
    time_s = np.sort(np.r_[time_s, 150.5, 151.0, 151.5])
    labels = np.insert(labels, 16, [[120.0, 95.0]] * 3, axis=0)
    ratio = track_evidence(time_s, labels, np.zeros(33, dtype=bool)).log_ratio
    assert set(np.argsort(-ratio)[:3].tolist()) == {16, 17, 18}


def test_many_photos_of_one_spot_do_not_accuse_the_rest_of_the_walk() -> None:
    time_s = np.array([0, 1, 2, 3, 157, 371, 482, 597, 756, 1120], dtype=float)
    walked = [(157, -151), (20, -5), (98, 69), (141, 163), (1, 161), (-137, -158)]
    labels = np.array([(5, -160), (4, -159), (4, -160), (4, -161), *walked], dtype=float)
    assert (np.hypot(*np.diff(labels, axis=0).T) / np.diff(time_s)).max() < 1.5  # as fast as one walks
    assert track_evidence(time_s, labels, np.zeros(10, dtype=bool)).log_ratio.max() < 1.5


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_walk_too_short_says_nothing(count: int) -> None:
    evidence = track_evidence(np.arange(count) * 5.0, np.zeros((count, 2)), np.zeros(count, dtype=bool))
    assert not evidence.log_ratio.any()


def test_the_slip_leads_and_its_reasons_are_sentences(tmp_path: Path) -> None:
    photos = walk_with_a_slip()
    queue = Labelling.of(labelled_dataset(tmp_path / "quad", photos), by="kim").queue.suspicions()
    assert queue[0].photo_id == photos[12].id
    assert queue[0].score > 0.99
    assert queue[1].score < 0.5
    assert codes(queue[0]) == ["walk", "speed"]
    assert "m from where the rest of the walk places it" in queue[0].reasons[0].text
    assert "no walking speed" in queue[0].reasons[1].text


def test_a_label_that_somebody_looked_at_leaves_the_queue_and_is_trusted(tmp_path: Path) -> None:
    photos = walk_with_a_slip()
    dataset = labelled_dataset(tmp_path / "quad", photos)
    slip = photos[12]
    line_ = Correction(at="now", by="kim", photo_id=slip.id, action="confirm", from_lon=slip.lon, from_lat=slip.lat)
    append_corrections(dataset.corrections_path, [line_])
    queue = queue_of(Labelling.of(dataset, by="kim"))
    assert slip.id not in queue
    assert len(queue) == len(photos) - 1


def test_the_phone_and_the_map_have_their_say(tmp_path: Path) -> None:
    places = line((-60, 0), (60, 0), 12)
    plain = make_walk("w", places=places, seconds=12.0, gps_accuracy_m=6.0)
    marks = {
        3: {"flags": ("stale_fix",), "fix_age_s": 73.0},
        5: {"flags": ("quantised_gps",)},
        7: {"gps_accuracy_m": 48.0},
        9: {"site_relation": "edge"},
    }
    photos = [
        make_photo(f"x{i}", *places[i], captured_at=photo.captured_at, **{"gps_accuracy_m": 6.0, **marks.get(i, {})})
        for i, photo in enumerate(plain)
    ]
    building = tmp_path / "buildings.geojson"
    east, north = FRAME.to_lonlat([-66, -54, -54, -66, -66], [-9, -9, 9, 9, -9])
    ring = [list(point) for point in zip(east.tolist(), north.tolist(), strict=True)]
    building.write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
    labelled_dataset(tmp_path / "quad", photos)
    labelling = open_labelling(tmp_path / "quad", buildings=building)
    queue = queue_of(labelling)
    said = {index: " ".join(reason.text for reason in queue[photos[index].id].reasons) for index in (0, 2, 3, 5, 7, 9)}
    assert "6 m inside a building" in said[0]
    assert said[2] == ""
    assert "1 min 13 s older than the photo" in said[3]
    assert "arc-seconds" in said[5]
    assert "accuracy of 48 m (usual here: 6 m)" in said[7]
    assert "outside the site" in said[9]
    assert min(queue[photos[i].id].score for i in (0, 3, 5, 7, 9)) > queue[photos[2].id].score


@pytest.mark.parametrize("flag", ["void_fix", "network_fix", "poor_accuracy", "poor_geometry"])
def test_positions_without_a_good_fix_come_first(flag: str, tmp_path: Path) -> None:
    photos = list(make_walk("w", places=line((-60, 0), (60, 0), 12), seconds=12.0, gps_accuracy_m=6.0))
    east, north = FRAME.to_local(photos[3].lon, photos[3].lat)
    slip = make_photo("slip", float(east), float(north) + 90, captured_at=photos[3].captured_at, gps_accuracy_m=6.0)
    photos[3] = slip
    photos[7] = dataclasses.replace(photos[7], flags=(flag,))
    dataset = labelled_dataset(tmp_path / "quad", photos)
    queue = queue_of(Labelling.of(dataset, by="kim"))
    assert next(iter(queue)) == photos[7].id
    assert any(reason.code == flag and reason.text for reason in queue[photos[7].id].reasons)
    assert queue[slip.id].score > queue[photos[6].id].score


def test_models_that_did_not_see_a_photo_are_heard(tmp_path: Path) -> None:
    photos = [make_photo(f"p{i}", *place, captured_at=None) for i, place in enumerate(line((-90, 40), (90, 40), 40))]
    rng = np.random.default_rng(0)
    predictions = {}
    for index, photo in enumerate(photos):
        east, north = FRAME.to_local(photo.lon, photo.lat)
        lon, lat = FRAME.to_lonlat(east + rng.normal(0, 5), north + rng.normal(0, 5) - (110 if index == 17 else 0))
        predictions[photo.id] = FoldPrediction(lon=float(lon), lat=float(lat), radius_50_m=6.0, radius_90_m=11.0)
    dataset = labelled_dataset(tmp_path / "quad", photos)
    queue = Labelling.of(dataset, by="kim", predictions=predictions).queue.suspicions()
    assert queue[0].photo_id == photos[17].id
    assert codes(queue[0]) == ["model"]
    assert "models that did not see the photo" in queue[0].reasons[0].text


def test_an_uncertain_model_accuses_nobody() -> None:
    position = np.zeros((40, 2))
    sure = [FoldPrediction(lon=FRAME.origin_lon + 1e-6, lat=FRAME.origin_lat, radius_50_m=5.0)] * 39
    far = {"lon": FRAME.origin_lon, "lat": FRAME.origin_lat + 6e-4}
    noise = np.full(40, 5.0)
    ratios = [
        prediction_evidence([*sure, FoldPrediction(**far, radius_50_m=radius)], position, noise, FRAME).log_ratio[-1]
        for radius in (5.0, 60.0)
    ]
    assert ratios[0] > 1 > ratios[1]


def test_photos_without_a_time_and_an_empty_dataset_are_fine(tmp_path: Path) -> None:
    timeless: list[Photo] = [make_photo(f"p{i}", i, 0, captured_at=None, utc_offset_min=None) for i in range(4)]
    assert len(Labelling.of(labelled_dataset(tmp_path / "a", timeless), by="kim").queue.suspicions()) == 4
    assert Labelling.of(labelled_dataset(tmp_path / "b", []), by="kim").queue.suspicions() == []


def test_the_speed_alone_speaks_where_a_walk_is_too_short(tmp_path: Path) -> None:
    pair = [make_photo("a", 0, 0), make_photo("b", 0, 80, captured_at=NOON + timedelta(seconds=6))]
    queue = Labelling.of(labelled_dataset(tmp_path / "quad", pair), by="kim").queue.suspicions()
    assert all(codes(suspicion) == ["speed"] for suspicion in queue)


def test_predictions_come_from_the_folds_of_a_run(tmp_path: Path) -> None:
    folds = tmp_path / "run" / "folds"
    folds.mkdir(parents=True)
    with pytest.raises(UsageError, match="--folds"):
        read_predictions(tmp_path / "run")
    with pytest.raises(NotFoundError):
        read_predictions(tmp_path / "other")
    target = folds / "predictions.parquet"
    target.write_bytes(b"nonsense")
    with pytest.raises(InvalidCheckpointError, match="not a readable"):
        read_predictions(tmp_path / "run")
    pq.write_table(pa.table({"id": ["a"]}), target)
    with pytest.raises(InvalidCheckpointError, match="pred_lon"):
        read_predictions(tmp_path / "run")
    rows = {"id": ["a", "b"], "pred_lon": [1.0, float("nan")], "pred_lat": [2.0, 2.0], "radius_50_m": [None, 3.0]}
    pq.write_table(pa.table(rows), target)
    assert read_predictions(tmp_path / "run") == {"a": FoldPrediction(lon=1.0, lat=2.0)}


def test_the_benchmark_that_the_guide_names_runs_and_finds_gross_errors() -> None:
    benchmark = runpy.run_path(str(Path(__file__).parents[3] / "benchmarks/label_queue.py"))
    rng = np.random.default_rng(11)
    world = benchmark["simulate"](rng, step_s=8.0, noise="correlated", runs=False)
    order = benchmark["rank"](world, benchmark["predict"](rng, world, 18.0))
    assert benchmark["share_found"](world, order) > 0.95
