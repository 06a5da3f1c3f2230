"""What a model looks at, in worlds where it is known what places a photo."""

import dataclasses
import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch import Tensor

from img2gps.cli import run as cli
from img2gps.geo import FloatArray, LocalFrame
from img2gps.masks import CLASSES, fit_mask
from img2gps.pixels import PADDING, Pixels, PixelSpec, fit_pixels, read_pixels
from tests.datasets import FRAME
from tests.train.colours import without_curves
from tests.train.explanation.worlds import HEIGHT, PERSON, PLACES, VAN, WIDTH, paint, painted_dataset
from train import train
from train.evaluation.bootstrap import Clusters
from train.evaluation.explained import explanation_path, read_explained
from train.explanation.class_costs import PhotoCosts, costs_of
from train.explanation.class_figures import Worth, worth_of
from train.explanation.compare import compare_worth
from train.explanation.content import Donors, filled, picture_area
from train.explanation.explain import explain_split
from train.explanation.matches import best_matches, side_by_side
from train.explanation.occlusion import deletion, occlude
from train.explanation.photos import explain_photos
from train.models.localizer import Estimate

SPEC = PixelSpec(height=HEIGHT, width=WIDTH, fit="squash")
BUILDING_ROWS = slice(20, 54)


@dataclasses.dataclass(frozen=True)
class PatternReader:
    """Places a photo by one part of it: where the known pictures look most alike there."""

    rows: slice
    columns: slice
    known: FloatArray

    @property
    def frame(self) -> LocalFrame:
        return FRAME

    @property
    def pixels(self) -> PixelSpec:
        return SPEC

    def locate(self, images: Tensor) -> Estimate:
        part = images.double().numpy()[:, :, self.rows, self.columns][:, :, ::3, ::3].reshape(len(images), -1)
        nearest = np.abs(part[:, None] - self.known[None]).mean(axis=2).argmin(axis=1)
        places = np.array(PLACES, dtype=np.float64)[nearest]
        return Estimate(east_m=places[:, 0], north_m=places[:, 1])


def image(place: int, visit: int, told_by: str) -> Pixels:
    return fit_pixels(paint(place, visit, told_by=told_by)[0], SPEC)


def reader(told_by: str) -> PatternReader:
    rows, columns = (BUILDING_ROWS, slice(0, WIDTH)) if told_by == "building" else VAN
    known = [image(place, 100, told_by)[:, rows, columns][:, ::3, ::3].reshape(-1) for place in range(len(PLACES))]
    return PatternReader(rows=rows, columns=columns, known=np.stack(known).astype(np.float64))


def window_reader() -> PatternReader:
    """A reader of the van that looks at one of the smaller windows alone."""
    rows, columns = slice(64, 80), slice(16, 32)
    known = [image(place, 100, "vehicle")[:, rows, columns][:, ::3, ::3].reshape(-1) for place in range(len(PLACES))]
    return PatternReader(rows=rows, columns=columns, known=np.stack(known).astype(np.float64))


def donors(told_by: str) -> Donors:
    images = [image(place, 200, told_by) for place in range(len(PLACES))]
    return Donors(images=np.stack(images), xy=np.array(PLACES, dtype=np.float64))


def explained_world(told_by: str, visits: int = 5) -> tuple[PhotoCosts, Clusters]:
    model, content, parts, walks = reader(told_by), donors(told_by), [], []
    for visit in range(visits):
        for place in range(len(PLACES)):
            picture, mask = paint(place, visit, told_by=told_by)
            pixels, fitted = fit_pixels(picture, SPEC), fit_mask(mask, SPEC)
            truth = (float(PLACES[place][0]), float(PLACES[place][1]))
            parts.append(costs_of(model, pixels, fitted, truth, content, seed=visit * 100 + place))
            walks.append(visit)
    return PhotoCosts.concatenate(parts), Clusters.of("walks", walks)


@cache
def explanation(told_by: str) -> Worth:
    return worth_of(*explained_world(told_by))


@pytest.mark.slow
@pytest.mark.parametrize(("told_by", "leans"), [("building", False), ("vehicle", True)])
def test_the_class_that_tells_the_place_is_the_answer(told_by: str, leans: bool) -> None:
    found = explanation(told_by)
    costs = {one.name: one.cost_m.value or 0.0 for one in found.classes}
    assert max(costs, key=lambda name: costs[name]) == told_by
    assert costs["person"] < costs[told_by] / 5
    assert found.leans_on_moving is leans
    assert found.headline.interval is not None
    assert (found.headline.interval.low > 0) is not leans
    if leans:  # the building fills its rows: the same shape elsewhere is itself
        assert found.beyond_elsewhere.interval is not None
        assert found.beyond_elsewhere.interval.high < 0


