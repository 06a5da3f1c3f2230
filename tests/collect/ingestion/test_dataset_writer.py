"""What a dataset holds is changed by its writer alone."""

from typing import Any

import pytest

from collect.ingestion.dataset_writer import DatasetWriter, empty_info
from collect.ingestion.sources import SeenSource
from img2gps.rejected import RejectedFile
from img2gps.types import Rejection
from tests.datasets import box_site, make_walk

SITE = box_site(300, 300)


@pytest.fixture
def writer() -> DatasetWriter:
    return DatasetWriter(site=SITE, info=empty_info(SITE, 512))


@pytest.mark.parametrize("name", ["photos", "rejected"])
def test_what_is_read_from_a_writer_cannot_be_changed(writer: DatasetWriter, name: str) -> None:
    held: Any = getattr(writer, name)
    with pytest.raises(TypeError):
        held["a"] = None


def test_a_source_is_remembered_and_forgotten_by_its_path(writer: DatasetWriter) -> None:
    seen = SeenSource(path=b"a.jpg", size=1, mtime_ns=2, inode=3, sha256="ab", outcome="accepted")
    writer.remember_source(b"/walks/a.jpg", seen)
    assert writer.known_source(b"/walks/a.jpg") == seen
    assert writer.known_source(b"/elsewhere/a.jpg") is None
    assert writer.held_bytes() == {"ab"}
    writer.forget_source(b"/walks/a.jpg")
    assert writer.known_source(b"/walks/a.jpg") is None
    assert writer.held_bytes() == set()


def test_a_photo_that_is_accepted_takes_its_rejection_away(writer: DatasetWriter) -> None:
    photo = make_walk("walk", places=[(0.0, 0.0)], seconds=9.0)[0]
    writer.reject(RejectedFile.of(Rejection(path="a.jpg", reason="no_gps", detail=""), photo.id))
    assert photo.id in writer.rejected
    writer.accept(photo, None)
    assert (set(writer.photos), dict(writer.rejected)) == ({photo.id}, {})
    writer.forget_rejection("nothing of this name")
