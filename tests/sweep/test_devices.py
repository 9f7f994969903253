"""How a machine's GPUs and cores are shared among workers."""

import pytest

from vocalsketch.errors import ConfigError
from vocalsketch.sweep.devices import Machine, environments


def test_auto_starts_one_worker_per_gpu() -> None:
    given = environments(Machine(cores=16, gpus=("2", "3")), "auto")
    assert [each["CUDA_VISIBLE_DEVICES"] for each in given] == ["2", "3"]
    assert {each["OMP_NUM_THREADS"] for each in given} == {"8"}


@pytest.mark.parametrize(("cores_per_worker", "workers"), [(None, 6), (1, 6), (4, 1), (9, 1)])
def test_auto_without_a_gpu_shares_the_cores(cores_per_worker: int | None, workers: int) -> None:
    given = environments(Machine(cores=6, gpus=()), "auto", cores_per_worker)
    assert len(given) == workers
    assert {each["OMP_NUM_THREADS"] for each in given} == {str(cores_per_worker or 1)}
    assert all("CUDA_VISIBLE_DEVICES" not in each for each in given)


def test_more_workers_than_gpus_take_turns() -> None:
    given = environments(Machine(cores=6, gpus=("0", "1")), "3")
    assert [each["CUDA_VISIBLE_DEVICES"] for each in given] == ["0", "1", "0"]


@pytest.mark.parametrize(
    ("workers", "cores", "message"),
    [
        ("0", None, "--workers is '0'"),
        ("many", None, "--workers is 'many': give auto"),
        ("auto", 0, "--cores-per-worker is 0"),
    ],
)
def test_an_impossible_number_is_refused(workers: str, cores: int | None, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        environments(Machine(cores=2, gpus=()), workers, cores)
