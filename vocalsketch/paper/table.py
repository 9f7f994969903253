"""Table I, measured: mean and standard deviation over seeds beside the paper's."""

import math
from dataclasses import dataclass

from vocalsketch.paper.published import CATEGORIES, INITIALISATIONS, TABLE_I, PaperRow
from vocalsketch.paper.study import Study
from vocalsketch.retrieval.significance import Sample


@dataclass(frozen=True)
class Cell:
    """One system in one category.

    Attributes:
        measured: MRR over seeds; None where it was not run.
        paper: What the paper prints; None in a category that the paper does not have.
        best: Whether the mean, as printed, is the highest of its block in this category; never
            in a block of which one row alone was run.
    """

    measured: Sample | None
    paper: Sample | None
    best: bool

    @property
    def difference(self) -> float:
        """Measured minus printed mean; NaN where either is absent."""
        if self.measured is None or self.paper is None:
            return math.nan
        return self.measured.mean - self.paper.mean


@dataclass(frozen=True)
class Row:
    """A system, its label and its cells by category."""

    key: str
    label: str
    cells: dict[str, Cell]


@dataclass(frozen=True)
class Block:
    """Rows among which the best is marked."""

    name: str
    rows: tuple[Row, ...]

    @property
    def run(self) -> bool:
        """Whether any of its rows was run."""
        return any(cell.measured for row in self.rows for cell in row.cells.values())


def paper_sample(key: str, category: str) -> Sample | None:
    """Return what Table I prints for a row and category; None where it has no such cell."""
    for row in TABLE_I:
        if row.key == key and category in CATEGORIES:
            return Sample(*row.values[CATEGORIES.index(category)], INITIALISATIONS)
    return None


def table(study: Study) -> tuple[Block, ...]:
    """Return all 17 rows in the paper's five blocks, with the corpus's categories as columns."""
    names = list(dict.fromkeys(row.block for row in TABLE_I))
    return tuple(
        _block(study, name, [row for row in TABLE_I if row.block == name]) for name in names
    )


def printed(sample: Sample | None) -> str:
    """Return the mean and standard deviation as the paper prints them.

    >>> printed(Sample(0.4254, 0.0151, 10)), printed(Sample(0.5, math.nan, 1)), printed(None)
    ('0.425 ± 0.015', '0.500', 'not run')
    """
    if sample is None:
        return "not run"
    if math.isnan(sample.std):
        return f"{sample.mean:.3f}"
    return f"{sample.mean:.3f} ± {sample.std:.3f}"


def _block(study: Study, name: str, paper_rows: list[PaperRow]) -> Block:
    best = {each: _best(study, [row.key for row in paper_rows], each) for each in study.categories}
    return Block(
        name,
        tuple(
            Row(
                row.key,
                row.label,
                {
                    category: _cell(study, row.key, category, best[category])
                    for category in study.categories
                },
            )
            for row in paper_rows
        ),
    )


def _best(study: Study, keys: list[str], category: str) -> float:
    samples = [study.sample(key, category) for key in keys]
    means = [round(sample.mean, 3) for sample in samples if sample is not None]
    return max(means) if len(means) > 1 else math.nan


def _cell(study: Study, key: str, category: str, best: float) -> Cell:
    measured = study.sample(key, category)
    is_best = measured is not None and round(measured.mean, 3) == best
    return Cell(measured, paper_sample(key, category), is_best)
