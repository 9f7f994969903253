"""The small dual encoder: windows embedded a second on one core, and what its training loop costs.

    python benchmarks/dual_encoder.py [--root DIR] [--rounds N]

Windows of 4 s at 16 kHz, in memory, go through front end and network as a build of an index sends
them; the time is the processor's, of one thread. A training step on batches from the loader, cached
features augmented on the way, is timed in turns with the same step on the tensors of one batch,
drawn at random and held in memory; then again with memory that is freed kept, as `fit` keeps it.
"""

import argparse
import statistics
import time
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import torch

from vocalsketch.datamodules.contrastive import ContrastiveBatch
from vocalsketch.experiment.parser import ExperimentCLI, has_bfloat16
from vocalsketch.experiment.run import keep_memory
from vocalsketch.tasks import ContrastiveTask

CONF = Path(__file__).resolve().parents[1] / "conf"
WINDOWS, SECONDS, AT_ONCE = 512, 4, 32


def windows_a_second(task: ContrastiveTask, side: str) -> float:
    """Return how many windows of noise are embedded in a second."""
    system = task.system.eval().fast()
    front_end = system.front_ends[side]
    noise = 0.1 * torch.randn(AT_ONCE, front_end.sample_rate * SECONDS)
    clips = torch.nn.functional.pad(noise, (0, front_end.samples - noise.shape[1]))
    with torch.inference_mode():
        system.hear(side, clips)
        started = time.process_time()
        for _ in range(WINDOWS // AT_ONCE):
            system.hear(side, clips)
        return WINDOWS / (time.process_time() - started)


def step_seconds(
    task: ContrastiveTask, batches: Iterable[ContrastiveBatch], optimizer: torch.optim.Optimizer
) -> list[float]:
    """Train on batches, and return how long each step took, getting the batch included."""
    seconds = []
    started = time.perf_counter()
    for batch in batches:
        with torch.autocast("cpu", torch.bfloat16, enabled=has_bfloat16()):
            loss = task.training_step(batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seconds.append(time.perf_counter() - started)
        started = time.perf_counter()
    return seconds


def loop_costs(config: str, root: str, rounds: int) -> tuple[float, float]:
    """Return the median step on batches from the loader, and on random tensors alike."""
    options = ("--data.init_args.root", root, "--trainer.logger", "false")
    cli = ExperimentCLI("fit", ["--config", str(CONF / f"{config}.yaml"), *options])
    data, task = cli.datamodule, cli.model
    data.prepare_data()
    data.setup("fit")
    task.trainer = cli.trainer
    task.log = lambda *_, **__: None  # no loop runs
    task.train()
    optimizer = task.optimizer(task.parameters())
    shown: ContrastiveBatch = next(iter(data.train_dataloader()))
    random = shown._replace(
        imitations=80 * torch.rand_like(shown.imitations),
        recordings=80 * torch.rand_like(shown.recordings),
    )
    read: list[float] = []
    made: list[float] = []
    for number in range(rounds + 1):
        batches = list(islice([random] * 100, len(data.train_dataloader())))
        for kept, given in ((read, data.train_dataloader()), (made, batches)):
            taken = step_seconds(task, given, optimizer)
            kept += taken if number else []  # the first round warms up
    return statistics.median(read), statistics.median(made)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", default="demo", help="corpus (default: demo)")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for config in ("dual_pretrain", "dual_own"):
        options = ["--config", str(CONF / f"{config}.yaml"), "--trainer.logger", "false"]
        task = ExperimentCLI("fit", options).model
        weights = sum(each.numel() for each in task.system.encoders["recording"].parameters())
        rates = [windows_a_second(task, "recording") for _ in range(arguments.rounds)]
        print(f"{config}, {weights:,} weights: {statistics.median(rates):.0f} windows/s, one core")
    torch.set_num_threads(threads)
    read, made = loop_costs("dual_scratch", arguments.root, arguments.rounds)
    print(
        f"a step on cached features {1000 * read:.0f} ms, on random tensors {1000 * made:.0f} ms: "
        f"{made / read:.3f} times the rate"
    )
    keep_memory()
    kept, _ = loop_costs("dual_scratch", arguments.root, arguments.rounds)
    print(f"with memory that is freed kept, as fit keeps it, {read / kept:.2f} times as fast")


if __name__ == "__main__":
    main()
