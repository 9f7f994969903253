"""What the report on a study says, whatever the format."""

from dataclasses import dataclass

from vocalsketch.paper.claims import CLAIMS, Judgement, judge
from vocalsketch.paper.comparisons import Comparison, comparisons
from vocalsketch.paper.published import CANDIDATES, CATEGORIES
from vocalsketch.paper.sounds import SoundResult, sound_results
from vocalsketch.paper.study import Study
from vocalsketch.paper.table import Block, paper_sample, table
from vocalsketch.retrieval.results import corpus_tag
from vocalsketch.retrieval.significance import Sample

SHOWN_SOUNDS = 3  # hardest and easiest of each category


@dataclass(frozen=True, eq=False)
class Content:
    """What the report on a study says, worked out once.

    Attributes:
        study: The runs.
        corpus: The corpus as every page names it.
        warnings: What a reader must know before the figures.
        blocks: Table I.
        chance: The MRR of random scores by category.
        yardstick: The MRR without learning by category; empty where it was not measured.
        comparisons: Tests by group.
        judgements: Each claim judged by the study, and by the paper's own table; those of which
            something was not run come last.
        hardest: Of the best system, by category.
        easiest: Likewise, easiest first.
    """

    study: Study
    corpus: str
    warnings: tuple[str, ...]
    blocks: tuple[Block, ...]
    chance: dict[str, float]
    yardstick: dict[str, Sample]
    comparisons: dict[str, list[Comparison]]
    judgements: tuple[tuple[Judgement, Judgement], ...]
    hardest: dict[str, list[SoundResult]]
    easiest: dict[str, list[SoundResult]]

    @classmethod
    def of(cls, study: Study) -> "Content":
        """Work out everything that the report says."""
        sounds = {
            category: sound_results(study, study.best, category)
            for category in study.categories
            if study.best is not None
        }
        return cls(
            study=study,
            corpus=corpus_tag(study.reference.corpus),
            warnings=_warnings(study),
            blocks=table(study),
            chance=study.chance,
            yardstick=_yardstick(study),
            comparisons=comparisons(study),
            judgements=_judgements(study),
            hardest={name: found[:SHOWN_SOUNDS] for name, found in sounds.items()},
            easiest={name: found[::-1][:SHOWN_SOUNDS] for name, found in sounds.items()},
        )

    @property
    def shown(self) -> tuple[Block, ...]:
        """The blocks of which something was run."""
        return tuple(block for block in self.blocks if block.run)

    @property
    def left_out(self) -> str:
        """Which of the paper's blocks are not shown, in a sentence; empty where all are."""
        names = [block.name for block in self.blocks if not block.run]
        return f"Of the paper's table, nothing was run of: {', '.join(names)}." if names else ""

    @property
    def subtitle(self) -> str:
        """What was ranked: half, split, queries and candidates."""
        reference = self.study.reference
        queries = sum(len(each.queries) for each in reference.categories)
        candidates = sum(len(each.candidates) for each in reference.categories)
        seeds = sorted({seed for of_row in self.study.rows.values() for seed in of_row})
        return (
            f"{reference.half} half of split {reference.split_name}: {queries} queries, "
            f"{candidates} candidates in {len(reference.categories)} categories; "
            f"{len(seeds)} seed{'' if len(seeds) == 1 else 's'}"
        )


def _judgements(study: Study) -> tuple[tuple[Judgement, Judgement], ...]:
    found = [
        (judge(claim, study.sample, study.categories), judge(claim, paper_sample, CATEGORIES))
        for claim in CLAIMS
    ]
    return tuple(sorted(found, key=lambda each: each[0].verdict == "not run"))


def _yardstick(study: Study) -> dict[str, Sample]:
    if study.yardstick is None:
        return {}
    return {
        each.category: Sample.of([float((1.0 / each.ranks).mean())])
        for each in study.yardstick.categories
    }


def _warnings(study: Study) -> tuple[str, ...]:
    found = []
    if study.reference.corpus == "demo":
        found.append(
            "The demo corpus is synthetic: these figures show that the program works. They are "
            "not comparable with the paper's, which stand here for orientation only."
        )
    elif not study.comparable:
        sizes = ", ".join(
            f"{each.category} {len(each.candidates)}" for each in study.reference.categories
        )
        paper = ", ".join(str(number) for number in CANDIDATES)
        found.append(
            f"Candidates per category: {sizes}. The paper ranks among {paper}, of other sounds: "
            "its figures are not directly comparable with these."
        )
    return (*found, *study.notes)