@pytest.mark.slow
def test_a_fill_elsewhere_costs_less_than_the_class_itself() -> None:
    van = next(one for one in explanation("vehicle").classes if one.name == "vehicle")
    assert van.beyond_elsewhere_m.interval is not None
    assert van.beyond_elsewhere_m.interval.low > 0


@pytest.mark.slow
def test_a_class_that_no_photo_shows_has_no_figure() -> None:
    found = {one.name: one for one in explanation("building").classes}
    assert found["vegetation"].cost_m.value is None
    assert found["vegetation"].photos == 0


def test_content_stands_only_where_the_mask_is() -> None:
    picture, others = image(0, 0, "building"), donors("building").images[3:5]
    mask = paint(0, 0, told_by="building")[1] == PERSON
    made = filled(picture, mask, others)
    assert made.shape == others.shape
    assert (made[:, :, ~mask] == picture[:, ~mask]).all()
    assert (made[:, :, mask] == others[:, :, mask]).all()


def test_content_comes_from_other_places() -> None:
    pool = donors("building")
    drawn = pool.chosen(*map(float, PLACES[4]), 11, np.random.default_rng(0), image(4, 0, "building"))
    assert not any((one == pool.images[4]).all() for one in drawn)


def test_bars_around_a_photo_are_neither_content_nor_filled(tmp_path: Path) -> None:
    rng, spec = np.random.default_rng(0), PixelSpec(height=96, width=72, fit="pad")
    paths = [tmp_path / f"{number}.png" for number in range(6)]
    for number, path in enumerate(paths):  # half of them lie
        size = (120, 90, 3) if number % 2 else (90, 120, 3)
        Image.fromarray(rng.integers(0, 255, size, dtype=np.uint8)).save(path)
    pool = Donors.of(paths, np.arange(12.0).reshape(6, 2) * 100, spec)
    lying, upright = (read_pixels(path, spec) for path in paths[:2])
    assert picture_area(upright) == (slice(0, 96), slice(0, 72))
    assert picture_area(lying) == (slice(21, 75), slice(0, 72))
    for picture in (lying, upright):
        drawn = pool.chosen(-500.0, 0.0, 6, rng, picture)
        area = picture_area(picture)
        assert not (drawn[(slice(None), slice(None), *area)] == PADDING[0]).all(axis=1).any()
    found = occlude(reader_of_rows(), lying, pool.images)
    assert found.fine.any(axis=0)[21:75].all()
    assert not found.fine.any(axis=0)[:21].any()
    assert not found.importance[75:].any()


def reader_of_rows() -> PatternReader:
    known = np.random.default_rng(1).uniform(0, 255, (len(PLACES), 3 * 32 * 24))
    return PatternReader(rows=slice(0, 96), columns=slice(0, 72), known=known)


def test_the_map_points_to_the_part_that_places_the_photo() -> None:
    pool = donors("vehicle")
    found = occlude(window_reader(), image(5, 0, "vehicle"), pool.images[:4])
    inside = found.moved_m[VAN].mean()
    outside = np.delete(found.moved_m, np.arange(50, 90), axis=0).mean()
    assert inside > 10 * (outside + 1e-6)


@pytest.mark.slow
def test_the_most_important_tenth_moves_the_answer_more_than_random_tenths() -> None:
    pool, model = donors("vehicle"), window_reader()
    gains = []
    for place in range(len(PLACES)):
        others = np.delete(pool.images, place, axis=0)
        picture = image(place, 1, "vehicle")
        found = occlude(model, picture, others[:4])
        tried = deletion(model, picture, found, others[4:8], np.random.default_rng(place))
        gains.append(tried.most_important_m - tried.random_m)
    error = np.std(gains, ddof=1) / np.sqrt(len(gains))
    assert np.mean(gains) > 2 * error > 0


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """A run of quick in the world of parked vans, its masks, and a photo of it."""
    root = tmp_path_factory.mktemp("vans")
    with pytest.MonkeyPatch.context() as patch:
        without_curves(patch)
        dataset = painted_dataset(root / "site", root / "masks", told_by="vehicle", visits=6)
        run = train(
            dataset.root, preset="quick", name="vans", runs=root / "runs", model="timm/test_efficientnet",
            weights="none", size=64, device="cpu", threads=1,
        )  # fmt: skip
    paint(5, 0, told_by="vehicle")[0].save(root / "photo.jpg", quality=95)
    return run.root, root / "masks", root / "photo.jpg"


