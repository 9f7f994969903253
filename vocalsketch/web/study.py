"""A usability study: people find sounds by voice, timed, and say how usable that is.

A target is played; the person searches by voice until it is found or given up. Afterwards come
the ten statements of the System Usability Scale (Brooke, 1996).
"""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Body
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vocalsketch.errors import DatasetError
from vocalsketch.retrieval.results import resampled_means
from vocalsketch.web.collect import Collection, Id, Number, Sender
from vocalsketch.web.libraries import Libraries
from vocalsketch.web.searching import MOST_RESULTS, Recording, Results, Wish, search

SUS = (
    "I think that I would like to use this system frequently.",
    "I found the system unnecessarily complex.",
    "I thought the system was easy to use.",
    "I think that I would need the support of a technical person to be able to use this system.",
    "I found the various functions in this system were well integrated.",
    "I thought there was too much inconsistency in this system.",
    "I would imagine that most people would learn to use this system very quickly.",
    "I found the system very cumbersome to use.",
    "I felt very confident using the system.",
    "I needed to learn a lot of things before I could get going with this system.",
)
SHOWN = 10  # results of a search


class StudyPlan(BaseModel):
    """What ``--study`` names: a YAML file with these keys."""

    model_config = ConfigDict(extra="forbid")

    targets: list[str] = Field(default=[], description="paths within the library; drawn if empty")
    tasks: int = Field(5, ge=1, le=100, description="search tasks of each participant")
    seconds: float = Field(120.0, gt=0, le=3600, description="for a task, at most")
    system: str = Field("", description="which system searches; the first if left out")
    seed: int = 0

    @classmethod
    def read(cls, file: Path) -> "StudyPlan":
        """Read a plan.

        Raises:
            ConfigError: It cannot be read, or a key is unknown or out of range.
        """
        # Imported here: with it comes what trains.
        from vocalsketch.experiment.config import invalid, read_mapping

        try:
            return cls.model_validate(read_mapping(file))
        except ValidationError as error:
            raise invalid(error, str(file), cls.model_fields) from error


class Study:
    """Search tasks for the participants of a collection, in what is searched."""

    def __init__(self, plan: StudyPlan, collection: Collection, libraries: Libraries) -> None:
        self.plan = plan
        self.collection = collection
        self.libraries = libraries
        self.router = APIRouter(prefix="/study")
        self.router.get("/tasks")(self.tasks)
        self.router.get("/target", response_class=FileResponse)(self.target)
        self.router.post("/search")(self.search)
        self.router.post("/end", status_code=204)(self.end)
        self.router.post("/opinion", status_code=204)(self.opinion)

    def targets(self, participant: str) -> list[str]:
        """Return the paths that a participant is to find.

        Raises:
            DatasetError: The library is not indexed yet, or lacks a target.
        """
        indexes = self.libraries.now().indexes
        if not indexes:
            raise DatasetError("The library is being indexed: wait a moment.")
        paths = indexes[0].paths()
        lacking = sorted(set(self.plan.targets) - set(paths))
        if lacking:
            raise DatasetError(f"The library has no sound {lacking[0]!r}, a target of the study.")
        rng = np.random.default_rng([self.plan.seed, int(participant, 16)])
        drawn = rng.permutation(self.plan.targets or paths)[: self.plan.tasks]
        return [str(each) for each in drawn]

    def tasks(self, participant: Id) -> dict[str, int | float | list[str]]:
        """Tell how many tasks there are, and how many are done."""
        runs = self.collection.record(participant).get("tasks", [])
        done = sum("ended" in each for each in runs)
        count = len(self.targets(participant))
        return {"count": count, "done": done, "seconds": self.plan.seconds, "statements": list(SUS)}

    def target(self, participant: Id, task: Number) -> FileResponse:
        """Play what is to be found; the first time, the clock of the task starts."""
        with self._run(participant, task) as run:
            file = self.libraries.now().indexes[0].file_of(run["target"])
        # under no name that gives the sound away
        return FileResponse(file, headers={"Cache-Control": "no-store"})

    def search(self, recording: Recording, participant: Id, task: Number) -> Results:
        """Search for the target with the recording in the body."""
        wish = Wish(system=self.plan.system, count=MOST_RESULTS)
        results = search(self.libraries.now(), wish, recording, self.collection.limits)
        with self._run(participant, task) as run:
            rank = next((hit.rank for hit in results.hits if hit.path == run["target"]), None)
            run["searches"].append({"at": time.time(), "rank": rank, "sounds": results.sounds})
        return results.model_copy(update={"hits": results.hits[:SHOWN]})

    def end(
        self,
        participant: Sender,
        task: Annotated[int, Body(ge=0)],
        chosen: Annotated[str | None, Body(max_length=4096)] = None,
    ) -> None:
        """Keep how a task ended: with the sound that was chosen, or given up."""
        with self._run(participant, task) as run:
            run.update(ended=time.time(), found=chosen == run["target"], chosen=chosen)

    def opinion(
        self,
        participant: Sender,
        answers: Annotated[
            list[Annotated[int, Field(ge=1, le=5)]], Body(min_length=10, max_length=10)
        ],
    ) -> None:
        """Keep answers to the System Usability Scale, 1 (disagree) to 5 (agree)."""
        with self.collection.changed(participant) as kept:
            kept["sus"] = answers

    @contextmanager
    def _run(self, participant: str, task: int) -> Iterator[dict[str, Any]]:
        """Yield what is kept of a task, which begins when it is first asked for."""
        targets = self.targets(participant)
        if task >= len(targets):
            raise DatasetError(f"There is no task {task}: there are {len(targets)}.")
        with self.collection.changed(participant) as kept:
            runs = kept.setdefault("tasks", [])
            if len(runs) <= task:
                runs.append({"target": targets[task], "began": time.time(), "searches": []})
            yield runs[task]


