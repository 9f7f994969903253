"""Table I from plan to report: what is not done is run, what is done is gathered."""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import yaml
from rich.console import Console

from vocalsketch.datasets.open import DEMO
from vocalsketch.errors import ConfigError, StorageError
from vocalsketch.files import locked, write_text
from vocalsketch.jobs.job import Job, Slot
from vocalsketch.jobs.pool import Failure, Pool
from vocalsketch.jobs.progress import Progress
from vocalsketch.paper.measured import Measured, with_fusions
from vocalsketch.paper.plan import folder_of
from vocalsketch.paper.rows import ADDED, KNOWN, row_of
from vocalsketch.retrieval.scores import Scores


@dataclass(frozen=True)
class Record:
    """What a report is of, kept in its folder (``table1.json``) so that it can be made again.

    Attributes:
        runs: Fingerprint of each job that was planned last, by name (``row/seed3``).
        fusion: Whether the fused rows are made.
        notes: What a reader must know.
        added: Folders of runs, or their files of scores, that stand in rows of their own, by name.
        table: Which table it is: ``table1`` or ``qvim``.
    """

    runs: Mapping[str, str]
    fusion: bool
    notes: tuple[str, ...] = ()
    added: Mapping[str, Sequence[str]] = field(default_factory=dict)
    table: str = "table1"

    def write(self, folder: Path) -> None:
        """Write it to the report's folder."""
        write_text(folder / "table1.json", json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def read(cls, folder: Path) -> "Record":
        """Read it from the report's folder.

        Raises:
            StorageError: There is none, or another version wrote it.
        """
        path = folder / "table1.json"
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            return cls(**{**content, "notes": tuple(content["notes"])})
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StorageError(
                f"Nothing to report on at {path} ({error}): `vocalsketch reproduce table1 --out "
                f"{shlex.quote(str(folder))}` makes it."
            ) from error


def run_jobs(
    folder: Path,
    jobs: Sequence[Job],
    record: Record,
    slots: Sequence[Slot],
    console: Console,
    *,
    retry: bool = False,
) -> list[Failure]:
    """Write down what is planned, and run every job that is not done; return those that failed.

    ``retry`` runs those again that failed earlier.

    Raises:
        StorageError: Another process works in the same folder.
        KeyboardInterrupt: Ctrl-C; running jobs are ended, and go on when this is called again.
    """
    busy = (
        f"Another `vocalsketch reproduce` runs in {folder}: wait for it, or choose another --out."
    )
    with locked(folder / "lock", busy):
        record.write(folder)
        with Progress(jobs, len(slots), console).shown() as progress:
            return Pool(slots, progress).run(jobs, retry=retry)


def gather(folder: Path, record: Record) -> Measured:
    """Return the runs of a report that are done, fused where that was asked for.

    Raises:
        ConfigError: Runs that were added are not of the same queries and candidates.
        StorageError: Scores cannot be read.
    """
    runs: dict[str, dict[int, Scores]] = {}
    notes, unfinished = list(record.notes), []
    for name, fingerprint in record.runs.items():
        job = Job(name, folder_of(folder, name), fingerprint=fingerprint)
        if job.state() != "done":
            unfinished.append(name)
        elif not row_of(job.group).block:
            config = yaml.safe_load((job.folder / "config.yaml").read_text(encoding="utf-8"))
            told = f"{job.group} was trained on the demo's synthetic stand-in for its data set."
            notes += [told] if config["data"]["init_args"].get("root") == DEMO else []
        else:
            seed = int(name.rpartition("seed")[2])
            runs.setdefault(job.group, {})[seed] = replace(scores_of(job.folder), system=job.group)
    if unfinished:
        notes.append(f"Runs that are not in these figures: {', '.join(unfinished)}.")
    complete = with_fusions(runs) if record.fusion else runs
    ordered = {key: complete[key] for key in KNOWN if key in complete}
    for name, paths in record.added.items():
        ordered[name] = {n: replace(scores_of(Path(p)), system=name) for n, p in enumerate(paths)}
    return Measured(ordered, notes=tuple(dict.fromkeys(notes)))


def scores_of(run: Path) -> Scores:
    """Return the scores of the test half that a run folder, or a file, holds.

    Raises:
        StorageError: There are none, or they are damaged.
    """
    return Scores.load(run / "scores_test.npz" if run.is_dir() else run)


def rows_to_add(given: Sequence[str]) -> dict[str, list[str]]:
    """Return runs, given as ``NAME=RUN``, by the name of their row; of each one or more seeds.

    Raises:
        ConfigError: One is not of that form, or the name is a row's of the program.
        StorageError: A run has no scores.
    """
    added: dict[str, list[str]] = {}
    for each in given:
        name, _, run = each.partition("=")
        if not name or not run or row_of(name).block != ADDED:
            raise ConfigError(
                f"--add is {each!r}: give NAME=RUN_FOLDER, with a name that no row has yet."
            )
        scores_of(Path(run))
        added.setdefault(name, []).append(str(Path(run).resolve()))
    return added


def refuse_another_split(added: Mapping[str, Sequence[str]], split: str) -> None:
    """Check, before hours of runs, that what is added can stand beside runs of this split.

    Raises:
        ConfigError: A run ranked another split.
    """
    for name, path in ((name, path) for name, paths in added.items() for path in paths):
        theirs = scores_of(Path(path)).split
        if theirs != split:
            raise ConfigError(
                f"--add {name}={path}: it ranked split {theirs!r}, the report is of split "
                f"{split!r}: evaluate it on this report's split.json."
            )
