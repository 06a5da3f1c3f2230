import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from img2gps.errors import InvalidCheckpointError, NotFoundError
from img2gps.geo import LocalFrame, geodesic_m
from img2gps.runtime import Locator
from img2gps.runtime.frame import lonlat_of
from img2gps.runtime.regions import answer_points, region_radii
from img2gps.runtime.tensors import read_arrays


def test_the_reader_imports_neither_torch_nor_tables() -> None:
    code = "import sys; from img2gps.runtime import Locator; print(sorted(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for name in ("torch", "pandas", "geopandas", "scipy", "pyproj", "shapely", "train", "collect", "click", "rich"):
        assert f"'{name}'" not in result.stdout, name


@given(
    lon=st.floats(-180, 180),
    lat=st.floats(-89.9, 89.9),
    east_m=st.floats(-5000, 5000),
    north_m=st.floats(-5000, 5000),
)
def test_degrees_are_those_of_the_projection(lon: float, lat: float, east_m: float, north_m: float) -> None:
    frame = LocalFrame(origin_lon=lon, origin_lat=lat)
    assert geodesic_m(*frame.to_lonlat(east_m, north_m), *lonlat_of(frame, east_m, north_m)) < 1e-3


def test_a_distribution_in_two_cells_has_its_mean_between_and_a_radius_over_both() -> None:
    centres = np.asarray([[0.0, 0.0], [10.0, 0.0], [100.0, 0.0]])
    probs = np.asarray([[0.5, 0.5, 0.0]])
    point = answer_points(probs, centres, "mean", bandwidth_m=12.0)
    assert point.tolist() == [[5.0, 0.0]]
    assert region_radii(probs, centres, point, cell_m=4.0)[0].tolist() == [5.0, 5.0]
    assert region_radii(np.asarray([[1.0, 0.0, 0.0]]), centres, centres[:1], cell_m=4.0)[0, 1] > 2.0


def test_a_folder_without_an_export_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="img2gps export"):
        Locator(tmp_path)
    (tmp_path / "model.json").write_text('{"version": 99}')
    with pytest.raises(InvalidCheckpointError, match="export again"):
        Locator(tmp_path)


@given(content=st.binary(max_size=200))
def test_a_damaged_gallery_is_one_sentence(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("gallery") / "gallery.safetensors"
    path.write_bytes(content)
    with pytest.raises(InvalidCheckpointError, match="export the run again"):
        read_arrays(path)
