"""Time a training step of ten initialisations of IMINET together against one after another.

    python benchmarks/ten_together.py [--device cuda] [--networks 10] [--threads 2]

Each network has weights and pairs of its own, as its seed would give it. Together they are one
network of stacked weights under ``torch.func.vmap``, which makes grouped convolutions of theirs.
Both ways take the same steps from the same weights; the largest difference of a weight afterwards
is printed. Dropout is off: together it would draw other numbers than each network by itself.
"""

import argparse
import copy
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.func import functional_call, stack_module_state, vmap
from torch.nn.functional import binary_cross_entropy_with_logits

from vocalsketch.domain import SIDES
from vocalsketch.features.cqt import CQT
from vocalsketch.models.tower import ConvStage, TowerGeometry
from vocalsketch.systems.siamese import Siamese, SiameseGeometry

SHAPE = (72, 129)  # bins, frames of a CQT
PAIRS = 128
IMITATIONS = 64  # distinct ones in a batch of pairs, one positive and one negative pair each
RECORDINGS = 96

Batch = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]


def main() -> None:
    """Measure both ways, in turns, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", type=int, default=10)
    parser.add_argument("--sharing", default="tied", choices=("tied", "untied"))
    parser.add_argument("--steps", type=int, default=3, help="steps timed at a time")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    networks = [
        _network(seed, arguments.sharing).to(arguments.device) for seed in range(arguments.networks)
    ]
    batches = [
        tuple(each.to(arguments.device) for each in _batch(seed))
        for seed in range(arguments.networks)
    ]
    together, stacked = _together(networks, batches)
    apart = _apart(networks, batches)
    times = torch.tensor(
        [
            [_seconds(step, arguments) / arguments.steps for step in (apart, together)]
            for _ in range(arguments.rounds + 1)
        ]
    )[1:]  # the first round warms up
    one_by_one, at_once = times.median(dim=0).values.tolist()
    difference = max(
        float((dict(network.named_parameters())[name] - weights[number]).abs().max().detach())
        for name, weights in stacked.items()
        for number, network in enumerate(networks)
    )
    steps = (arguments.rounds + 1) * arguments.steps
    print(
        f"{arguments.networks} x IMINET {arguments.sharing}, {arguments.device}, "
        f"{arguments.threads} threads: a step of all takes {one_by_one:.3f} s one after another, "
        f"{at_once:.3f} s together, {float((times[:, 0] / times[:, 1]).median()):.2f} times as "
        f"fast; weights differ by at most {difference:.1e} after {steps} steps"
    )


def _network(seed: int, sharing: str) -> Siamese:
    pools = ((2, 4), (2, 4), None, None)
    filters = (12, 12, 6, 6)
    stages = [ConvStage(count, (3, 3), pool) for count, pool in zip(filters, pools, strict=True)]
    tower = TowerGeometry(stages)
    torch.manual_seed(seed)
    return Siamese(
        dict.fromkeys(SIDES, CQT()),
        SiameseGeometry(SHAPE, SHAPE, tower, tower, sharing=sharing, dropout=0.0),
    )


def _batch(seed: int) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.randn(IMITATIONS, *SHAPE, generator=generator),
        torch.randn(RECORDINGS, *SHAPE, generator=generator),
        torch.arange(PAIRS) // 2,
        torch.randint(0, RECORDINGS, (PAIRS,), generator=generator),
        (torch.arange(PAIRS) % 2).float(),
    )


def _apart(networks: list[Siamese], batches: list[Batch]) -> Callable[[], None]:
    optimizers = [torch.optim.Adam(network.parameters(), 1e-3) for network in networks]

    def step() -> None:
        for network, optimizer, (*inputs, labels) in zip(
            networks, optimizers, batches, strict=True
        ):
            optimizer.zero_grad()
            binary_cross_entropy_with_logits(network(*inputs), labels).backward()
            optimizer.step()

    return step


def _together(
    networks: list[Siamese], batches: list[Batch]
) -> tuple[Callable[[], None], dict[str, Tensor]]:
    """Return the step and the stacked weights that it changes."""
    weights, buffers = stack_module_state(networks)
    optimizer = torch.optim.Adam(list(weights.values()), 1e-3)
    skeleton = copy.deepcopy(networks[0]).to("meta")
    *inputs, labels = (torch.stack(each) for each in zip(*batches, strict=True))

    def logits(own: dict[str, Tensor], held: dict[str, Tensor], *given: Tensor) -> Tensor:
        return functional_call(skeleton, (own, held), given)

    def step() -> None:
        optimizer.zero_grad()
        found = vmap(logits)(weights, buffers, *inputs)
        # the sum over networks, so that each has the gradient of its own mean
        loss = binary_cross_entropy_with_logits(found, labels, reduction="none")
        loss.mean(dim=1).sum().backward()
        optimizer.step()

    return step, weights


def _seconds(step: Callable[[], None], arguments: argparse.Namespace) -> float:
    started = time.perf_counter()
    for _ in range(arguments.steps):
        step()
    if arguments.device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
