"""Time activation maximisation: many units as one batch against one by one.

    python benchmarks/visualize.py
    python benchmarks/visualize.py --checkpoint run/checkpoints/best.ckpt --layers conv2

Without a checkpoint a TL-IMINET with untrained weights is used: speed does not depend on them, but
for the steps until convergence, which are therefore fixed here. Start-up, noise and sonification
are not timed.
"""

import argparse
import time
from pathlib import Path

import torch

from vocalsketch.features.mel import ImitationLogMel, RecordingLogMel
from vocalsketch.interpret.ascent import Ascent, AscentSettings, noise_inputs
from vocalsketch.interpret.layers import Layer
from vocalsketch.interpret.subject import Subject, load_subject
from vocalsketch.models.tower import ConvStage, TowerGeometry
from vocalsketch.systems.siamese import Siamese, SiameseGeometry


def main() -> None:
    """Print seconds both ways, and their ratio, for each chosen layer."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", type=Path, help="default: an untrained TL-IMINET")
    parser.add_argument("--layers", default="conv1,conv3,fc1")
    parser.add_argument("--part", default=None, help="imitation, recording or pair")
    parser.add_argument("--units", type=int, default=64)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=3, help="the best time counts")
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    subject = _untrained() if arguments.checkpoint is None else load_subject(arguments.checkpoint)
    subject.network.to(arguments.device)
    print(f"{arguments.device}, {torch.get_num_threads()} threads, {arguments.steps} steps")
    for layer in subject.leaky_layers:
        if layer.name in arguments.layers.split(",") and arguments.part in (None, layer.part):
            # a unit is asked for again where the layer has fewer than are asked for
            units = [unit % layer.units for unit in range(arguments.units)]
            together = _best(layer, [units], arguments)
            apart = _best(layer, [[unit] for unit in units], arguments)
            print(
                f"{layer.part} {layer.name}: {len(units)} at once {together:.2f} s, one by one "
                f"{apart:.2f} s, {apart / together:.1f} times as long"
            )


def _best(layer: Layer, groups: list[list[int]], arguments: argparse.Namespace) -> float:
    return min(_seconds(layer, groups, arguments) for _ in range(arguments.repeats))


def _seconds(layer: Layer, groups: list[list[int]], arguments: argparse.Namespace) -> float:
    device = arguments.device
    settings = AscentSettings(steps=arguments.steps, patience=arguments.steps + 1)
    shapes = [front_end.shape for front_end in layer.front_ends]
    starts = [
        tuple(each.to(device) for each in noise_inputs(shapes, range(len(units))))
        for units in groups
    ]
    _synchronise(device)
    begun = time.perf_counter()
    for units, start in zip(groups, starts, strict=True):
        Ascent(
            lambda inputs, rows, units=torch.tensor(units, device=device): layer.activation(
                units[rows], inputs
            ),
            start,
            torch.ones(len(units), device=device),
            settings,
            torch.Generator(),
        ).climb()
    _synchronise(device)
    return time.perf_counter() - begun


def _synchronise(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def _untrained() -> Subject:
    imitation = [ConvStage(48, (6, 6), pool) for pool in ((2, 2), (2, 2), (1, 2))]
    recording = [
        ConvStage(24, (5, 5), (2, 4)),
        ConvStage(48, (5, 5), (2, 4)),
        ConvStage(48, (5, 5)),
    ]
    front_ends = {"imitation": ImitationLogMel(), "recording": RecordingLogMel()}
    geometry = SiameseGeometry(
        front_ends["imitation"].shape,
        front_ends["recording"].shape,
        TowerGeometry(imitation),
        TowerGeometry(recording),
        hidden=(108,),
        dropout=0.0,
    )
    torch.manual_seed(0)
    return Subject("TL-IMINET", Siamese(front_ends, geometry).eval(), "none")


if __name__ == "__main__":
    main()
