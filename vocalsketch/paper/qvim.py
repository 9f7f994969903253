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
# MRR and NDCG that are published of what is not run here
OTHERS = (
    Row("best", "Best entry", printed=((0.2932,), (0.6468,))),
    Row("chance", "Chance", printed=((0.0444,), (0.337,))),
)
READING = (
    "Here: measured by these runs, mean ± standard deviation over seeds. Published: what the "
    "challenge reports of its own trainings, on QVIM-dev."
)


def table(runs: Measured) -> DataFrame:
    """Return a line per system: what was measured, NaN where nothing was, and what is published."""
    added = [row_of(key) for key in runs.runs if row_of(key).block == ADDED]
    lines = DataFrame([_line(runs, row) for row in (*QVIM, *added, *OTHERS)])
    lines.loc[len(lines) - 1, list(SHOWN)] = chances(runs.reference.categories[0])
    return lines


def shown(lines: DataFrame) -> list[tuple[str, ...]]:
    """Return what is printed, line by line, the first of headings."""
    columns = [("system", *lines["label"])]
    for name in SHOWN:
        pairs = lines[[name, f"{name}_std"]].to_numpy()
        published = lines[f"published_{name}"].map("{:.4f}".format).replace("nan", "-")
        columns.append((f"{name.upper()} here", *(mean_and_deviation(*pair) for pair in pairs)))
        columns.append(("published", *published))
    columns.append(("seeds", *(str(count or "-") for count in lines["seeds"])))
    return list(zip(*columns, strict=True))


def write_report(folder: Path, runs: Measured) -> list[Path]:
    """Write ``report.md`` and ``qvim.csv``, each whole or not at all; return the paths."""
    lines, scored = table(runs), runs.reference.categories[0]
    sizes = f"{len(scored.queries)} queries, {len(scored.candidates)} items"
    title = f"# QVIM, {corpus_tag(runs.reference.corpus)}: {sizes}"
    headings, *others = shown(lines)
    rows = (headings, ["---"] * len(headings), *others)
    body = "\n".join(f"| {' | '.join(cells)} |" for cells in rows)
    texts = {
        "report.md": "\n\n".join((title, body, READING, *runs.notes)) + "\n",
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
