"""The report's files."""

import csv
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser

import pytest
from matplotlib.container import BarContainer

from vocalsketch.errors import ConfigError
from vocalsketch.paper.claims import judgements
from vocalsketch.paper.figures import figure_6
from vocalsketch.paper.measured import Measured, with_fusions
from vocalsketch.paper.report import p_value, warnings, write_report
from vocalsketch.paper.rows import GROUPS, row_of

DEMO = "corpus=demo (synthetic; not comparable with the paper)"


@pytest.fixture(scope="module")
def study(ranked):
    def ranks(*bells):
        return {"bells & <b>": list(bells), "everyday": list(bells[::-1])}

    rows = {
        "imisound": {
            seed: ranked(ranks(2, 3, 4 - seed), "imisound", "cosine") for seed in range(2)
        },
        "iminet_tied": {seed: ranked(ranks(1, 1, 3 + seed)) for seed in range(2)},
    }
    rows["contours"] = {0: ranked(ranks(1, 2, 2), "contours", "similarity")}
    return Measured(with_fusions(rows), notes=("Trained for <1> epoch.",))


@pytest.fixture(scope="module")
def written(study, tmp_path_factory):
    paths = write_report(tmp_path_factory.mktemp("reports") / "report", study)
    return {path.name: path for path in paths}


def test_every_row_beyond_the_paper_is_named_in_figure_6_and_looks_its_own_way(ranked):
    keys = GROUPS["beyond"]
    drawn = figure_6(Measured({key: {0: ranked({"bells": [1, 2]}, key)} for key in keys}))
    drawn.draw_without_rendering()
    (legend,) = drawn.legends
    assert {each.get_text() for each in legend.get_texts()} >= {row_of(key).name for key in keys}
    inside, (left, right) = legend.get_window_extent(), drawn.bbox.intervalx
    assert left <= inside.x0 < inside.x1 <= right
    bars = [each[0] for each in drawn.axes[0].containers if isinstance(each, BarContainer)]
    assert len({(bar.get_facecolor(), bar.get_hatch()) for bar in bars}) == len(keys)


class Page(HTMLParser):
    """The text of a page, its tags, and whether every tag is closed."""

    VOID = ("meta", "link", "br", "hr", "img", "input")

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.words = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def test_the_files_are_those_promised(written):
    assert sorted(written) == [
        "figure6.png",
        "figure6.svg",
        "ranks.png",
        "ranks.svg",
        "report.html",
        "report.md",
        "table1.csv",
        "table1.tex",
        "tests.csv",
    ]
    assert written["figure6.png"].read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "name", ["report.html", "report.md", "table1.tex", "figure6.svg", "ranks.svg"]
)
def test_every_page_says_that_the_demo_is_synthetic(written, name):
    assert DEMO in written[name].read_text()


def test_the_demo_corpus_and_the_notes_are_warned_of_first(study):
    demo, note = warnings(study)
    assert demo.startswith("The demo corpus is synthetic")
    assert note == "Trained for <1> epoch."


def test_the_page_is_well_formed_and_needs_no_other_file(written):
    page = Page(written["report.html"].read_text())
    assert page.open == []
    assert not [tag for tag, _ in page.tags if tag in ("link", "script", "img", "iframe")]
    addresses = [
        value
        for _, attributes in page.tags
        for name, value in attributes.items()
        if name in ("src", "href", "xlink:href") and not value.startswith("#")
    ]
    assert addresses == []
    assert "@import" not in written["report.html"].read_text()


def test_names_from_outside_are_escaped(written):
    text = written["report.html"].read_text()
    assert "<b>" not in text
    assert "bells &amp; &lt;b&gt;" in text
    assert "Trained for &lt;1&gt; epoch." in text
    assert r"bells \& <b>" in written["table1.tex"].read_text()


def test_a_figure_of_the_page_takes_the_pages_colour(written):
    assert "currentColor" in written["report.html"].read_text()
    ElementTree.fromstring(written["figure6.svg"].read_text())
    assert "currentColor" not in written["figure6.svg"].read_text()


def test_the_markdown_table_holds_the_measured_the_papers_and_the_difference(written):
    (line,) = re.findall(r"\| IMINET: Tied \|.*", written["report.md"].read_text())
    # The ranks are 1, 1, 3 with one seed (MRR 7/9) and 1, 1, 4 with the other (3/4).
    assert line == (
        "| IMINET: Tied | 0.764 ± 0.020 | 0.764 ± 0.020 (paper 0.158 ± 0.012, +0.606) |"
    )
    assert "| Chance | 0.521 | 0.521 |" in written["report.md"].read_text()
    assert (
        "| Beyond the paper: Contours, nothing learned | 0.667 | 0.667 |"
        in written["report.md"].read_text()
    )
    assert "not run" in re.findall(r"\| IMINET: Untied \|.*", written["report.md"].read_text())[0]


