"""Clusters: which words name one, and what becomes of work whose worker is lost."""

import logging
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster_faults import Workers, act, do, two_workers
from dask_jobqueue.slurm import SLURMJob
from distributed import SpecCluster, Status
from object_store import web_listing

from img2gps.cluster import LostWork, open_cluster, spec_of_file
from img2gps.cluster_jobs import SharedFile, open_jobs
from img2gps.errors import Img2GPSError, NotFoundError, UsageError


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    with two_workers() as cluster:
        yield cluster


@pytest.mark.slow
def test_results_come_in_order_and_a_lost_worker_costs_time_alone(workers: Workers, tmp_path: Path) -> None:
    items = ["a", "die once", "b", *"cdefgh"]
    with open_cluster(workers.address) as cluster:
        assert cluster.slots == 2
        assert list(cluster.spread(act, items, str(tmp_path))) == [(item, item * 2) for item in items]
    assert (tmp_path / "died").exists()


@pytest.mark.slow
def test_what_ends_every_worker_is_told_as_lost(workers: Workers, tmp_path: Path) -> None:
    with open_cluster(workers.address) as cluster:
        results = dict(cluster.spread(act, ["die"], str(tmp_path)))
        assert results == {"die": LostWork("die")}
        assert dict(cluster.spread(act, ["a"], str(tmp_path))) == {"a": "aa"}


@pytest.mark.slow
def test_what_a_worker_raises_is_raised_here(workers: Workers, tmp_path: Path) -> None:
    with open_cluster(workers.address) as cluster, pytest.raises(OSError, match="No space left"):
        list(cluster.spread(act, ["a", "full", "b"], str(tmp_path)))


