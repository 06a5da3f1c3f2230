"""The cache of stored objects: fetched once, whole, and no larger than it may be."""

import os
import time
from pathlib import Path

import pytest

from img2gps import object_cache
from img2gps.errors import UsageError
from img2gps.object_cache import cached_object

JPEG = b"\xff\xd8" + bytes(996) + b"\xff\xd9"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("IMG2GPS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(object_cache._BOUND, "added", None)
    return tmp_path / "cache"


def refuse() -> bytes:
    raise AssertionError("fetched again")


def test_an_object_is_fetched_once_for_each_store() -> None:
    path = cached_object("s3://a", "ab/ab.jpg", lambda: JPEG)
    assert path.read_bytes() == JPEG
    assert cached_object("s3://a", "ab/ab.jpg", refuse) == path
    assert cached_object("s3://b", "ab/ab.jpg", lambda: JPEG) != path


def test_half_a_file_is_fetched_again() -> None:
    path = cached_object("s3://a", "ab/ab.jpg", lambda: JPEG)
    path.write_bytes(JPEG[:500])
    assert cached_object("s3://a", "ab/ab.jpg", lambda: JPEG).read_bytes() == JPEG
    path.write_bytes(b"")
    assert cached_object("s3://a", "ab/ab.jpg", lambda: JPEG).read_bytes() == JPEG


def test_what_was_not_read_for_longest_goes_first(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMG2GPS_CACHE_GB", "0.00001")  # ten objects
    paths = [cached_object("s3://a", f"ab/{number}.jpg", lambda: JPEG) for number in range(8)]
    for number, path in enumerate(paths):
        os.utime(path, (time.time() - 10_000 + number,) * 2)
    cached_object("s3://a", "ab/0.jpg", refuse)  # read now
    more = [cached_object("s3://a", f"cd/{number}.jpg", lambda: JPEG) for number in range(5)]
    left = {path.name for path in paths if path.exists()}
    assert "0.jpg" in left
    assert "1.jpg" not in left
    assert all(path.exists() for path in more)  # somebody may be about to open them
    assert sum(path.stat().st_size for path in cache.rglob("*.jpg")) <= 11_000


def test_a_bound_that_is_no_number_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMG2GPS_CACHE_GB", "much")
    with pytest.raises(UsageError, match="IMG2GPS_CACHE_GB is a number of gigabytes, not much"):
        cached_object("s3://a", "ab/ab.jpg", lambda: JPEG)
