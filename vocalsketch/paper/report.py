"""The report on Table I, as files: one table for all of them, a template for each format."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from pandas import DataFrame

from vocalsketch.files import write_bytes
from vocalsketch.paper.claims import comparisons, judgements
from vocalsketch.paper.figures import INK, as_file, figures
from vocalsketch.paper.measured import Measured, shown, table
from vocalsketch.paper.rows import CANDIDATES, row_of
from vocalsketch.retrieval.results import corpus_tag

KINDS: tuple[Literal["svg", "png"], ...] = ("svg", "png")  # of pictures
SHOWN_SOUNDS = 3  # hardest and easiest of each category


def write_report(folder: Path, measured: Measured) -> list[Path]:
    """Write the report, each file whole or not at all.

    ``report.html`` is self-contained; ``report.md`` refers to the figures (PNG, and SVG beside
    them); ``table1.tex`` (needs booktabs), ``table1.csv`` and ``tests.csv`` hold the figures to go
    on with.

    Returns:
        The paths, ``report.html`` first.
    """
    lines, tests = table(measured), comparisons(measured)
    content = _content(measured, lines, tests)
    drawn = figures(measured)
    pictures = {f"{n}.{kind}": as_file(f, kind) for n, f in drawn.items() for kind in KINDS}
    inline = {name: _inline(pictures[f"{name}.svg"].decode()) for name in drawn}
    texts = {
        "report.html": _rendered("report.html.j2", content, inline),
        "report.md": _rendered("report.md.j2", content, {name: f"{name}.png" for name in drawn}),
        "table1.tex": latex(lines, content["corpus"], content["subtitle"]),
        "table1.csv": lines.to_csv(index=False, lineterminator="\n"),
        "tests.csv": tests.to_csv(index=False, lineterminator="\n"),
    }
    files = {**{name: text.encode() for name, text in texts.items()}, **pictures}
    for name, data in files.items():
        write_bytes(folder / name, data)
    return [folder / name for name in files]


def latex(lines: DataFrame, corpus: str, subtitle: str) -> str:
    """Return Table I, of ``table.table``'s lines, as a float whose caption names the corpus."""
    texts, best = shown(lines)
    mean_of_paper = (r"\n([\d.]+)[^,]*(.*)", r" (\1\2)")
    texts = texts.apply(lambda column: column.str.replace(*mean_of_paper, regex=True))
    caption = (
        f"MRR (mean ± standard deviation over seeds), {corpus}, {subtitle}. In brackets the "
        "paper's mean and the difference."
    )
    style = texts.style.format(escape="latex")
    for axis in (0, 1):
        style = style.format_index(escape="latex", axis=axis)
    style = style.apply(lambda _: np.where(best, "textbf:--rwrap;", ""), axis=None)
    text: str = style.to_latex(
        hrules=True,
        clines="skip-last;data",
        multirow_align="naive",
        environment="table*",
        position_float="centering",
        column_format="ll" + "c" * len(texts.columns),
        caption=caption,
    )
    return text


def p_value(p: float) -> str:
    """Return a p-value as the paper prints them; a dash where there is no test.

    >>> p_value(0.0117), p_value(0.2), p_value(float("nan"))
    ('1.17e-02', '0.20', '-')
    """
    if math.isnan(p):
        return "-"
    return f"{p:.2f}" if p >= 0.1 else f"{p:.2e}"


def warnings(measured: Measured) -> tuple[str, ...]:
    """Return what a reader must know before the figures."""
    sizes = ", ".join(f"{category} {size}" for category, size in measured.sizes.items())
    first = (
        f"Candidates per category: {sizes}. The paper ranks among {', '.join(map(str, CANDIDATES))}"
        ", of other sounds: its figures are not directly comparable with these."
    )
    if measured.reference.corpus == "demo":
        first = (
            "The demo corpus is synthetic: these figures show that the program works. They are "
            "not comparable with the paper's, which stand here for orientation only."
        )
    return measured.notes if measured.comparable else (first, *measured.notes)


def _content(measured: Measured, lines: DataFrame, tests: DataFrame) -> dict[str, Any]:
    """Return what every format says, as the templates name it."""
    texts, best = shown(lines)
    left_out = [name for name in dict.fromkeys(lines["block"]) if name not in texts.index.levels[0]]
    return {
        "corpus": corpus_tag(measured.reference.corpus),
        "subtitle": _subtitle(measured),
        "warnings": warnings(measured),
        "categories": measured.categories,
        "blocks": {
            block: [
                (label, list(zip(texts.loc[block, label], best.loc[block, label], strict=True)))
                for label in texts.loc[block].index
            ]
            for block in texts.index.unique(0)
        },
        "left_out": ", ".join(left_out),
        "claims": judgements(measured).to_numpy().tolist(),
        "tests": {
            group: _tests(of_group) for group, of_group in tests.groupby("group", sort=False)
        },
        "strongest": row_of(measured.strongest).name,
        "sounds": _sounds(measured),
    }


def _subtitle(measured: Measured) -> str:
    """Return what was ranked: half, split, queries and candidates."""
    reference = measured.reference
    queries = sum(len(each.queries) for each in reference.categories)
    candidates = sum(measured.sizes.values())
    seeds = len({seed for by_seed in measured.runs.values() for seed in by_seed})
    return (
        f"{reference.half} half of split {reference.split_name}: {queries} queries, "
        f"{candidates} candidates in {len(reference.categories)} categories; "
        f"{seeds} seed{'' if seeds == 1 else 's'}"
    )


def _tests(of_group: DataFrame) -> list[tuple[str, ...]]:
    """Return systems, category, difference, p, corrected p and interval of each test, as text."""
    return [
        (
            row_of(each.first).name,
            row_of(each.second).name,
            each.category,
            f"{each.difference:+.3f}",
            p_value(each.p),
            p_value(each.p_holm),
            f"{each.bootstrap_low:+.3f} to {each.bootstrap_high:+.3f}",
        )
        for each in of_group.itertuples()
    ]


def _sounds(measured: Measured) -> list[list[str]]:
    """Return (category, hardest, easiest sounds) of the strongest system."""
    lines = []
    for name in measured.categories:
        found = measured.per_sound(measured.strongest, name)
        ends = (found[:SHOWN_SOUNDS], found[::-1][:SHOWN_SOUNDS])
        told = ["; ".join(f"{each} {mrr:.2f} ({n})" for each, n, mrr in end) for end in ends]
        lines.append([name, *told])
    return lines


def _rendered(name: str, content: Mapping[str, Any], pictures: Mapping[str, str]) -> str:
    environment = Environment(
        loader=PackageLoader("vocalsketch.paper", "."),
        autoescape=name.endswith(".html.j2"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(name).render(**content, pictures=pictures)


def _inline(svg: str) -> Markup:
    """Return the drawing without its XML prologue, its text in the page's colour.

    It was drawn by this program and every name in it is escaped, so it is put in as it is.
    """
    drawing = svg[svg.index("<svg") :]
    return Markup(drawing.replace(INK, "currentColor"))  # noqa: S704 - see above
