"""Where jobs run side by side: GPUs, or shares of the processor's cores."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from vocalsketch.errors import ConfigError
from vocalsketch.threads import available_cores

CPU = "cpu"
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


@dataclass(frozen=True)
class Slot:
    """A place for one job at a time.

    Attributes:
        name: For people, such as ``gpu 1`` or ``cpu, 2 cores``.
        arguments: What a training is told, so that it takes one device.
        environment: What a process is told, so that it stays there.
    """

    name: str
    arguments: tuple[str, ...] = ("--trainer.devices=1",)
    environment: Mapping[str, str] = field(default_factory=dict)


def choose_slots(devices: str | None, jobs: int | None, threads: int | None = None) -> list[Slot]:
    """Return the slots for the devices and the number of jobs asked for.

    ``devices`` is ``cpu``, or GPUs such as ``0,2``; by default all that are visible, else the
    processor. By default there is one job per GPU, else as many as the cores allow, and the cores
    are divided among them, or one each where their number follows from the cores.

    Raises:
        ConfigError: There is no such GPU, or a number is below 1.
    """
    for what, number in (("jobs at a time", jobs), ("threads of a job", threads)):
        if number is not None and number < 1:
            raise ConfigError(f"The number of {what} is {number}: give at least 1.")
    gpus = [] if devices == CPU else _gpus(devices)
    cores = available_cores()
    count = jobs or len(gpus) or max(1, cores // (threads or 1))
    threads = threads or max(1, cores // count)
    limits = dict.fromkeys(THREADS, str(threads))
    if gpus:
        chosen = [gpus[number % len(gpus)] for number in range(count)]
        return [
            Slot(f"gpu {gpu}", environment={**limits, "CUDA_VISIBLE_DEVICES": gpu})
            for gpu in chosen
        ]
    name = f"cpu, {threads} core{'' if threads == 1 else 's'}"
    arguments = ("--trainer.accelerator=cpu", "--trainer.devices=1")
    return [Slot(name, arguments, {**limits, "CUDA_VISIBLE_DEVICES": ""})] * count


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
