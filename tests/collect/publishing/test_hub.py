"""`publish --push` and `fetch OWNER/NAME` against a fake of the Hub on the loopback address."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from fake_hub import FakeHub, fake_hub
from publishing_scene import Published

from collect.api import publish, verify
from img2gps.errors import UsageError
from img2gps.hub.repository import check_hub_name, is_hub_name, push_folder

NAME = "our-lab/quad"


def run(hub: FakeHub, home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run img2gps in a process of its own: the library reads its address when it is imported."""
    variables = {"HF_ENDPOINT": hub.url, "HF_HUB_DISABLE_XET": "1", "HF_TOKEN": "hf_fake", "HF_HOME": str(home)}
    command = [sys.executable, "-m", "img2gps", *words]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | variables, check=False)


@pytest.mark.slow
def test_what_is_pushed_is_the_folder_and_comes_back(published: Published, tmp_path: Path) -> None:
    out, quad = str(tmp_path / "out"), str(published.dataset.root)
    with fake_hub() as hub:
        first = run(hub, tmp_path / "home", "publish", quad, out, "--license", "mit", "--push", NAME, "--json")
        assert first.returncode == 0, first.stderr
        assert json.loads(first.stdout)["pushed"]["repo"] == NAME
        names = {path.relative_to(out).as_posix() for path in Path(out).rglob("*") if path.is_file()}
        assert set(hub.files[NAME]) == names
        assert all(hub.files[NAME][name] == (Path(out) / name).read_bytes() for name in names)
        assert hub.token == "Bearer hf_fake"
        puts = hub.puts
        # the same again uploads no large file twice, and a file of before that is no more goes
        hub.files[NAME]["data/old-00000-of-00001.parquet"] = b"old"
        again = run(hub, tmp_path / "home", "publish", quad, out, "--license", "mit", "--push", NAME)
        assert (again.returncode, hub.puts) == (0, puts), again.stderr
        assert set(hub.files[NAME]) == names
        back = run(hub, tmp_path / "home", "fetch", NAME, str(tmp_path / "back"))
        assert back.returncode == 0, back.stderr
    assert verify(tmp_path / "back").problems == ()


@pytest.mark.slow
def test_a_push_that_was_refused_is_a_sentence_and_goes_on_later(published: Published, tmp_path: Path) -> None:
    words = ["publish", str(published.dataset.root), str(tmp_path / "out"), "--license", "mit", "--push", NAME]
    with fake_hub() as hub:
        hub.fail_puts = 1
        refused = run(hub, tmp_path / "home", *words)
        assert refused.returncode == 74
        assert "The Hub" in refused.stderr
        assert "Traceback" not in refused.stderr
        missing = run(hub, tmp_path / "home", "fetch", "nobody/nothing", str(tmp_path / "back"))
        assert (missing.returncode, "has no dataset nobody/nothing" in missing.stderr) == (3, True), missing.stderr
        assert run(hub, tmp_path / "home", *words).returncode == 0
        assert "README.md" in hub.files[NAME]
    away = run(hub, tmp_path / "empty", "fetch", NAME, str(tmp_path / "back"))  # nobody answers any more
    assert (away.returncode, "Traceback" in away.stderr) == (74, False)
    assert "The Hub cannot be reached" in away.stderr
    assert f"there is no folder {NAME} here" in away.stderr


def test_a_dry_run_lists_every_file_and_uploads_nothing(published: Published, tmp_path: Path) -> None:
    result = publish(published.dataset, tmp_path / "out", license="mit", push=NAME, dry_run=True)
    assert "data/train-00000-of-00001.parquet" in result.files
    assert (result.pushed, list(tmp_path.iterdir())) == (None, [])


def test_private_without_a_push_is_refused(published: Published, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="give --push, too"):
        publish(published.dataset, tmp_path / "out", license="mit", private=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["quad", "a/b/c", "../quad", "a b/c", "/quad", "our-lab/"])
def test_what_is_no_name_on_the_hub_is_refused(name: str) -> None:
    assert not is_hub_name(name)
    with pytest.raises(UsageError, match="OWNER/NAME"):
        check_hub_name(name)


@pytest.mark.parametrize("library", ["httpx", "httpx2._exceptions", "requests.exceptions"])
def test_a_hub_that_cannot_be_reached_is_a_sentence(
    library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exceptions of whatever library the Hub's own one calls."""
    error = type("ConnectError", (Exception,), {"__module__": library})

    def unreachable(*_args: object, **_options: object) -> None:
        raise error("Name or service not known")

    monkeypatch.setattr("huggingface_hub.HfApi.create_repo", unreachable)
    with pytest.raises(OSError, match="cannot be reached"):
        push_folder(tmp_path, "our-lab/quad")
