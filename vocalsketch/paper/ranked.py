"""Ranks the test half by a system as it is, or by several as one, in a process of its own.

``python -m vocalsketch.paper.ranked FOLDER NAME DATA SYSTEM...``, where DATA is JSON.
"""

import json
import sys
from pathlib import Path
from typing import Any

from vocalsketch.experiment.run import rank
from vocalsketch.jobs.run import as_process
from vocalsketch.retrieval.scores import Scores
from vocalsketch.systems import System, load_system
from vocalsketch.systems.checkpoints import SAVED
from vocalsketch.systems.ensemble import Ensemble


def main(folder: str, name: str, data: str, *systems: str) -> None:
    """Rank ``data``, settings of a corpus, by systems that ``load_system`` takes."""
    members, settings = [load_system(each) for each in systems], json.loads(data)
    single = len(members) == 1
    system = members[0] if single else _weighed(Path(folder), name, members, settings)
    rank(Path(folder), name, system, **settings)


def _weighed(folder: Path, name: str, members: list[System], settings: dict[str, Any]) -> Ensemble:
    """Return an ensemble whose weights are the validation half's, saved."""
    scores = []
    for number, system in enumerate(members, start=1):
        where = folder / f"member{number}"
        rank(where, f"{name}, member {number}", system, **settings, half="validation")
        scores.append(Scores.load(where / "scores_validation.npz"))
    ensemble = Ensemble(members).eval().fit([each.categories for each in scores])
    ensemble.save(folder / SAVED, {"corpus": scores[0].corpus})
    return ensemble


if __name__ == "__main__":
    sys.exit(as_process(lambda: main(*sys.argv[1:])))