def usability(answers: Sequence[int]) -> float:
    """Return the System Usability Scale's score of ten answers, 0 to 100.

    >>> usability([5, 1] * 5), usability([3] * 10)
    (100.0, 50.0)
    """
    gains = [answer - 1 if place % 2 == 0 else 5 - answer for place, answer in enumerate(answers)]
    return 2.5 * sum(gains)


def figures(participants: Mapping[str, Mapping[str, Any]], seed: int = 0) -> dict[str, Any]:
    """Return what participants did, with 95 % bootstrap intervals over participants.

    Returns:
        ``participants``, ``imitations`` and ``tasks`` (counts), and each of ``satisfaction`` (1 to
        5), ``success`` (share of tasks whose target was chosen), ``success_at_1`` and ``_10`` (of
        tasks, target that high in any search), ``mrr`` (of first searches; a target beyond the
        first 100 counts as 0), ``seconds`` (of successful tasks) and ``sus`` as mean, low, high.
    """
    kept = list(participants.values())
    ended = [[task for task in each.get("tasks", []) if "ended" in task] for each in kept]
    ranks = [
        [[search["rank"] or math.inf for search in task["searches"]] for task in mine]
        for mine in ended
    ]
    measured: dict[str, list[list[float]]] = {
        "satisfaction": [
            [take["satisfaction"] for take in each["takes"].values() if "satisfaction" in take]
            for each in kept
        ],
        "success": [[task["found"] for task in mine] for mine in ended],
        "success_at_1": [[min(found, default=math.inf) <= 1 for found in mine] for mine in ranks],
        "success_at_10": [[min(found, default=math.inf) <= 10 for found in mine] for mine in ranks],
        "mrr": [[1 / found[0] for found in mine if found] for mine in ranks],
        "seconds": [[t["ended"] - t["began"] for t in mine if t["found"]] for mine in ended],
        "sus": [[usability(each["sus"])] if "sus" in each else [] for each in kept],
    }
    return {
        "participants": len(kept),
        "imitations": sum(len(each["takes"]) for each in kept),
        "tasks": sum(map(len, ended)),
        **{name: _interval(of_each, seed) for name, of_each in measured.items()},
    }


def _interval(of_each: Sequence[Sequence[float]], seed: int) -> dict[str, float] | None:
    """Return mean and interval of values, each participant's drawn together; None without any."""
    values = np.array([value for mine in of_each for value in mine], dtype=np.float64)
    if not len(values):
        return None
    who = np.repeat(np.arange(len(of_each)), [len(mine) for mine in of_each])
    means = resampled_means(values[:, None], who, np.random.default_rng(seed), 2000)
    low, high = np.quantile(means, [0.025, 0.975])
    return {"mean": float(values.mean()), "low": float(low), "high": float(high)}
