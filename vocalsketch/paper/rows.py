"""The rows of the reports, as ``rows.yaml`` lists them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from vocalsketch.errors import ConfigError
from vocalsketch.retrieval.results import Sample

CATEGORIES = ("acoustic instruments", "commercial synthesizers", "everyday", "single synthesizer")
CANDIDATES = (20, 20, 60, 20)  # sounds of the test half, in the order of CATEGORIES
INITIALISATIONS = 10  # models behind each printed mean and standard deviation

IMISOUND = "imisound"
FUSED = "+imisound"  # ends the key of a row that is fused with IMISOUND
IMINET = ("iminet_untied", "iminet_partial", "iminet_tied")
IMINET_FUSION = "iminet_fusion"
TL_IMINET = ("tl_none", "tl_conv1", "tl_conv12", "tl_conv123")
FIGURE_6 = (IMISOUND, "iminet_tied", "tl_conv123", f"iminet_tied{FUSED}", f"tl_conv123{FUSED}")
CONTOURS = "contours"
BEYOND = "Beyond the paper"
ADDED = "Added"  # the block of runs that a user adds


@dataclass(frozen=True)
class Row:
    """A system of the report."""

    key: str  # the row's name in this program
    label: str  # what the paper calls the configuration
    # the rows among which the best is in bold; empty for what is trained only because others start
    # from it
    block: str = ""
    config: str = ""  # the file in ``conf/`` that its runs are trained with
    system: str = ""  # name of a system that needs no training and is ranked as it is
    quick: Sequence[str] = ()  # what ``--quick`` changes of it, so that it trains for a few epochs
    # key of the config: the row whose run, of the same seed, it starts from, and which of its
    # checkpoints, ``best`` or ``last``, is given there
    needs: Mapping[str, Sequence[str]] = field(default_factory=dict)
    # the rows whose systems, of the same seed where they are trained, rank as one
    members: Sequence[str] = ()
    weights: Sequence[float] = ()  # of the members; without, the validation half weighs them
    backbone: str = ""  # whose published weights its runs begin with
    synthesised: bool = False  # whether it trains on synthesised imitations of any sounds
    fused: Sequence[str] = ()  # the rows whose runs, of the same seed, are fused
    # (mean, standard deviation) of the MRR for each of ``CATEGORIES``, by the paper
    printed: Sequence[Sequence[float]] = ()

    @property
    def name(self) -> str:
        """A name that is clear outside its block, such as ``IMINET Tied``."""
        system = self.block.split(" + ")[0]
        return f"{system} {self.label}" if "IMINET" in system else self.label

    @property
    def trained(self) -> bool:
        """Whether each seed gives another run."""
        return bool(self.config or self.members)


_tables: dict[str, dict[str, Any]] = yaml.safe_load(
    Path(__file__).with_name("rows.yaml").read_text(encoding="utf-8")
)
ROWS, QVIM = (
    tuple(Row(key, **entry) for key, entry in _tables[table].items())
    for table in ("table1", "qvim")
)
KNOWN = {row.key: row for row in (*ROWS, *QVIM)}
QVIM = (*QVIM, KNOWN["default"])
TABLE_I = tuple(row for row in ROWS if row.printed)
FUSION = "fusion"  # asks for every row that can be fused of those that are run
GROUPS: dict[str, Sequence[str]] = {
    "imisound": (IMISOUND,),
    "iminet": IMINET,
    "tl": TL_IMINET,
    "beyond": tuple(row.key for row in ROWS if row.block == BEYOND),
    FUSION: (),
}
QVIM_GROUPS = {"all": tuple(row.key for row in QVIM)}


def row_of(key: str) -> Row:
    """Return the row of that key; one that no entry describes is a run that a user added.

    >>> [row_of(key).name for key in ("iminet_tied", "tl_conv1+imisound", "imisound", "mine")]
    ['IMINET Tied', 'TL-IMINET Pre-trained Conv1 + IMISOUND', 'IMISOUND', 'mine']
    """
    return KNOWN.get(key) or Row(key, key, ADDED)


def chosen(
    names: Sequence[str],
    rows: Sequence[Row] = ROWS,
    groups: Mapping[str, Sequence[str]] = GROUPS,
) -> list[Row]:
    """Return the rows of a table to run, in its order.

    Args:
        names: Groups such as ``iminet``, or single rows such as ``tl_conv123``.
        rows: Of the table.
        groups: Of the table, by name.

    Raises:
        ConfigError: A name is unknown, or nothing is left to run.
    """
    single = {row.key: row for row in rows if row.block and not row.fused}
    known = dict.fromkeys([*groups, *single])
    for name in names:
        if name not in known:
            raise ConfigError(f"No row {name!r}: there are {', '.join(known)}.")
    asked = {key for name in names for key in groups.get(name, (name,))}
    if not asked:
        raise ConfigError(
            f"--rows is {','.join(names) or 'empty'}: name rows that are run, such as "
            f"{next(iter(single))}; a fusion needs runs to fuse."
        )
    return [row for key, row in single.items() if key in asked]


def printed_sample(key: str, category: str) -> Sample | None:
    """Return what Table I prints for a row and category; None where it has no such cell."""
    printed = row_of(key).printed
    if not printed or category not in CATEGORIES:
        return None
    mean, deviation = printed[CATEGORIES.index(category)]
    return Sample(mean, deviation, INITIALISATIONS)
