"""Weighs systems by the validation half and ranks the test half, in a process of its own.

``python -m vocalsketch.paper.ensemble FOLDER NAME ROOT SPLIT ON_BAD_AUDIO MEMBER...``
"""

import sys
from pathlib import Path

from vocalsketch.datasets.records import OnBadAudio
from vocalsketch.experiment.ranking import rank
from vocalsketch.jobs.run import as_process
from vocalsketch.retrieval.scores import Scores
from vocalsketch.systems import load_system
from vocalsketch.systems.checkpoints import SAVED
from vocalsketch.systems.ensemble import Ensemble


def main(folder: str, name: str, root: str, split: str, bad: OnBadAudio, *members: str) -> None:
    """Fit, save and rank; members are names or checkpoints, as ``load_system`` takes them."""
    systems = [load_system(each) for each in members]
    scores = []
    for number, system in enumerate(systems, start=1):
        where = Path(folder, f"member{number}")
        rank(where, f"{name}, member {number}", system, root, split, bad, half="validation")
        scores.append(Scores.load(where / "scores_validation.npz"))
    ensemble = Ensemble(systems).eval().fit([each.categories for each in scores])
    ensemble.save(Path(folder, SAVED), {"corpus": scores[0].corpus})
    rank(Path(folder), name, ensemble, root, split, bad)


if __name__ == "__main__":
    sys.exit(as_process(lambda: main(*sys.argv[1:])))  # type: ignore[arg-type]  # plan.py's
