"""`vocalsketch adapt`: fit the default system to one's own sounds, and voice."""

import argparse
from pathlib import Path

from vocalsketch.commands.actions import RAY, Options

OPTIONS: Options = {
    "--library! DIR": (Path, "a folder of sounds; imitations of them are synthesised"),
    "--imitations DIR": (
        Path,
        "recorded imitations: sounds/x.wav and imitations/x/*.wav, as `collect` writes them",
    ),
    "--out! DIR": (Path, "folder of the adapted system, which --system takes"),
    "--system": ("default", "what is adapted: an ensemble with dual encoders, or one of them"),
    "--people": (6, "synthetic people who imitate each sound, one of whom only tests"),
    "--most": (2000, "sounds that take part, drawn at random"),
    "--epochs": (5, "passes through the imitations"),
    "--seed": (0, "of all drawing"),
    "--jobs": (int, "processes that make imitations (default: all cores)"),
    **RAY,
}


def run(arguments: argparse.Namespace) -> int:
    """Adapt, and say whether it helped."""
    from vocalsketch.experiment.adaptation import Adaptation

    names = ("people", "most", "epochs", "seed", "jobs", "ray")
    adaptation = Adaptation(**{name: getattr(arguments, name) for name in names})
    done = adaptation.run(arguments.library, arguments.imitations, arguments.out, arguments.system)
    for kind, before in done.before.items():
        print(f"{kind}: MRR {before:.3f} before, {done.after[kind]:.3f} after")
    if done.helped:
        print(f"It helped, on sounds that were held out: --system {arguments.out}")
    else:
        print(f"It did not help: {arguments.out} holds {arguments.system} as it was.")
    return 0
