"""How many workers a machine takes, and what each of them may use."""

import os
from dataclasses import dataclass

from vocalsketch.errors import ConfigError
from vocalsketch.features.threads import available_cores

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


@dataclass(frozen=True)
class Machine:
    """What this process may use.

    Attributes:
        cores: CPU cores.
        gpus: Names of the visible GPUs, as CUDA_VISIBLE_DEVICES lists them.
    """

    cores: int
    gpus: tuple[str, ...]


def this_machine() -> Machine:
    """Return the cores and GPUs that this process may use."""
    import torch

    cores = available_cores()
    count = torch.cuda.device_count()
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = listed.split(",") if listed else [str(index) for index in range(count)]
    return Machine(cores, tuple(name.strip() for name in names[:count]))


def environments(
    machine: Machine, workers: str | int, cores_per_worker: int | None = None
) -> list[dict[str, str]]:
    """Return the environment variables of each worker: its GPU and its number of threads.

    Args:
        machine: What there is to share.
        workers: How many, or ``auto``: one per GPU, else one per ``cores_per_worker`` cores.
        cores_per_worker: CPU threads of a worker; 1 on the CPU with ``auto``, else the cores
            divided among the workers.

    Raises:
        ConfigError: A number is not positive.
    """
    if cores_per_worker is not None and cores_per_worker < 1:
        raise ConfigError(f"--cores-per-worker is {cores_per_worker}: give 1 or more.")
    count = _count(machine, workers, cores_per_worker)
    automatic = workers == "auto" and not machine.gpus
    threads = cores_per_worker or (1 if automatic else max(1, machine.cores // count))
    return [
        {
            **dict.fromkeys(THREADS, str(threads)),
            **(
                {"CUDA_VISIBLE_DEVICES": machine.gpus[index % len(machine.gpus)]}
                if machine.gpus
                else {}
            ),
        }
        for index in range(count)
    ]


def _count(machine: Machine, workers: str | int, cores_per_worker: int | None) -> int:
    if workers == "auto":
        return len(machine.gpus) or max(1, machine.cores // (cores_per_worker or 1))
    try:
        count = int(workers)
    except ValueError:
        count = 0
    if count < 1:
        raise ConfigError(f"--workers is {workers!r}: give auto, or 1 or more.")
    return count
