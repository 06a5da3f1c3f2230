import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
import torch
from PIL import Image

from img2gps.cli import run as img2gps
from img2gps.errors import InvalidDatasetError, NotFoundError, UsageError
from img2gps.geo import LocalFrame, geodesic_m
from img2gps.pixels import PixelSpec, read_photo
from img2gps.walks import walks_of
from tests.datasets import FRAME
from tests.train.colours import colour_dataset, colour_photo, tiny_config
from train.commands.predict import tell_unfamiliar
from train.config.presets import preset
from train.config.values import changed
from train.inference.load import load_localizer
from train.inference.locate import locate_each, locate_files
from train.inference.output import is_sure, predictions_csv, predictions_geojson, predictions_json, table_rows
from train.inference.predict import Prediction, find_photos, predict_files
from train.inference.predictions import PREDICTION_COLUMNS, predictions_frame, read_predictions, write_predictions
from train.models.localizer import Estimate
from train.training.session import start_run


class RedIsEast:
    """A localizer that reads the place off the mean colour, with a distribution around it."""

    frame: LocalFrame = FRAME
    pixels = PixelSpec(height=32, width=24, fit="pad")

    def locate(self, images: torch.Tensor) -> Estimate:
        red, green = (images[:, channel].double().mean(dim=(1, 2)).numpy() for channel in (0, 1))
        east_m, north_m = red / 1.2 - 100, green / 1.2 - 100
        return Estimate(
            east_m=east_m,
            north_m=north_m,
            radius_50_m=np.full(len(red), 5.0),
            radius_90_m=10.0 + np.abs(east_m),
            mean_east_m=east_m + 1,
            mean_north_m=north_m,
        )


PLACES = [(-50.0, -50.0), (0.0, 0.0), (50.0, 20.0)]


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    pillow_heif.register_heif_opener()
    paths = [tmp_path / name for name in ("a.jpg", "b.heic", "c.png")]
    for path, place in zip(paths, PLACES, strict=True):
        colour_photo(*place).save(path)
    return paths


def test_photos_of_any_format_are_located_in_order(photos: list[Path]) -> None:
    for batch_size in (1, 2, 32):
        estimate = locate_files(RedIsEast(), photos, batch_size=batch_size)
        assert np.stack([estimate.east_m, estimate.north_m], axis=1) == pytest.approx(np.asarray(PLACES), abs=3.0)
    assert len(locate_files(RedIsEast(), []).east_m) == 0


def test_an_unreadable_file_is_a_row_with_an_error(photos: list[Path], tmp_path: Path) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_text("text")
    found = predict_files(RedIsEast(), [photos[0], bad, photos[1]], batch_size=1)
    assert [prediction.error is None for prediction in found] == [True, False, True]
    assert (found[1].lon, found[1].lat, found[1].radius_90_m) == (None, None, None)
    assert found[2].radius_50_m == 5.0
    estimate, errors = locate_each(RedIsEast(), [bad, bad])
    assert len(estimate.east_m) == 0 or np.isnan(estimate.east_m).all()
    assert all(errors)
    with pytest.raises(InvalidDatasetError, match=r"bad\.jpg"):
        locate_files(RedIsEast(), [photos[0], bad])


def test_only_unreadable_files(tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_text("text")
    found = predict_files(RedIsEast(), [tmp_path / "bad.jpg"])
    assert found[0].error is not None


def test_sideways_photos_are_located_like_upright_ones(tmp_path: Path) -> None:
    upright = Image.new("RGB", (30, 40), (0, 128, 0))
    exif = Image.Exif()
    exif[0x0112] = 6
    upright.save(tmp_path / "upright.png")
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "sideways.png", exif=exif)
    estimate = locate_files(RedIsEast(), [tmp_path / "upright.png", tmp_path / "sideways.png"])
    assert estimate.east_m[0] == estimate.east_m[1]