def test_the_csv_has_a_line_per_row_and_category(written):
    with written["table1.csv"].open(newline="") as handle:
        lines = list(csv.DictReader(handle))
    assert len(lines) == (17 + 1) * 2
    assert {line["corpus"] for line in lines} == {"demo"}
    tied = next(
        line for line in lines if (line["row"], line["category"]) == ("iminet_tied", "everyday")
    )
    assert float(tied["mean"]) == pytest.approx((7 / 9 + 3 / 4) / 2)
    assert (tied["seeds"], tied["paper_mean"]) == ("2", "0.158")
    assert float(tied["chance"]) == pytest.approx((1 + 1 / 2 + 1 / 3 + 1 / 4) / 4)
    untied = next(line for line in lines if line["row"] == "iminet_untied")
    assert (untied["mean"], untied["seeds"], untied["difference"]) == ("", "0", "")


def test_the_tests_are_in_their_csv(written):
    with written["tests.csv"].open(newline="") as handle:
        lines = list(csv.DictReader(handle))
    assert len(lines) == 6  # contours against tied IMINET too
    first = lines[0]
    assert (first["first"], first["second"]) == ("iminet_tied", "imisound")
    assert float(first["bootstrap_low"]) <= float(first["difference"])


def test_latex_has_as_many_cells_in_each_line(written):
    text = written["table1.tex"].read_text()
    assert "& 0.764 ± 0.020 (0.158, +0.606)" in text
    lines = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert len(lines) == 1 + (1 + 4 + 4) + 2  # IMISOUND, the IMINETs, and these fused
    assert {len(re.findall(r"(?<!\\)&", line)) for line in lines} == {3}


def test_the_best_of_a_block_is_bold_in_every_format(ranked, tmp_path):
    runs = {
        f"iminet_{key}": {0: ranked({"dogs": [rank]})} for key, rank in (("tied", 1), ("untied", 2))
    }
    write_report(tmp_path, Measured(runs))
    texts = [(tmp_path / name).read_text() for name in ("report.md", "table1.tex", "report.html")]
    for text, bold in zip(texts, ("**1.000**", r"\textbf{1.000}", 'best">1.000<'), strict=True):
        assert text.count(bold) == 1
        assert bold.replace("1.000", "0.500") not in text


@pytest.mark.parametrize("name", ["report.html", "report.md"])
def test_blocks_of_which_nothing_was_run_are_named_and_not_shown(written, name):
    text = written[name].read_text()
    said = "nothing was run of: TL-IMINET, TL-IMINET + IMISOUND."
    assert said in text
    assert "No pre-training + IMISOUND" not in text.replace(said, "")
    assert "Untied + Partial + Tied" in text  # of a block of which something was run


def test_claims_that_were_not_run_say_so_and_tied_against_acoustic_is_one(study):
    verdicts = judgements(study).set_index("statement")["here"]
    assert verdicts["Tied beats untied in every category"] == "not run"
    assert verdicts["IMISOUND beats tied IMINET on acoustic instruments"] == "not run"


def test_a_report_is_the_same_each_time(study, written, tmp_path):
    for path in write_report(tmp_path, study):
        assert path.read_bytes() == written[path.name].read_bytes(), path.name


def test_another_corpus_is_not_called_synthetic_but_its_sizes_are_told(ranked, tmp_path):
    measured = Measured({"iminet_tied": {0: ranked({"everyday": [1]}, corpus="vocalsketch")}})
    write_report(tmp_path, measured)
    text = (tmp_path / "report.md").read_text()
    assert "synthetic;" not in text
    assert "corpus=vocalsketch" in text
    assert "Candidates per category: everyday 4. The paper ranks among 20, 20, 60, 20" in text


def test_contours_alone_make_a_report(ranked, tmp_path):
    measured = Measured({"contours": {0: ranked({"everyday": [1]}, "contours", "similarity")}})
    names = {path.name for path in write_report(tmp_path, measured)}
    assert {"figure6.png", "ranks.png"} < names


def test_no_run_makes_no_report(tmp_path):
    with pytest.raises(ConfigError, match="No finished run"):
        write_report(tmp_path / "report", Measured({}))
    assert not (tmp_path / "report").exists()


def test_p_values_without_a_test_are_a_dash():
    assert p_value(float("nan")) == "-"
