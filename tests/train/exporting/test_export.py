import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import shapely
import torch
from PIL import Image

from img2gps.basemap.features import Basemap, MapFeature
from img2gps.basemap.file import write_basemap
from img2gps.cli import run as img2gps
from img2gps.errors import UsageError
from img2gps.files import changed_files
from img2gps.geo import geodesic_m
from img2gps.runtime import Locator
from img2gps.serving.exported import exported_backend
from tests.train.colours import TINY, colour_dataset, colour_photo, tiny_config, without_curves
from train import load_model
from train.api import check_export
from train.config.presets import preset
from train.config.values import changed
from train.exporting.formats import check_out, export_run
from train.exporting.graphs.neighbours import gallery_tensors
from train.exporting.graphs.probe import PureProbe
from train.exporting.options import ExportOptions
from train.exporting.parity import generated_pixels
from train.exporting.privacy import changed_model
from train.inference.load import load_localizer
from train.inference.serving import serving_backend
from train.models.probe.heads.neighbours import Neighbours
from train.models.probe.model import ProbeLocalizer
from train.models.reliability import Reliability
from train.training.session import start_run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("exports")


@pytest.fixture(scope="module")
def probe_run(folder: Path) -> Path:
    # two sizes of one network, its later half leaning on a photo's own statistics
    values = {"model": f"{TINY}+{TINY}@64", "weights": "none", "size": 96, "device": "cpu", "threads": 1, "epochs": 5}
    config = changed(preset("quick"), values | {"own_statistics": 0.3})
    with pytest.MonkeyPatch.context() as patch:
        without_curves(patch)
        dataset = colour_dataset(folder / "ds", 44, val=20)
        frame = dataset.site().frame
        corners = np.stack(frame.to_lonlat(np.asarray([-50, 50, 50, -50]), np.asarray([-30, -30, 70, 70])), axis=1)
        hall = MapFeature(kind="building", geometry=shapely.Polygon(corners), name="Towne")
        write_basemap(dataset.basemap_path, Basemap(features=(hall,), source="a survey", date="2026-11-29"))
        return start_run(dataset.root, config, runs=folder / "runs", name="p").root


@pytest.fixture(scope="module")
def network_run(folder: Path) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        without_curves(patch)
        root = colour_dataset(folder / "network", 12).root
        return start_run(root, tiny_config(epochs=1), runs=folder / "runs", name="n").root


@pytest.fixture(scope="module")
def out(folder: Path, probe_run: Path) -> Path:
    assert img2gps(["export", str(probe_run), str(folder / "out")]) == 0
    return folder / "out"