def test_folders_are_walked_and_what_is_no_photo_counted(photos: list[Path], tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no photo")
    (tmp_path / "deep").mkdir()
    shutil.copy(photos[0], tmp_path / "deep" / "D.JPG")
    found, skipped = find_photos([tmp_path, tmp_path / "notes.txt"])
    assert [path.name for path in found] == ["a.jpg", "b.heic", "c.png", "D.JPG", "notes.txt"]
    assert skipped == 1
    with pytest.raises(NotFoundError, match="none"):
        find_photos([tmp_path / "none"])


def test_geojson_is_lon_lat_and_leaves_errors_out() -> None:
    fine = Prediction(file="a", lon=-75.0, lat=40.0, radius_50_m=None, radius_90_m=None, error=None)
    bad = Prediction(file="b", lon=None, lat=None, radius_50_m=None, radius_90_m=None, error="no")
    features = json.loads(predictions_geojson([fine, bad]))["features"]
    assert [feature["geometry"]["coordinates"] for feature in features] == [[-75.0, 40.0]]


def test_abstaining_is_for_regions_that_are_too_wide() -> None:
    wide = Prediction(file="a", lon=0.0, lat=0.0, radius_50_m=5.0, radius_90_m=30.0, error=None)
    assert is_sure(wide, 25.0) is False
    assert is_sure(wide, 30.0) is True
    assert is_sure(wide, None) is None
    assert table_rows([wide], abstain_m=25.0)[0][-1] == "not sure"


def test_a_photo_unlike_the_site_is_said_to_be_and_nothing_to_be_sure_of() -> None:
    rows = [
        Prediction(file="a", lon=0.0, lat=0.0, radius_50_m=5.0, radius_90_m=9.0, error=None, familiarity=familiarity)
        for familiarity in (0.049, 0.05, None)
    ]
    assert [is_sure(row, 25.0) for row in rows] == [False, True, True]
    assert [row[-1] for row in table_rows(rows)] == ["unlike the site", "", ""]
    assert [row[-1] for row in table_rows(rows, abstain_m=5.0)] == ["unlike the site", "not sure", "not sure"]


@pytest.mark.parametrize(
    ("unlike", "of", "expected"),
    [(0, 20, []), (1, 20, ["1 of 20 photos"]), (3, 20, ["3 of 20 photos", "expect larger errors"])],
)
@pytest.mark.parametrize("walks", [False, True])
def test_how_many_are_unlike_the_site_is_said(
    capsys: pytest.CaptureFixture[str], unlike: int, of: int, expected: list[str], walks: bool
) -> None:
    where = {"lon": 0.0, "lat": 0.0, "radius_50_m": 5.0, "radius_90_m": 9.0}
    found = [Prediction(file="a", **where, error=None, familiarity=0.01 if k < unlike else 0.5) for k in range(of)]
    bad = Prediction(file="b", lon=None, lat=None, radius_50_m=None, radius_90_m=None, error="no")
    tell_unfamiliar([*found, bad], walks=walks)
    said = " ".join(capsys.readouterr().err.split())
    assert all(part in said for part in expected)
    assert ("larger errors" in said) == (len(expected) > 1)
    assert ("a walk is judged as one" in said) == (walks and unlike > 0)
    assert bool(said) == (unlike > 0)


def test_every_kind_of_row_holds_familiarity() -> None:
    row = Prediction(file="a", lon=0.0, lat=1.0, radius_50_m=5.0, radius_90_m=9.0, error=None, familiarity=0.25)
    columns = ["file", "lon", "lat", "radius_50_m", "radius_90_m", "error", "familiarity"]
    assert list(predictions_json([row])[0]) == columns
    assert predictions_json([row], abstain_m=8.0)[0] == {**dataclasses.asdict(row), "sure": False}
    assert predictions_csv([row]).splitlines() == [",".join(columns), "a,0.0,1.0,5.0,9.0,,0.25"]
    (feature,) = json.loads(predictions_geojson([row]))["features"]
    assert feature["properties"]["familiarity"] == 0.25


def test_predictions_survive_the_file(photos: list[Path], tmp_path: Path) -> None:
    estimate = locate_files(RedIsEast(), photos)
    lon, lat = FRAME.to_lonlat(*np.asarray(PLACES).T)
    rows = predictions_frame(ids=["a", "b", "c"], lon=lon, lat=lat, estimate=estimate, frame=FRAME, fold=2)
    write_predictions(tmp_path / "predictions.parquet", rows)
    read = read_predictions(tmp_path / "predictions.parquet")
    assert tuple(read.columns) == PREDICTION_COLUMNS
    assert read["error_m"].to_numpy() == pytest.approx(geodesic_m(lon, lat, rows["pred_lon"], rows["pred_lat"]))
    assert read["error_m"].max() < 5.0
    assert read["fold"].tolist() == [2, 2, 2]
    assert read["mode_lon"].isna().all()
    assert (read["uncertainty_m"] == 5.0).all()


@pytest.mark.slow
def test_the_commands_train_and_predict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    colour_dataset(tmp_path / "ds", 12)
    small = ["--model", "timm/test_efficientnet", "--size", "32", "--epochs", "1", "--device", "cpu", "--threads", "1"]
    assert img2gps(["train", "ds", "--preset", "published", *small, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["run"] == "runs/published-001"
    assert (tmp_path / "runs" / "published-001" / "plots" / "curves.png").stat().st_size > 1000
    (tmp_path / "in").mkdir()
    colour_photo(0, 0).save(tmp_path / "in" / "good.jpg")
    (tmp_path / "in" / "bad.jpg").write_text("text")
    assert img2gps(["predict", "runs/published-001", "in", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [set(row) for row in rows] == [
        {"file", "lon", "lat", "radius_50_m", "radius_90_m", "error", "familiarity"}
    ] * 2
    assert rows[0]["error"]
    assert rows[1]["error"] is None
    assert img2gps(["predict", "runs/published-001", "in", "--strict", "--csv", "out.csv", "--geojson", "-"]) == 7
    assert json.loads(capsys.readouterr().out)["type"] == "FeatureCollection"
    assert (tmp_path / "out.csv").read_text().startswith("file,lon,lat,radius_50_m,radius_90_m,error,familiarity\n")
    assert img2gps(["train", "--resume", "runs/published-001", "--epochs", "2"]) == 0
    assert img2gps(["train", "--config", "runs/published-001/config.toml", "--dry-run"]) == 0
    assert json.loads(capsys.readouterr().out.split("\n", 1)[1])["config"]["epochs"] == 2


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["train"], 2),
        (["train", "none"], 3),
        (["train", "ds", "--preset", "fast"], 2),
        (["train", "ds", "--set", "colour=1"], 2),
        (["train", "ds", "--device", "cuda:99"], 6),
        (["train", "ds", "--folds"], 4),
        (["train", "--resume", "none"], 3),
        (["train", "ds", "--resume", "none"], 2),
        (["train", "--config", "none.toml"], 3),
        (["predict", "none", "ds"], 3),
    ],
)
def test_bad_invocations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int) -> None:
    monkeypatch.chdir(tmp_path)
    colour_dataset(tmp_path / "ds", 4)
    assert img2gps(arguments) == code
    assert not list(tmp_path.glob("runs/*"))


@pytest.mark.slow
def test_a_flipped_bit_in_a_checkpoint_is_exit_5(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    run = start_run(colour_dataset(tmp_path / "ds", 12).root, tiny_config(epochs=1), runs=Path("runs"))
    path = run.best / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)
    colour_photo(0, 0).save("photo.jpg")
    assert img2gps(["predict", str(run.root), "photo.jpg"]) == 5
    said = " ".join(capsys.readouterr().err.split())
    assert "best/model.safetensors" in said
    assert "runs/published-001/last" in said
    assert img2gps(["predict", "runs/published-001/last", "photo.jpg"]) == 0


@pytest.fixture(scope="module")
def probe_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("probe")
    config = changed(
        preset("quick"),
        {"model": "timm/test_efficientnet", "weights": "none", "size": 32, "device": "cpu", "threads": 1, "epochs": 5},
    )
    return start_run(colour_dataset(root / "ds", 40, split=False).root, config, runs=root, name="probe").root


def captured(path: Path, place: tuple[float, float], time: str, *, model: str = "Phone") -> Path:
    """Write the photo of a place, taken at a time of day by a phone's clock."""
    exif = Image.Exif()
    exif[0x0110] = model
    if time:
        exif.get_ifd(0x8769)[0x9003] = f"2025:06:02 {time}"
    colour_photo(*place).save(path, exif=exif)
    return path


def test_walks_are_told_by_camera_and_clock(tmp_path: Path) -> None:
    taken = [("12:00:30", "A"), ("12:00:00", "A"), ("12:10:31", "A"), ("12:00:10", "B"), ("", "A"), ("12:00:20", "B")]
    paths = [captured(tmp_path / f"{k}.jpg", (0, 0), time, model=model) for k, (time, model) in enumerate(taken)]
    walks, seconds = walks_of([read_photo(path, RedIsEast.pixels)[1] for path in paths])
    assert walks[0] == walks[1]
    assert walks[3] == walks[5]
    assert len({int(walks[k]) for k in (0, 2, 3, 4)}) == 4
    assert np.isnan(seconds[4])
    assert seconds[0] - seconds[1] == 30.0


@pytest.mark.slow
def test_photos_of_a_walk_are_located_together_and_one_without_company_as_alone(
    tmp_path: Path, probe_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two photos of one spot within a second must be placed together; a third has no time, a fourth is no photo."""
    first = captured(tmp_path / "1.jpg", (-60, -60), "12:00:00")
    second = captured(tmp_path / "2.jpg", (60, 60), "12:00:01")
    untimed = captured(tmp_path / "3.jpg", (60, -60), "")
    (tmp_path / "4.jpg").write_text("text")
    arguments = ["predict", str(probe_run), str(tmp_path), "--json"]
    assert img2gps(arguments) == 0
    alone = json.loads(capsys.readouterr().out)
    assert img2gps([*arguments, "--walks"]) == 0
    output = capsys.readouterr()
    together = json.loads(output.out)
    assert "2 photos located together on 1 walk, 1 photo alone" in output.err
    assert [row["file"] for row in together] == [str(path) for path in (first, second, untimed, tmp_path / "4.jpg")]
    assert together[2:] == alone[2:]
    assert together[0]["familiarity"] == together[1]["familiarity"]
    apart, joined = (
        geodesic_m(rows[0]["lon"], rows[0]["lat"], rows[1]["lon"], rows[1]["lat"]) for rows in (alone, together)
    )
    assert apart > 50
    assert joined < 15


def test_one_photo_is_located_as_without_walks_and_no_photo_is_no_error(tmp_path: Path, probe_run: Path) -> None:
    localizer = load_localizer(probe_run, device="cpu")
    path = captured(tmp_path / "1.jpg", (10, 20), "12:00:00")
    assert predict_files(localizer, [path], walks=True) == predict_files(localizer, [path])
    assert predict_files(localizer, [], walks=True) == []


def test_a_model_that_gives_points_alone_cannot_locate_walks(photos: list[Path]) -> None:
    with pytest.raises(UsageError, match="--walks needs"):
        predict_files(RedIsEast(), photos, walks=True)
