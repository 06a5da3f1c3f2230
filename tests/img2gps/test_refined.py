from pathlib import Path

import pandas as pd
import pytest

from collect.label.refined import export_refined
from collect.verification import verify_dataset
from img2gps.corrections import Correction, append_corrections
from img2gps.dataset import Dataset
from img2gps.errors import InvalidDatasetError, NotFoundError, UsageError
from img2gps.refined import RefinedLabels, read_refinement, refine_labels, refinements, write_refinement
from tests.datasets import make_dataset, make_photo


def dataset_of(root: Path) -> Dataset:
    return make_dataset(root, [make_photo(f"p{number}", 10.0 * number) for number in range(3)])


def layer(dataset: Dataset, *, shift: float = 0.0001) -> RefinedLabels:
    frame = dataset.frame()
    rows = pd.DataFrame({"id": frame["id"], "lon": frame["lon"] + shift, "lat": frame["lat"]}).iloc[:2]
    rows = rows.assign(radius_50_m=2.0, radius_90_m=4.5, gross=0.01)
    rows = rows.assign(from_lon=frame["lon"].iloc[:2], from_lat=frame["lat"].iloc[:2])
    about = {"at": "", "run": "r", "run_sha256": "0" * 64, "site_sha256": "1" * 64}
    return RefinedLabels(rows=rows, used=tuple(rows["id"]), method={"rounds": []}, **about)


def test_labels_of_another_name_are_not_taken_for_the_phones_own(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No labels 'refind': choose gps or refined"):
        dataset_of(tmp_path / "ds").frame(labels="refind")  # type: ignore[arg-type]


def test_refinements_are_added_and_the_newest_holds(tmp_path: Path) -> None:
    dataset = dataset_of(tmp_path / "ds")
    with pytest.raises(NotFoundError, match="--refine"):
        dataset.frame(labels="refined")
    first = write_refinement(dataset.refined_path, layer(dataset))
    second = write_refinement(dataset.refined_path, layer(dataset, shift=0.0002))
    assert first.path is not None
    assert [path.name[:4] for path in refinements(dataset.refined_path)] == ["0001", "0002"]
    assert second.previous == first.path.name
    found = read_refinement(dataset.refined_path)
    assert found.used == first.used
    assert found.rows["lon"].tolist() == second.rows["lon"].tolist()


def test_a_frame_has_refined_positions_but_where_a_person_told_one(tmp_path: Path) -> None:
    dataset = dataset_of(tmp_path / "ds")
    before = dataset.frame()
    write_refinement(dataset.refined_path, layer(dataset))
    told, refined, plain = before["id"]
    move = Correction(
        at="2026-01-01T00:00:00Z", by="kim", photo_id=told, action="move",
        from_lon=before["lon"][0], from_lat=before["lat"][0], lon=before["lon"][0], lat=before["lat"][0] + 0.0003,
    )  # fmt: skip
    append_corrections(dataset.corrections_path, [move])
    frame = dataset.frame(labels="refined").set_index("id")
    assert frame.loc[told, "lat"] == move.lat
    assert pd.isna(frame.loc[told, "refined_radius_m"])
    assert frame.loc[refined, "lon"] == pytest.approx(before["lon"][1] + 0.0001)
    assert frame.loc[refined, "refined_radius_m"] == 4.5
    assert frame.loc[plain, "lon"] == before["lon"][2]
    assert dataset.frame()["lon"][1] == before["lon"][1]  # the phone's own stay what they were


def test_the_export_has_every_photo_and_lies_outside_the_dataset(tmp_path: Path) -> None:
    dataset = dataset_of(tmp_path / "ds")
    write_refinement(dataset.refined_path, layer(dataset))
    assert export_refined(dataset, tmp_path / "out.csv") == 3
    rows = pd.read_csv(tmp_path / "out.csv")
    assert list(rows.columns) == ["id", "source_name", "lon", "lat", "radius_m"]
    assert rows["radius_m"].tolist()[:2] == [4.5, 4.5]
    assert pd.isna(rows["radius_m"][2])
    with pytest.raises(UsageError, match="lies in the dataset"):
        export_refined(dataset, dataset.root / "out.csv")


def test_verify_tells_damage_and_a_lost_refinement(tmp_path: Path) -> None:
    dataset = dataset_of(tmp_path / "ds")
    for shift in (0.0001, 0.0002, 0.0003):
        write_refinement(dataset.refined_path, layer(dataset, shift=shift))

    def told() -> set[str]:
        return {problem.where for problem in verify_dataset(dataset.root).problems if "refined/" in problem.where}

    assert told() == set()
    first, second, third = refinements(dataset.refined_path)
    second.unlink()
    assert told() == {f"refined/{second.name}"}
    content = bytearray(third.read_bytes())
    content[len(content) // 2] ^= 1
    third.write_bytes(content)
    assert f"refined/{third.name}" in told()
    with pytest.raises(InvalidDatasetError, match="refine again"):
        read_refinement(dataset.refined_path)
    assert first.is_file()


def test_only_a_run_can_refine(tmp_path: Path) -> None:
    dataset = dataset_of(tmp_path / "ds")
    with pytest.raises(NotFoundError, match="No run"):
        refine_labels(dataset.root, tmp_path / "nothing")
    (tmp_path / "folder").mkdir()
    with pytest.raises(UsageError, match="no run that can refine"):
        refine_labels(dataset.root, tmp_path / "folder")
