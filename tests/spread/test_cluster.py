"""Work on a Ray cluster: two nodes on this machine, one of which is lost; and what is refused."""

import argparse
import os
import pickle
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_networks import chirp, write_checkpoint, write_sound

from vocalsketch.commands.actions import RAY, add_options
from vocalsketch.datamodules.imitated import imitate_folders
from vocalsketch.datasets.discovery import FoundFile
from vocalsketch.errors import ConfigError, DatasetError
from vocalsketch.features.cqt import CQT
from vocalsketch.features.store import FeatureStore
from vocalsketch.search import Index, build_index, embedding
from vocalsketch.search.embedding import Embedder
from vocalsketch.spread.batches import checked_task, spread, versions
from vocalsketch.systems import load_system

pytest.importorskip("ray")
# Ray forks, and then runs another program
pytestmark = pytest.mark.filterwarnings("ignore:lance is not fork-safe:UserWarning")
PATIENCE = 120  # seconds for a node to take a batch on a busy machine


def stuck_on_the_lost_node(begun: Path, function: Callable[[Any], Any], batch: Any) -> Any:
    """Call a function; on the node that is lost, only after it is lost."""
    if os.environ.get("NODE") == "lost":
        begun.touch()
        time.sleep(1_000)
    return function(batch)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A node of a core, of which this process is the driver."""
    import ray
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_worker_niceness", "0")
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        patch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), *sys.path]))
        made = Cluster()
        try:
            made.add_node(num_cpus=1, include_dashboard=False)
            ray.init(address=made.address, log_to_driver=False)
            yield made
        finally:
            ray.shutdown()
            made.shutdown()


@pytest.fixture
def library(tmp_path: Path) -> Path:
    for number in range(9):
        write_sound(tmp_path / f"library/kind {number % 2}/{number}.wav", chirp(number, 0.4))
    (tmp_path / "library" / "text.wav").write_text("this is no audio")
    return tmp_path / "library"


def stored(index: Path | str) -> tuple[list[dict[str, Any]], np.ndarray]:
    table = Index.open(index).table
    return table.live.to_pylist(), table.embeddings(np.arange(len(table)))


def test_a_build_that_loses_a_node_gives_the_index_of_a_local_one(
    cluster: Any, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = write_checkpoint(tmp_path / "best.ckpt")
    local = build_index(library, tmp_path / "local", checkpoint, jobs=1, progress=False)
    lost, begun = cluster.add_node(num_cpus=1, env_vars={"NODE": "lost"}), tmp_path / "begun"
    told: list[tuple[int, int]] = []

    def lossy(function: Any, batches: Sequence[Any], jobs: int, **how: Any) -> Any:
        return spread(partial(stuck_on_the_lost_node, begun, function), batches, jobs, **how)

    def lose(done: int, to_do: int) -> None:
        until = time.monotonic() + PATIENCE
        while not begun.exists() and time.monotonic() < until:
            time.sleep(0.05)
        if not told:
            cluster.remove_node(lost, allow_graceful=False)
        told.append((done, to_do))

    monkeypatch.setattr(embedding, "FILES_AT_ONCE", 1)
    with monkeypatch.context() as patch:
        patch.setattr("vocalsketch.search.build.spread", lossy)
        far = build_index(library, tmp_path / "far", checkpoint, ray="", progress=lose)
    assert begun.exists()
    assert told == [(number, 10) for number in range(1, 11)]
    assert far == local
    (rows, embeddings), expected = stored(tmp_path / "far"), stored(tmp_path / "local")
    assert rows == expected[0]
    np.testing.assert_array_equal(embeddings, expected[1])
    left = {each.name for each in (tmp_path / "far").iterdir()}
    assert left == {".lock", "index.json", "system.safetensors", "1.arrow"}


def refuse(_: object) -> None:
    raise DatasetError("a library that is not there")


def test_features_imitations_remote_indexes_and_errors_are_those_made_here(
    cluster: Any, library: Path, tmp_path: Path
) -> None:
    address = (tmp_path / "far").as_uri()
    for index, how in ((tmp_path / "local", {"jobs": 1}), (address, {"ray": ""})):
        build_index(library, index, "contours", progress=False, **how)
    (rows, embeddings), expected = stored(address), stored(tmp_path / "local")
    assert rows == expected[0]
    np.testing.assert_array_equal(embeddings, expected[1])
    paths = sorted(library.rglob("?.wav"))
    made = [
        FeatureStore(tmp_path / name).fill(paths, CQT(), progress=False, **how).stack()
        for name, how in (("features", {"jobs": 1}), ("of a cluster", {"ray": ""}))
    ]
    np.testing.assert_array_equal(*made)
    for name, how in (("imitated", {"jobs": 1}), ("on a cluster", {"ray": ""})):
        imitate_folders([library / "kind 0"], tmp_path / name, people=1, **how)
    imitations = sorted((tmp_path / "imitated").rglob("person*.wav"))
    assert len(imitations) == 5
    for path in imitations:
        other = tmp_path / "on a cluster" / path.relative_to(tmp_path / "imitated")
        assert other.read_bytes() == path.read_bytes()
    with pytest.raises(DatasetError, match="a library that is not there"):
        list(spread(refuse, [1], 1, ray=""))


def test_ray_may_be_given_an_address() -> None:
    parser = argparse.ArgumentParser()
    add_options(parser, RAY)
    given = [parser.parse_args(words).ray for words in ([], ["--ray"], ["--ray", "head:6379"])]
    assert given == [None, "", "head:6379"]


def test_a_missing_ray_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"pip install 'vocalsketch\[ray\]'"):
        list(spread(len, ["a"], 1, ray=""))


def test_an_address_where_nobody_answers_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # and does not listen
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        for given in (address, f"ray://{address}", "127.0.0.1:many"):
            with pytest.raises(ConfigError, match=f"cluster at {given} cannot be joined"):
                list(spread(len, ["a"], 1, ray=given))


def test_cores_of_a_cluster_are_not_chosen(library: Path, tmp_path: Path) -> None:
    for option in ({"jobs": 2}, {"devices": 2}, {"accelerator": "auto"}):
        with pytest.raises(ConfigError, match="--ray each task has a core"):
            build_index(library, tmp_path / "index", ray="", **option)
    assert not (tmp_path / "index").exists()


def test_a_worker_of_another_version_or_without_a_folder_says_so(tmp_path: Path) -> None:
    call = pickle.dumps(len), pickle.dumps("four")
    assert checked_task(versions(), str(tmp_path))(*call) == ("", 4)
    wrong, _ = checked_task({"vocalsketch": "9.9"}, None)(*call)
    assert f"has vocalsketch {versions()['vocalsketch']}: install 9.9 there" in str(wrong)
    wrong, _ = checked_task(versions(), str(tmp_path / "elsewhere" / "x"))(*call)
    assert f"does not see {tmp_path / 'elsewhere'}: give a folder on a shared disk" in str(wrong)


def test_a_worker_without_the_package_says_so() -> None:
    from ray import cloudpickle

    code = (
        "import sys; sys.modules['vocalsketch'] = None; from ray import cloudpickle; "
        "task = cloudpickle.load(sys.stdin.buffer); print(task(b'', b'')[0])"
    )
    task = cloudpickle.dumps(checked_task({"vocalsketch": "9.9"}, None))
    done = subprocess.run([sys.executable, "-c", code], input=task, stdout=-1, check=True)
    assert b"has vocalsketch none that can be imported" in done.stdout
    assert b"install 9.9 there" in done.stdout


def test_a_machine_that_sees_no_library_does_not_call_its_files_unusable(
    library: Path, tmp_path: Path
) -> None:
    system = load_system(write_checkpoint(tmp_path / "best.ckpt"))
    embedder = pickle.loads(pickle.dumps(Embedder(system, library)))
    library.rename(tmp_path / "unmounted")
    with pytest.raises(DatasetError, match="has to lie at the same path on all machines"):
        embedder.embed_part(tmp_path / "parts", [FoundFile("kind 0/0.wav", 1, 1)], far=True)
    assert not (tmp_path / "parts").exists()
