"""Table I as LaTeX (needs the booktabs package)."""

from vocalsketch.paper.content import Content
from vocalsketch.paper.table import Block, Cell, printed
from vocalsketch.paper.wording import difference

SPECIAL = str.maketrans(
    {
        "&": r"\&",
        "%": r"\%",
        "#": r"\#",
        "_": r"\_",
        "$": r"\$",
        "{": r"\{",
        "}": r"\}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "\\": r"\textbackslash{}",
        "±": r"$\pm$",
    }
)


def latex(content: Content) -> str:
    """Return a table float whose caption names the corpus."""
    categories = content.study.categories
    closing = []
    if content.yardstick:
        values = [printed(content.yardstick[each]) for each in categories]
        closing.append(_line("", "Without learning", *values))
    closing.append(_line("", "Chance", *(f"{content.chance[each]:.3f}" for each in categories)))
    body = "\\midrule\n".join(_block(block, categories) for block in content.shown)
    return (
        "\\begin{table*}\n\\centering\n\\small\n"
        f"\\caption{{MRR (mean $\\pm$ standard deviation over seeds), {_escaped(content.corpus)}, "
        f"{_escaped(content.subtitle)}. In brackets the paper's mean and the difference.}}\n"
        f"\\begin{{tabular}}{{ll{'c' * len(categories)}}}\n\\toprule\n"
        f"{_line('', 'Configuration', *categories)}\\midrule\n"
        f"{body}\\midrule\n{''.join(closing)}\\bottomrule\n"
        "\\end{tabular}\n\\end{table*}\n"
    )


def _block(block: Block, categories: tuple[str, ...]) -> str:
    lines = []
    for number, row in enumerate(block.rows):
        name = _escaped(block.name if number == 0 else "")
        cells = [_cell(row.cells[category]) for category in categories]
        lines.append(f"{' & '.join([name, _escaped(row.label), *cells])} \\\\\n")
    return "".join(lines)


def _cell(cell: Cell) -> str:
    measured = _escaped(printed(cell.measured))
    shown = f"\\textbf{{{measured}}}" if cell.best else measured
    if cell.paper is None:
        return shown
    return f"{shown} ({cell.paper.mean:.3f}{difference(cell).replace('-', '$-$')})"


def _line(*cells: str) -> str:
    return f"{' & '.join(_escaped(cell) for cell in cells)} \\\\\n"


def _escaped(text: str) -> str:
    return text.translate(SPECIAL)
