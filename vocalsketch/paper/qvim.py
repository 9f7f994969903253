"""The AES AIMLA challenge's table, measured: MRR of the exact item, NDCG of its class."""

import math
from pathlib import Path

from pandas import DataFrame

from vocalsketch.files import write_text
from vocalsketch.paper.measured import Measured
from vocalsketch.paper.rows import ADDED, QVIM, Row, row_of
from vocalsketch.retrieval.results import Sample, corpus_tag, mean_and_deviation
from vocalsketch.retrieval.scores import MEASURES, chances, measured

SHOWN = ("mrr", "ndcg")
# random scores and the best entry, which is not run here: MRR and NDCG
CHANCE, BEST = (0.0444, 0.337), (0.2932, 0.6468)
HEADINGS = ("system", "MRR here", "published", "NDCG here", "published", "seeds")
READING = (
    "Here: measured by these runs, mean ± standard deviation over seeds. Published: what the "
    "challenge reports of its own trainings, on QVIM-dev."
)


def table(runs: Measured) -> DataFrame:
    """Return a line per system: what was measured, NaN where nothing was, and what is published."""
    added = [row_of(key) for key in runs.runs if row_of(key).block == ADDED]
    lines = [_line(runs, row) for row in (*QVIM, *added)]
    here = dict(zip(SHOWN, chances(runs.reference.categories[0]), strict=True))
    for label, published, values in (("Best entry", BEST, {}), ("Chance", CHANCE, here)):
        told = {f"published_{name}": each for name, each in zip(SHOWN, published, strict=True)}
        lines.append({"row": label.split()[0].lower(), "label": label, "seeds": 0} | values | told)
    return DataFrame(lines)


def shown(lines: DataFrame) -> list[tuple[str, ...]]:
    """Return what is printed, line by line, as ``HEADINGS`` says."""
    return [
        (
            line["label"],
            *(text for name in SHOWN for text in _texts(line, name)),
            str(line["seeds"] or "-"),
        )
        for line in lines.to_dict("records")
    ]


def write_report(folder: Path, runs: Measured) -> list[Path]:
    """Write ``report.md`` and ``qvim.csv``, each whole or not at all; return the paths."""
    lines = table(runs)
    rule = tuple("-" * len(heading) for heading in HEADINGS)
    body = "\n".join(f"| {' | '.join(cells)} |" for cells in (HEADINGS, rule, *shown(lines)))
    texts = {
        "report.md": "\n\n".join((f"# {_title(runs)}", body, READING, *runs.notes)) + "\n",
        "qvim.csv": lines.to_csv(index=False, lineterminator="\n"),
    }
    for name, text in texts.items():
        write_text(folder / name, text)
    return [folder / name for name in texts]


def _line(runs: Measured, row: Row) -> dict[str, object]:
    found = [measured(each.categories[0]) for each in runs.runs.get(row.key, {}).values()]
    line: dict[str, object] = {"row": row.key, "label": row.label, "seeds": len(found)}
    for place, name in enumerate(SHOWN):
        values = [float(each.mean(axis=0)[MEASURES.index(name)]) for each in found]
        here = Sample.of(values) if values else Sample(math.nan, math.nan, 0)
        published = row.printed[place][0] if row.printed else math.nan
        line |= {name: here.mean, f"{name}_std": here.std, f"published_{name}": published}
    return line


def _texts(line: dict[str, float], name: str) -> tuple[str, str]:
    published = line[f"published_{name}"]
    here = mean_and_deviation(line[name], line[f"{name}_std"])
    return here, "-" if math.isnan(published) else f"{published:.4f}"


def _title(runs: Measured) -> str:
    scored = runs.reference.categories[0]
    sizes = f"{len(scored.queries)} queries, {len(scored.candidates)} items"
    return f"QVIM, {corpus_tag(runs.reference.corpus)}: {sizes}"
