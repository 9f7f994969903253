"""Table I from plan to report: what is not done is run, what is done is gathered."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import yaml
from rich.console import Console

from vocalsketch.datasets.open import DEMO, open_corpus
from vocalsketch.files import locked
from vocalsketch.paper.cell_folder import CellFolder
from vocalsketch.paper.material import Material
from vocalsketch.paper.measured import Measured, with_fusions
from vocalsketch.paper.plan import Plan
from vocalsketch.paper.progress import StudyProgress
from vocalsketch.paper.record import PlannedRun, Record
from vocalsketch.paper.rows import CONTOURS, ROWS
from vocalsketch.paper.runner import Runner, launch_cell
from vocalsketch.paper.slots import Slot
from vocalsketch.paper.yardstick import yardstick_scores
from vocalsketch.retrieval.fusion import refuse_different_queries
from vocalsketch.retrieval.scores import Scores


@dataclass(frozen=True)
class Failure:
    """A run that failed: its name, what it said last, and where it said the rest."""

    name: str
    reason: str
    log: Path


def run_plan(
    plan: Plan,
    material: Material,
    slots: Sequence[Slot],
    console: Console,
    *,
    retry: bool = False,
    notes: Sequence[str] = (),
) -> list[Failure]:
    """Run every cell of a plan that is not done, and write down what was planned.

    Args:
        plan: What to run.
        material: Corpus and split.
        slots: Where cells run.
        console: Where progress is shown.
        retry: Run those too that failed earlier.
        notes: What a reader of the report must know.

    Returns:
        The runs that failed, now or earlier.

    Raises:
        StorageError: Another process runs cells in the same folder.
        KeyboardInterrupt: Ctrl-C; running cells are ended, and go on when this is called again.
    """
    prints = {cell.name: cell.fingerprint(material.conditions) for cell in plan.cells}
    busy = (
        f"Another `vocalsketch reproduce` runs in {material.study}: wait for it, or choose "
        "another --out."
    )
    with locked(material.study / "lock", busy):
        Record(
            root=material.root,
            on_bad_audio=material.on_bad_audio,
            conditions=material.conditions,
            fusion=plan.fusion,
            notes=tuple(notes),
            runs=tuple(PlannedRun(c.system, c.seed, prints[c.name]) for c in plan.cells),
        ).write(material.study)
        folders = {cell.name: CellFolder(cell.folder(material.study)) for cell in plan.cells}
        took = {
            name: folder.seconds() or 0.0
            for name, folder in folders.items()
            if folder.state(prints[name]) == "done"
        }
        progress = StudyProgress(plan.cells, took, len(slots), console)
        runner = Runner(
            material.study,
            prints,
            slots,
            lambda cell, folder, slot: launch_cell(cell, folder, slot, material.arguments(cell)),
            progress,
        )
        with progress.shown():
            runner.run(plan.cells, retry=retry)
    return [
        Failure(cell.name, folders[cell.name].reason(), folders[cell.name].log)
        for cell in plan.cells
        if folders[cell.name].state(prints[cell.name]) == "failed"
    ]


def gather(folder: Path) -> Measured:
    """Return the runs of a study that are done, fused where that was asked for.

    Raises:
        ConfigError: No run is done.
        StorageError: There is no study in the folder.
    """
    record = Record.read(folder)
    rows: dict[str, dict[int, Scores]] = {}
    notes, unfinished = list(record.notes), []
    for run in record.runs:
        kept = CellFolder(run.folder(folder))
        if kept.state(run.fingerprint) != "done":
            unfinished.append(f"{run.system}/seed{run.seed}")
        elif run.pretraining:
            notes += _stand_in(run, kept)
        else:
            scores = replace(Scores.load(kept.scores), system=run.system)
            rows.setdefault(run.system, {})[run.seed] = scores
    if unfinished:
        notes.append(f"Runs that are not in these figures: {', '.join(unfinished)}.")
    complete = with_fusions(rows) if record.fusion else rows
    if complete:
        reference = next(scores for by_seed in complete.values() for scores in by_seed.values())
        complete[CONTOURS] = {0: _yardstick(folder, record, reference)}
    ordered = {row.key: complete[row.key] for row in ROWS if row.key in complete}
    return Measured(ordered, notes=tuple(dict.fromkeys(notes)))


def _yardstick(folder: Path, record: Record, reference: Scores) -> Scores:
    """Return the yardstick's scores, measured once for each corpus and split."""
    path = folder / f"without_learning_{'_'.join(record.conditions)}.npz"
    if path.is_file():
        kept = Scores.load(path)
        refuse_different_queries(reference, kept)
        return kept
    corpus = open_corpus(record.root, on_bad_audio=record.on_bad_audio)
    scores = yardstick_scores(corpus, reference)
    scores.save(path)
    return scores


def _stand_in(run: PlannedRun, kept: CellFolder) -> list[str]:
    config = yaml.safe_load((kept.path / "config.yaml").read_text(encoding="utf-8"))
    if config["data"]["init_args"].get("root") != DEMO:
        return []
    return [f"{run.system} was trained on the demo's synthetic stand-in for its data set."]
