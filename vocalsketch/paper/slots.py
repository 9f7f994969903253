"""Where cells run side by side: GPUs, or shares of the processor's cores."""

import os
from dataclasses import dataclass

from vocalsketch.errors import ConfigError
from vocalsketch.features.threads import available_cores

CPU = "cpu"


@dataclass(frozen=True)
class Slot:
    """A place for one cell at a time.

    Attributes:
        name: For people, such as ``gpu 1`` or ``cpu (1 core)``.
        environment: What a process is told, so that it stays there.
        arguments: What ``fit`` is told.
    """

    name: str
    environment: dict[str, str]
    arguments: tuple[str, ...]


def choose_slots(devices: str | None, jobs: int | None) -> list[Slot]:
    """Return the slots for the devices and number of cells asked for.

    Args:
        devices: ``cpu``, or GPUs such as ``0,2``; by default all GPUs that are visible, else the
            processor.
        jobs: Cells at a time, spread over the devices; by default one per GPU, or one per core.

    Raises:
        ConfigError: There is no such GPU, or ``jobs`` is below 1.
    """
    if jobs is not None and jobs < 1:
        raise ConfigError(f"--jobs is {jobs}: give at least 1.")
    gpus = [] if devices == CPU else _gpus(devices)
    cores = available_cores()
    count = jobs or len(gpus) or cores
    threads = max(1, cores // count)
    limits = {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    if gpus:
        chosen = [gpus[number % len(gpus)] for number in range(count)]
        return [
            Slot(f"gpu {gpu}", {**limits, "CUDA_VISIBLE_DEVICES": gpu}, ("--trainer.devices=1",))
            for gpu in chosen
        ]
    name = f"cpu, {threads} core{'' if threads == 1 else 's'}"
    arguments = ("--trainer.accelerator=cpu", "--trainer.devices=1")
    return [Slot(name, {**limits, "CUDA_VISIBLE_DEVICES": ""}, arguments)] * count


def _gpus(devices: str | None) -> list[str]:
    """Return the names of the GPUs asked for, as CUDA_VISIBLE_DEVICES takes them."""
    import torch

    count = torch.cuda.device_count()
    given = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    visible = [name.strip() for name in given.split(",") if name.strip()][:count]
    visible = visible or [str(number) for number in range(count)]
    if devices is None:
        return visible
    asked = [name.strip() for name in devices.split(",") if name.strip()]
    for name in asked:
        if not name.isdigit() or int(name) >= len(visible):
            raise ConfigError(
                f"--devices is {devices}: {name!r} is none of the {len(visible)} visible GPUs "
                f"(numbered from 0). Give their numbers, or {CPU}."
            )
    if not asked:
        raise ConfigError(f"--devices is empty: give numbers of GPUs, or {CPU}.")
    return [visible[int(name)] for name in asked]
