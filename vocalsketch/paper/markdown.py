"""The report as Markdown."""

from collections.abc import Iterable, Sequence

from vocalsketch.paper.comparisons import Comparison
from vocalsketch.paper.content import Content
from vocalsketch.paper.published import label
from vocalsketch.paper.table import Cell, printed
from vocalsketch.paper.wording import READING, difference, evidence, p_value, signed


def markdown(content: Content, figures: Iterable[str] = ()) -> str:
    """Return the whole report.

    Args:
        content: What it says.
        figures: File names of the figures, relative to the report.
    """
    parts = [
        f"# Table I, measured\n\n**{content.corpus}**\n\n{content.subtitle}.",
        *(f"> **Note.** {warning}" for warning in content.warnings),
        "## Mean reciprocal rank\n\n" + READING["table"],
        _table(content),
        *([content.left_out] if content.left_out else []),
        *(f"![{name}]({name})" for name in figures),
        "## The paper's statements\n\n" + READING["claims"],
        _claims(content),
        "## Tests\n\n" + READING["tests"],
        *(f"### {name}\n\n{_tests(found)}" for name, found in content.comparisons.items()),
        *_sounds(content),
    ]
    return "\n\n".join(parts) + "\n"


def _table(content: Content) -> str:
    categories = content.study.categories
    lines: list[Sequence[str]] = []
    for block in content.shown:
        lines += [
            (f"{block.name}: {row.label}", *(_cell(row.cells[each]) for each in categories))
            for row in block.rows
        ]
    if content.yardstick:
        lines.append(
            ("*Without learning*", *(printed(content.yardstick[each]) for each in categories))
        )
    lines.append(("*Chance*", *(f"{content.chance[each]:.3f}" for each in categories)))
    return _grid(("system", *categories), lines)


def _cell(cell: Cell) -> str:
    measured = printed(cell.measured)
    shown = f"**{measured}**" if cell.best else measured
    if cell.paper is None:
        return shown
    return f"{shown} (paper {printed(cell.paper)}{difference(cell)})"


def _claims(content: Content) -> str:
    return _grid(
        ("statement", "section", "here", "evidence", "by the paper's own table"),
        [
            (here.claim.statement, here.claim.section, here.verdict, evidence(here), paper.verdict)
            for here, paper in content.judgements
        ],
    )


def _tests(found: Sequence[Comparison]) -> str:
    return _grid(
        ("better?", "than", "category", "difference", "p", "p (Holm)", "95% over queries"),
        [
            (
                label(each.first),
                label(each.second),
                each.category,
                signed(each.test.difference),
                p_value(each.test.p),
                p_value(each.holm),
                f"{signed(each.interval.low)} to {signed(each.interval.high)}",
            )
            for each in found
        ],
    )


def _sounds(content: Content) -> list[str]:
    if content.study.best is None:
        return []
    lines = [
        (
            category,
            "; ".join(f"{each.sound} {each.mrr:.2f}" for each in content.hardest[category]),
            "; ".join(f"{each.sound} {each.mrr:.2f}" for each in content.easiest[category]),
        )
        for category in content.study.categories
    ]
    title = f"## Hardest and easiest sounds\n\nMRR of {label(content.study.best)}."
    return [title, _grid(("category", "hardest", "easiest"), lines)]


def _grid(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rows = [header, ["---"] * len(header), *lines]
    escaped = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in escaped)