@pytest.mark.slow
def test_workers_of_another_version_are_refused(
    workers: Workers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("img2gps.cluster.__version__", "99.0")
    with (
        open_cluster(workers.address) as cluster,
        pytest.raises(UsageError, match=r"^A worker has img2gps .*, this machine 99\.0: install the same there\.$"),
    ):
        list(cluster.spread(act, ["a"], str(tmp_path)))


@pytest.mark.slow
def test_jobs_end_as_they_do_here_though_a_worker_and_a_process_are_lost(
    workers: Workers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    items = ["a", "lose worker once", "b", "die once", "c"]
    with open_jobs(workers.address) as cluster:
        assert list(cluster.do(do, items, doing="Acting")) == [(item, item * 2) for item in items]
        assert capsys.readouterr().err == "".join(f"doing {item}\n" for item in items)
        with pytest.raises(OSError, match="No space left"):
            list(cluster.do(do, ["a", "full", "b"], doing="Acting"))
    assert (tmp_path / "lost").exists()
    assert (tmp_path / "died").exists()


@pytest.mark.slow
def test_a_file_that_workers_do_not_share_is_told_before_anything_begins(workers: Workers, tmp_path: Path) -> None:
    file = tmp_path / "shared.txt"
    file.write_text("shared")
    shared = SharedFile.of(file)
    with open_jobs(workers.address) as cluster:
        cluster.check_shared([shared])
        file.write_text("a file of this machine")
        with pytest.raises(
            UsageError, match=r"^A worker on .* does not find .*shared\.txt as it is here: --cluster needs"
        ):
            cluster.check_shared([shared])


@pytest.mark.parametrize(
    ("word", "error", "part"),
    [
        ("local:0", UsageError, "takes a number of processes"),
        ("local:many", UsageError, "takes a number of processes"),
        ("nonsense", UsageError, "is none of local:N"),
        ("slurm:nowhere.yaml", NotFoundError, "No cluster file nowhere.yaml"),
        ("nowhere.yaml", NotFoundError, "No cluster file nowhere.yaml"),
    ],
)
def test_a_word_that_names_no_cluster_is_told(word: str, error: type[Img2GPSError], part: str) -> None:
    with pytest.raises(error) as caught, open_cluster(word):
        pass
    assert part in str(caught.value)


def test_a_scheduler_that_does_not_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("img2gps.cluster._ANSWER_S", 0.2)
    with pytest.raises(NotFoundError, match="No Dask scheduler answers at 127"), open_cluster("127.0.0.1:9"):
        pass


@pytest.mark.parametrize("scheme", ["tcp", "http"])
def test_what_answers_but_is_no_scheduler_is_told(scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The address of a web page, such as that of Dask itself: a client would ask it for minutes."""
    monkeypatch.setattr("img2gps.cluster._ANSWER_S", 0.5)
    with web_listing(tmp_path) as (web, _):
        address = web.replace("http", scheme)
        began = time.monotonic()
        with pytest.raises(NotFoundError, match=f"^No Dask scheduler answers at {address}: "), open_cluster(address):
            pass
        assert time.monotonic() - began < 20


def test_an_address_of_a_scheduler_is_told_without_its_password() -> None:
    with (
        pytest.raises(NotFoundError, match=r"answers at tcp://127\.0\.0\.1:9: "),
        open_cluster("tcp://me:word@127.0.0.1:9"),
    ):
        pass


def test_a_cluster_without_workers_says_that_it_waits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text("class: distributed.LocalCluster\nworkers: 0\nn_workers: 0\nprocesses: false\ndashboard_address:\n")
    with open_cluster(str(path)) as cluster, open_cluster(cluster._client.scheduler.address):
        # Dask would tell of a lost scheduler by a traceback
        assert not logging.getLogger("distributed.client").isEnabledFor(logging.ERROR)
    of_file, of_address = capsys.readouterr().err.splitlines()
    assert of_file == "No worker is there yet: the work waits until one comes."
    assert of_address.startswith(f"{of_file} `dask worker ")


def test_work_whose_last_worker_is_gone_says_that_it_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("img2gps.cluster._PATIENCE_S", 0.1)
    path = tmp_path / "cluster.yaml"
    path.write_text("class: distributed.LocalCluster\nworkers: 1\nn_workers: 1\nprocesses: false\ndashboard_address:\n")
    with open_cluster(str(path)) as cluster:
        local = cluster._client.cluster
        local.scale(0)
        cluster._client.sync(local._correct_state)
        back = threading.Timer(1.0, local.scale, (1,))
        back.start()
        assert list(cluster.spread(act, "abc", str(tmp_path))) == [("a", "aa"), ("b", "bb"), ("c", "cc")]
    assert capsys.readouterr().err == "No worker is left: the work waits until one comes.\n"


def test_a_missing_library_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UsageError, match=r"pip install 'img2gps\[cluster\]'"), open_cluster("local:2"):
        pass


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("workers: [", "is no YAML file"),
        ("just text", "does not say how many `workers`"),
        ("workers: many", "does not say how many `workers`"),
        ("workers: -1", "does not say how many `workers`"),
        ("workers: 2", "does not name a `class`"),
    ],
)
def test_a_file_that_describes_no_cluster_is_told(text: str, part: str, tmp_path: Path) -> None:
    (tmp_path / "cluster.yaml").write_text(text)
    with pytest.raises(UsageError) as caught:
        spec_of_file(tmp_path / "cluster.yaml")
    assert part in str(caught.value)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("class: no_such_module.Cluster\nworkers: 1", "is not installed"),
        ("class: dask_jobqueue.NoSuchCluster\nworkers: 1", "has no NoSuchCluster"),
        ("class: fractions.Fraction\nworkers: 1\ncores: 1", "does not take what the file says"),
        ("class: fractions.Fraction\nworkers: 1", "is no cluster of Dask"),
    ],
)
def test_a_class_that_cannot_be_started_is_told(text: str, part: str, tmp_path: Path) -> None:
    (tmp_path / "cluster.yaml").write_text(text)
    with pytest.raises(UsageError) as caught, open_cluster(str(tmp_path / "cluster.yaml")):
        pass
    assert part in str(caught.value)


@pytest.mark.parametrize(
    ("script", "part"),
    [("echo no such partition >&2; exit 1", "no such partition"), (None, "No such file or directory")],
)
def test_a_queue_that_refuses_is_told(
    script: str | None, part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dask would wait for the workers of jobs that nobody submitted."""
    if script:
        (tmp_path / "sbatch").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "sbatch").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    path = tmp_path / "slurm.yaml"
    path.write_text("workers: 2\ncores: 1\nmemory: 1 GB\ninterface: lo\nscheduler_options: {dashboard_address: ':0'}\n")
    unclosed = {one for one in SpecCluster._instances if one.status != Status.closed}
    refused = pytest.raises(UsageError, match=r"^dask_jobqueue\.SLURMCluster cannot start workers")
    with refused as caught, open_cluster(f"slurm:{path}"):
        pass
    assert part in str(caught.value)
    assert {one for one in SpecCluster._instances if one.status != Status.closed} <= unclosed


def test_a_file_for_slurm_makes_the_job_that_it_says(tmp_path: Path) -> None:
    path = tmp_path / "slurm.yaml"
    path.write_text("workers: 40\ncores: 1\nmemory: 4 GB\nqueue: short\nwalltime: '02:00:00'\n")
    spec = spec_of_file(path, default="dask_jobqueue.SLURMCluster")
    assert spec.pop("class") == "dask_jobqueue.SLURMCluster"
    assert spec.pop("workers") == 40
    script = SLURMJob("tcp://10.0.0.1:8786", "first", **spec).job_script()
    for line in ("#SBATCH -p short", "#SBATCH --cpus-per-task=1", "#SBATCH --mem=4G", "#SBATCH -t 02:00:00"):
        assert line in script.splitlines()
    assert "dask" in script.splitlines()[-1]
    assert "--nthreads 1" in script
    assert "tcp://10.0.0.1:8786" in script
