"""`vocalsketch submit`: the score of every query and item of a challenge, as one table."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from vocalsketch.commands.actions import Options

if TYPE_CHECKING:
    from torch import Tensor

    from vocalsketch.domain import Side
    from vocalsketch.systems import System

AT_ONCE = 32  # clips


OPTIONS: Options = {
    "system RUN": (
        str,
        "a run's folder (its best checkpoint), a checkpoint, a saved system, or the name of one "
        "that needs no training, such as two_dft",
    ),
    "--items! DIR": (Path, "the sounds"),
    "--queries! DIR": (Path, "the imitations"),
    "--out! FILE": (Path, "the CSV to write"),
}

DESCRIPTION = (
    "Write the matrix that the AES AIMLA challenge asks for: a line per query, a column per item, "
    "both named by their path within their folder; higher is closer."
)


def run(arguments: argparse.Namespace) -> int:
    """Score everything and write the table."""
    import torch

    from vocalsketch.experiment.run_folder import RunFolder
    from vocalsketch.files import write_table
    from vocalsketch.systems import load_system

    spec = Path(arguments.system)
    system = load_system(RunFolder(spec).checkpoint("best") if spec.is_dir() else arguments.system)
    with torch.inference_mode():
        items, recordings = _embedded(system, "recording", arguments.items)
        queries, imitations = _embedded(system, "imitation", arguments.queries)
        scores = system.score(imitations, recordings).tolist()
    rows = ([query, *row] for query, row in zip(queries, scores, strict=True))
    write_table(arguments.out, ["", *items], rows)
    print(f"{len(queries)} queries x {len(items)} items: {arguments.out}")
    return 0


def _embedded(system: "System", side: "Side", folder: Path) -> "tuple[list[str], Tensor]":
    """Return the names of a folder's sounds, and their embeddings."""
    import torch

    from vocalsketch.features.store import FeatureStore
    from vocalsketch.search.library import list_library

    names = sorted(file.path for file in list_library(folder).files)
    front_end = system.front_ends[side]
    paths = [folder / name for name in names]
    table = FeatureStore().fill(paths, front_end)
    embed = system.hear if front_end.cached == "waveform" else system.embed
    blocks = [paths[begin : begin + AT_ONCE] for begin in range(0, len(paths), AT_ONCE)]
    features = (torch.from_numpy(table.stack(block)) for block in blocks)
    return names, torch.cat([embed(side, each) for each in features])
