"""The bytes of a file: of a photo all of them, of anything else no more than tells what it is."""

import os
from pathlib import Path

import pytest
from photos import write_photo

from collect.reading.file_content import holds_same_bytes, load_content
from img2gps.formats import HEAD_BYTES


def path_of(path: Path) -> bytes:
    return os.fsencode(path)


@pytest.mark.parametrize("mapped", [False, True])
def test_a_photo_is_read_whole(tmp_path: Path, mapped: bool) -> None:
    photo = write_photo(tmp_path / "a.jpg", size=(64, 48))
    content = load_content(path_of(photo), mapped=mapped)
    assert content is not None
    assert bytes(content.data) == photo.read_bytes()
    assert (content.size, content.status[0]) == (photo.stat().st_size, photo.stat().st_size)


def test_of_another_file_only_the_beginning_is_read(tmp_path: Path) -> None:
    (tmp_path / "film.mov").write_bytes(b"no photo" * HEAD_BYTES)
    content = load_content(path_of(tmp_path / "film.mov"), mapped=False)
    assert content is not None
    assert len(content.data) == HEAD_BYTES
    assert content.size == 8 * HEAD_BYTES


def test_a_pipe_is_no_file_and_a_link_is_not_followed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    assert load_content(path_of(tmp_path / "pipe.jpg"), mapped=False) is None
    (tmp_path / "link.jpg").symlink_to(write_photo(tmp_path / "a.jpg", size=(32, 24)))
    with pytest.raises(OSError, match=r"."):
        load_content(path_of(tmp_path / "link.jpg"), mapped=False)


def test_bytes_are_compared_to_the_last(tmp_path: Path) -> None:
    data = bytes(range(256)) * 2000  # more than one piece
    path = tmp_path / "a.jpg"
    path.write_bytes(data)
    for name, content, same in (("b", data, True), ("c", data[:-1] + b"x", False), ("d", data + b"x", False)):
        (tmp_path / name).write_bytes(content)
        assert holds_same_bytes(data, path_of(path), path_of(tmp_path / name)) is same
    assert holds_same_bytes(data, path_of(path), path_of(path))
    assert not holds_same_bytes(data, path_of(path), path_of(tmp_path / "gone"))
    (tmp_path / "hard").hardlink_to(path)
    assert holds_same_bytes(data, path_of(path), path_of(tmp_path / "hard"))