@pytest.mark.parametrize(("photos", "unlike"), [(1, 0.0), (3, 0.0), (3, 0.5)])
def test_the_pure_function_is_the_model(probe_run: Path, photos: int, unlike: float) -> None:
    localizer = load_localizer(probe_run, device="cpu")
    assert isinstance(localizer, ProbeLocalizer)
    head = localizer.ensemble.heads["neighbours"]
    assert isinstance(head, Neighbours)
    pixels = torch.from_numpy(generated_pixels(localizer.pixels.height, localizer.pixels.width, count=photos))
    evidence = localizer.evidence(pixels)
    if unlike:  # so little like the training photos that the curve takes away half and more
        middle = float(evidence.similarity.max()) + unlike
        localizer = dataclasses.replace(localizer, reliability=Reliability(middle=middle, slope=4.0, photos=20))
        evidence = localizer.evidence(pixels)
        assert float(evidence.log_probs.exp().max()) < 0.5
    with torch.inference_mode():
        log_probs, similarity, rows, cosine, weight = PureProbe(localizer).eval()(
            pixels, list(gallery_tensors(head).values())
        )
    torch.testing.assert_close(log_probs, evidence.log_probs, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(similarity, evidence.similarity, atol=1e-4, rtol=1e-4)
    assert rows.shape == cosine.shape == weight.shape
    torch.testing.assert_close(weight.sum(dim=1), torch.ones(photos))


@pytest.mark.slow
def test_an_export_answers_what_its_run_answers(
    probe_run: Path, out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, place in enumerate([(-60, -60), (0, 20), (70, -30)]):
        colour_photo(*place, size=(600, 800)).save(tmp_path / f"{number}.png")
    assert img2gps(["export", "--check", str(out), str(tmp_path), "--run", str(probe_run), "--json"]) == 0
    checked = json.loads(capsys.readouterr().out)
    assert checked["worst_m"] < 0.1
    assert checked["worst_radius_share"] < 0.01
    assert checked["median_file_m"] < 0.1
    assert len(checked["photos"]) == 3
    ours = load_model(probe_run, device="cpu").locate(sorted(tmp_path.glob("*.png")))
    theirs = Locator(out).locate_many(sorted(tmp_path.glob("*.png")))
    for one, other in zip(ours, theirs, strict=True):
        assert one.familiarity == pytest.approx(other.familiarity, abs=0.1)  # a rank among 20 photos


@pytest.mark.slow
def test_an_export_tells_which_photos_are_alike_and_shows_them(out: Path) -> None:
    locator = Locator(out)
    (sighting,) = locator.sightings([np.asarray(colour_photo(0, 20))])
    assert sighting.probs is not None
    assert sighting.probs.sum() == pytest.approx(1.0)
    assert locator.cells_lonlat is not None
    assert len(locator.cells_lonlat) == len(sighting.probs)
    assert sum(match.weight for match in sighting.matches) == pytest.approx(1.0, abs=1e-5)
    best = sighting.matches[0]
    assert best.photo is not None
    assert locator.thumbnail(best.row) is not None
    assert geodesic_m(best.lon, best.lat, sighting.answer.lon, sighting.answer.lat) < 200


@pytest.mark.slow
def test_an_export_has_the_map_of_its_site(out: Path, probe_run: Path) -> None:
    ours, theirs = exported_backend(out).model, serving_backend(probe_run, device="cpu").model
    assert ours.ground["ground"] == theirs.ground["ground"]
    assert ours.ground["ground"]["credit"] == "Map: a survey"
    assert ours.surroundings is not None
    assert theirs.surroundings is not None
    (lon,), (lat,) = ours.frame.to_lonlat([0.0], [20.0])
    said = ours.surroundings.at(float(lon), float(lat)).text
    assert said == theirs.surroundings.at(float(lon), float(lat)).text == "in Towne, 50 m from its edge"
    assert "| map of the site | Map: a survey |" in (out / "README.md").read_text()


@pytest.mark.slow
def test_an_export_is_whole_and_gives_way_to_another(out: Path, probe_run: Path, folder: Path, tmp_path: Path) -> None:
    assert changed_files(out) == []
    values = json.loads((out / "model.json").read_text())
    assert values["batch"] is None
    assert len(values["run"]["fingerprint"]) == 64
    assert values["parity"]["worst_m"] < 0.1
    assert values["weights"]["licence"] == "none"
    card = (out / "README.md").read_text()
    assert values["run"]["fingerprint"] in card
    assert str(folder) not in card + json.dumps(values)  # nothing of the machine it was made on
    check_out(out)
    (out / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="no export wrote"):
        check_out(out)
    (out / "mine.txt").unlink()


def test_a_folder_that_is_no_export_is_left_alone(probe_run: Path) -> None:
    with pytest.raises(UsageError, match="no export wrote"):
        check_out(probe_run / "best")  # it has sums, too


def test_coarser_positions_are_all_that_is_left_of_them(probe_run: Path) -> None:
    localizer = load_localizer(probe_run, device="cpu")
    assert isinstance(localizer, ProbeLocalizer)
    coarse = changed_model(localizer, ExportOptions(round_m=10.0))
    head = coarse.ensemble.heads["neighbours"]
    assert isinstance(head, Neighbours)
    torch.testing.assert_close(head.xy % 10.0, torch.zeros_like(head.xy))
    torch.testing.assert_close(coarse.ensemble.cells.centres, localizer.ensemble.cells.middles.centres)
    assert changed_model(localizer, ExportOptions()) is localizer
    alone = changed_model(localizer, ExportOptions(heads="heat_map"))
    assert list(alone.ensemble.heads) == ["heat_map"]
    with pytest.raises(UsageError, match="no head regression"):
        changed_model(localizer, ExportOptions(heads="regression"))


@pytest.mark.slow
def test_a_model_without_a_gallery_has_figures_of_its_own(probe_run: Path, folder: Path) -> None:
    out = folder / "without"
    assert img2gps(["export", str(probe_run), str(out), "--heads", "heat_map", "--half", "--round-m", "10"]) == 0
    assert not (out / "gallery.safetensors").exists()
    assert not (out / "thumbnails").exists()
    values = json.loads((out / "model.json").read_text())
    assert (values["gallery"], values["round_m"]) == (None, 10.0)
    assert values["figures"]["split"] == "test"
    whole = load_localizer(probe_run, device="cpu")
    assert isinstance(whole, ProbeLocalizer)
    for name in ("calibration", "walk_calibration"):  # of photos alone, and of whole walks: both fitted anew
        assert (values[name]["photos"], values[name]["by"]) == (20, "val")
        assert values[name] != dataclasses.asdict(getattr(whole, name))
    assert values["figures"]["photos"] == values["figures"]["whole"]["photos"] == 2
    answer = Locator(out).locate(np.asarray(colour_photo(0, 20)))
    assert answer.radius_90_m is not None
    assert answer.familiarity is None
    Image.fromarray(np.asarray(colour_photo(0, 20))).save(folder / "photo.png")
    assert check_export(out, [folder / "photo.png"], run=probe_run).worst_m < 0.2  # as coarse as the export


@pytest.mark.slow
def test_a_network_is_exported_as_two_numbers(
    network_run: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = folder / "points"
    assert img2gps(["export", str(network_run), str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["parity_m"] < 0.1
    answer = Locator(out).locate(colour_photo(0, 20))
    assert answer.radius_50_m is None
    assert answer.lat is not None
    with pytest.raises(UsageError, match="points alone"):
        Locator(out).locate_many([colour_photo(0, 20)], walks=True)
    assert img2gps(["export", str(network_run), str(out), "--heads", "heat_map"]) == 2


def test_a_dry_run_says_what_a_model_would_hold_and_writes_nothing(
    probe_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert img2gps(["export", str(probe_run), str(out), "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["gallery_photos"] == 22
    assert img2gps(["export", str(probe_run), str(out), "--dry-run", "--heads", "heat_map"]) == 0
    assert "0 training photos" in capsys.readouterr().out
    assert not out.exists()


@pytest.mark.slow
def test_the_card_of_a_model_that_compares_says_what_it_holds(probe_run: Path, tmp_path: Path) -> None:
    out = tmp_path / "hub"
    export_run(probe_run, out, format_name="hub", options=ExportOptions(license="mit"))
    localizer = load_localizer(out, device="cpu")
    assert isinstance(localizer, ProbeLocalizer)
    assert localizer.neighbours is not None
    sentence = f"it holds where {len(localizer.neighbours.xy)} training photos were taken, exactly"
    assert sentence in (out / "README.md").read_text()
    # the model holds them anyway
    assert (out / "photos.parquet").read_bytes() == (probe_run / "photos.parquet").read_bytes()