@pytest.mark.slow
def test_quick_leans_on_the_vans_that_mark_the_places(
    trained: tuple[Path, Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    run, masks, _ = trained
    assert cli(["explain", str(run), "--split", "test", "--masks", str(masks), "--json"]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    costs = {one["name"]: one["cost_m"]["value"] or 0.0 for one in found["classes"]}
    assert max(costs, key=lambda name: costs[name]) == "vehicle"
    assert found["leans_on_moving"] is True
    assert "leans on things that move" in err
    assert json.loads(next(run.glob("explanations/*/explanation.json")).read_text(encoding="utf-8")) == found
    assert cli(["evaluate", str(run)]) == 0
    assert "leans on things that move" in capsys.readouterr().out
    report = next(run.glob("evaluations/*/report.html")).read_text(encoding="utf-8")
    assert "leans on things that move" in report
    assert "What the classes are worth" in report
    assert "What they are worth on training photos" in report
    assert cli(["evaluate", str(run), "--json"]) == 0
    looks = json.loads(capsys.readouterr().out)["looks_at"]
    assert looks["leans_on_moving"] is True
    assert looks["headline"] == found["headline"]


@pytest.mark.slow
def test_a_van_that_is_gone_in_the_test_is_found_in_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    without_curves(monkeypatch)
    dataset = painted_dataset(tmp_path / "site", tmp_path / "masks", told_by="vehicle", visits=9, van_in_test=False)
    run = train(
        dataset.root, preset="quick", name="gone", runs=tmp_path, model="timm/test_efficientnet",
        weights="none", size=64, heads="neighbours", device="cpu", threads=1,
    )  # fmt: skip
    found = explain_split(run.root, tmp_path / "masks", split="test")
    vehicle = next(one for one in found.worth.classes if one.name == "vehicle")
    assert vehicle.photos == 0
    assert found.training is not None
    costs = {one.name: one.cost_m.value or 0.0 for one in found.training.classes}
    assert max(costs, key=lambda name: costs[name]) == "vehicle"
    assert found.leans_on_moving
    assert cli(["evaluate", str(run.root)]) == 0
    assert "leans on things that move" in capsys.readouterr().out


@pytest.mark.slow
def test_refit_judges_training_photos_of_a_network_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_curves(monkeypatch)
    site, masks = tmp_path / "site", tmp_path / "masks"
    dataset = painted_dataset(site, masks, told_by="vehicle", visits=6, van_in_test=False)
    run = train(
        dataset.root, preset="finetune", name="gone", runs=tmp_path, model="timm/test_efficientnet",
        weights="none", size=48, epochs=15, lr=0.01, warmup_epochs=0.0, device="cpu", threads=1,
    )  # fmt: skip
    found = explain_split(run.root, masks, split="test", refit=True, write=False)
    assert found.training is not None
    costs = {one.name: one.cost_m.value or 0.0 for one in found.training.classes}
    assert max(costs, key=lambda name: costs[name]) == "vehicle"
    assert found.leans_on_moving
    assert {one.name for one in found.refitted} == {"building", "ground", "sky", "person", "vehicle"}


@pytest.mark.parametrize("content", ["", "[]", '{"classes": 3}'])
def test_a_damaged_explanation_is_as_none(tmp_path: Path, content: str) -> None:
    path = explanation_path(tmp_path / "evaluations" / "site-test")
    path.parent.mkdir(parents=True)
    path.write_text(content, encoding="utf-8")
    assert read_explained(tmp_path / "evaluations" / "site-test") is None


@pytest.mark.slow
def test_the_picture_changes_with_the_place_that_is_asked_for(trained: tuple[Path, Path, Path]) -> None:
    run, _, photo = trained
    own, other = (explain_photos(run, [photo], at=None if place is None else lonlat(place))[0] for place in (None, 0))
    assert own.occlusion is not None
    assert other.occlusion is not None
    together = np.corrcoef(own.occlusion.importance.ravel(), other.occlusion.importance.ravel())[0, 1]
    assert together < 0.5


def lonlat(place: int) -> tuple[float, float]:
    lon, lat = FRAME.to_lonlat(*map(float, PLACES[place]))
    return float(lon), float(lat)


@pytest.mark.slow
def test_photos_become_pictures_and_an_offline_page(
    trained: tuple[Path, Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, _, photo = trained
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no photo")
    assert cli(["explain", str(run), str(photo), str(broken), "--out", str(tmp_path / "out")]) == 0
    assert "not an image" in capsys.readouterr().out
    page = (tmp_path / "out" / "explanation.html").read_text(encoding="utf-8")
    assert page.count("data:image/png") == 3  # as seen, as explained, beside its match
    assert "http://" not in page
    assert len(list((tmp_path / "out").glob("*.png"))) == 1


@pytest.mark.slow
def test_a_photo_stands_beside_the_training_photo_it_matches(
    trained: tuple[Path, Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, _, photo = trained
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no photo")
    assert cli(["predict", str(run), str(photo), str(broken), "--why", str(tmp_path / "why.html"), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert rows[1]["match"] is None
    assert (rows[0]["match"]["lon"], rows[0]["match"]["lat"]) == pytest.approx(lonlat(5), abs=1e-5)
    assert rows[0]["match"]["fields"] > 0
    page = (tmp_path / "why.html").read_text(encoding="utf-8")
    assert page.count("data:image/png") == 1
    assert "broken.jpg" in page


@pytest.mark.slow
def test_fields_of_the_same_content_match(trained: tuple[Path, Path, Path]) -> None:
    run, _, photo = trained
    (found,) = best_matches(run, [photo], device="cpu")
    assert found is not None
    for pair in found.pairs:
        assert abs(pair.own[1] - pair.other[1]) < found.own_picture.shape[1] / 4  # about the same row
        assert 0 < pair.cosine <= 1.001
        for box, picture in ((pair.own, found.own_picture), (pair.other, found.other_picture)):
            assert picture_area(picture)[0].start <= (box[1] + box[3]) / 2 < picture_area(picture)[0].stop
    assert side_by_side(found).width > 2 * found.own_picture.shape[2]


@pytest.mark.slow
def test_a_class_is_filled_before_models_are_fitted_anew(trained: tuple[Path, Path, Path]) -> None:
    run, masks, _ = trained
    found = explain_split(run, masks, split="test", refit=True, write=False)
    costs = {one.name: one.cost_m.value or 0.0 for one in found.refitted}
    assert set(costs) == {"building", "ground", "sky", "person", "vehicle"}
    assert max(costs, key=lambda name: costs[name]) == "vehicle"
    assert costs["vehicle"] > 20 > costs["person"]


@pytest.mark.slow
def test_a_model_does_not_differ_from_itself(trained: tuple[Path, Path, Path]) -> None:
    run, masks, _ = trained
    found = compare_worth({"one": [run], "two": [run, run]}, masks, split="test")
    assert [one.runs for one in found.settings] == [1, 2]
    (pair,) = found.pairs
    assert pair.difference.value == pytest.approx(0, abs=1e-9)
    assert "no difference beyond chance" in pair.sentence


@pytest.mark.slow
def test_ablate_compares_what_settings_look_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    without_curves(monkeypatch)
    monkeypatch.chdir(tmp_path)
    painted_dataset(tmp_path / "site", tmp_path / "masks", told_by="vehicle", visits=6, held_out="val")
    command = ["ablate", "site", "--preset", "quick", "--model", "timm/test_efficientnet", "--weights", "none"]
    command += ["--set", "heads=neighbours,heat_map", "--size", "48", "--device", "cpu", "--threads", "1"]
    assert cli([*command, "--explain", "masks", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    looks = document["looks_at"]
    assert len(looks["settings"]) == 2
    assert all(one["worth"]["headline"]["value"] < 0 for one in looks["settings"])
    assert len(looks["pairs"]) == 1
    assert (Path(document["study"]) / "looks.json").is_file()


@pytest.mark.slow
def test_without_photos_and_masks_there_is_nothing_to_explain(
    trained: tuple[Path, Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, masks, photo = trained
    assert cli(["explain", str(run)]) == 2
    assert cli(["explain", str(run), str(photo), "--masks", str(masks)]) == 2
    (tmp_path / "none").mkdir()
    assert cli(["explain", str(run), "--masks", str(tmp_path / "none")]) == 3
    assert "no mask" in capsys.readouterr().err


@pytest.mark.slow
def test_all_classes_but_other_have_a_row() -> None:
    assert [one.name for one in explanation("building").classes] == list(CLASSES[1:])
