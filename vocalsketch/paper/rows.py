"""The rows of the report: Table I as the paper prints it, and this program's own beside it.

Zhang, Pardo and Duan, TASLP 2018, section VI-E. A new row is one more entry of ``ROWS``.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from vocalsketch.domain import SIDES
from vocalsketch.errors import ConfigError
from vocalsketch.retrieval.significance import Sample

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
ENSEMBLE = "ensemble"
BEYOND = "Beyond the paper"
ADDED = "Added"  # the block of runs that a user adds


@dataclass(frozen=True)
class Row:
    """A system of the report.

    Attributes:
        key: The row's name in this program.
        block: The rows among which the best is in bold; empty for what is trained only because
            others start from it.
        label: What the paper calls the configuration.
        config: The file in ``conf/`` that its runs are trained with.
        system: Name of a system that needs no training and is ranked as it is.
        quick: What ``--quick`` changes of it, so that it trains for a few epochs.
        needs: Key of the config: the row whose run, of the same seed, it starts from, and which
            of its checkpoints, ``best`` or ``last``, is given there.
        members: The rows whose systems, of the same seed where they are trained, are weighed by
            the validation half and rank as one.
        backbone: Whose published weights its runs begin with.
        fused: The rows whose runs, of the same seed, are fused.
        printed: (mean, standard deviation) of the MRR for each of ``CATEGORIES``, by the paper.
    """

    key: str
    block: str
    label: str
    config: str = ""
    system: str = ""
    quick: tuple[str, ...] = ()
    needs: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    members: tuple[str, ...] = ()
    backbone: str = ""
    fused: tuple[str, ...] = ()
    printed: tuple[tuple[float, float], ...] = ()

    @property
    def name(self) -> str:
        """A name that is clear outside its block, such as ``IMINET Tied``."""
        system = self.block.split(" + ")[0]
        return f"{system} {self.label}" if "IMINET" in system else self.label

    @property
    def trained(self) -> bool:
        """Whether each seed gives another run."""
        return bool(self.config or self.members)


PRETRAINING = ("pretrain_voxforge", "pretrain_urbansound8k")
TRANSFER = {
    f"model.init_args.transfer.{side}": (key, "last")
    for side, key in zip(SIDES, PRETRAINING, strict=True)
}
ONE_EPOCH, TWO_EPOCHS = ("--trainer.max_epochs=1",), ("--trainer.max_epochs=2",)
SYNTHESISED_QUICK = (*ONE_EPOCH, "--data.init_args.procedural=64", "--data.init_args.people=1")


def _pairs(*numbers: float) -> tuple[tuple[float, float], ...]:
    return tuple(zip(numbers[::2], numbers[1::2], strict=True))


def _iminet(key: str, label: str, *numbers: float) -> Row:
    quick = ("--trainer.max_epochs=5",)
    return Row(key, "IMINET", label, key, quick=quick, printed=_pairs(*numbers))


def _tl(key: str, label: str, *numbers: float) -> Row:
    needs = {} if key == "tl_none" else TRANSFER
    config, printed = f"tl_iminet_{key.removeprefix('tl_')}", _pairs(*numbers)
    return Row(key, "TL-IMINET", label, config, quick=TWO_EPOCHS, needs=needs, printed=printed)


def _fused(part: str, label: str, *numbers: float) -> Row:
    block = f"{'TL-' if part in TL_IMINET else ''}IMINET + IMISOUND"
    fused, printed = (part, IMISOUND), _pairs(*numbers)
    return Row(f"{part}{FUSED}", block, f"{label} + IMISOUND", fused=fused, printed=printed)


# fmt: off
ROWS = (
    Row(PRETRAINING[0], "", "Pre-training: languages", PRETRAINING[0], quick=ONE_EPOCH),
    Row(PRETRAINING[1], "", "Pre-training: urban sounds", PRETRAINING[1], quick=ONE_EPOCH),
    Row(IMISOUND, "Baseline", "IMISOUND", IMISOUND,
        quick=("--model.init_args.layer_epochs=2", "--trainer.max_epochs=8"),
        printed=_pairs(0.425, 0.015, 0.311, 0.007, 0.126, 0.003, 0.373, 0.012)),
    _iminet("iminet_untied", "Untied", 0.377, 0.019, 0.318, 0.020, 0.154, 0.014, 0.325, 0.020),
    _iminet("iminet_partial", "Partial", 0.384, 0.027, 0.304, 0.015, 0.154, 0.015, 0.340, 0.031),
    _iminet("iminet_tied", "Tied", 0.401, 0.028, 0.327, 0.019, 0.158, 0.012, 0.380, 0.018),
    Row(IMINET_FUSION, "IMINET", "Untied + Partial + Tied", fused=IMINET,
        printed=_pairs(0.438, 0.015, 0.343, 0.020, 0.175, 0.012, 0.382, 0.013)),
    _tl("tl_none", "No pre-training", 0.397, 0.027, 0.309, 0.021, 0.225, 0.023, 0.377, 0.025),
    _tl("tl_conv1", "Pre-trained Conv1",
        0.412, 0.033, 0.328, 0.027, 0.227, 0.020, 0.399, 0.036),
    _tl("tl_conv12", "Pre-trained Conv1/2",
        0.432, 0.024, 0.325, 0.023, 0.225, 0.016, 0.404, 0.036),
    _tl("tl_conv123", "Pre-trained Conv1/2/3",
        0.462, 0.017, 0.349, 0.015, 0.246, 0.016, 0.390, 0.027),
    _fused("iminet_untied", "Untied", 0.470, 0.025, 0.356, 0.011, 0.168, 0.010, 0.402, 0.022),
    _fused("iminet_partial", "Partial", 0.496, 0.018, 0.346, 0.025, 0.173, 0.014, 0.417, 0.025),
    _fused("iminet_tied", "Tied", 0.504, 0.014, 0.355, 0.016, 0.171, 0.009, 0.452, 0.020),
    _fused("iminet_fusion", "Untied + Partial + Tied",
           0.520, 0.020, 0.371, 0.013, 0.188, 0.007, 0.447, 0.012),
    _fused("tl_none", "No pre-training",
           0.490, 0.017, 0.339, 0.017, 0.199, 0.013, 0.429, 0.025),
    _fused("tl_conv1", "Pre-trained Conv1",
           0.513, 0.029, 0.352, 0.026, 0.198, 0.014, 0.441, 0.023),
    _fused("tl_conv12", "Pre-trained Conv1/2",
           0.519, 0.014, 0.353, 0.016, 0.209, 0.008, 0.429, 0.028),
    _fused("tl_conv123", "Pre-trained Conv1/2/3",
           0.534, 0.015, 0.367, 0.014, 0.218, 0.007, 0.413, 0.021),
    Row(CONTOURS, BEYOND, "Contours, nothing learned", system=CONTOURS),
    Row("default", BEYOND, "Default system, nothing trained here", system="default"),
    Row("dual_scratch", BEYOND, "Dual encoder, this corpus alone", "dual_scratch",
        quick=TWO_EPOCHS),
    Row("dual_pretrain", BEYOND, "Dual encoder, synthesised imitations alone", "dual_pretrain",
        quick=SYNTHESISED_QUICK),
    Row("dual", BEYOND, "Dual encoder, synthesised imitations, then this corpus", "dual",
        quick=TWO_EPOCHS, needs={"model.init_args.start": ("dual_pretrain", "best")}),
    Row(ENSEMBLE, BEYOND, "Ensemble of that and contours", members=("dual", CONTOURS)),
    *(Row(f"dual_{name}", BEYOND, f"Dual encoder on {name}, frozen, synthesised imitations alone",
          f"dual_{name}", quick=SYNTHESISED_QUICK, backbone=name) for name in ("aisfx", "mn10")),
)
CHALLENGE = "AES AIMLA challenge 2025"
_MN_QUICK = (*ONE_EPOCH, "--trainer.limit_train_batches=20")
QVIM = (  # printed: MRR and NDCG, of which no deviation is published
    Row("qvim_2dft", CHALLENGE, "2DFT, nothing learned", system="two_dft",
        printed=_pairs(0.1262, math.nan, 0.4793, math.nan)),
    Row("qvim_mn", CHALLENGE, "Baseline (MobileNet), mended", "qvim_mn", quick=_MN_QUICK,
        printed=_pairs(0.2726, math.nan, 0.6463, math.nan)),
    Row("qbv_mn", CHALLENGE, "DCASE 2024 recipe (MobileNet)", "qbv_mn", quick=_MN_QUICK),
    Row("dual_qvim", CHALLENGE, "Dual encoder", "dual_qvim", quick=TWO_EPOCHS),
    next(row for row in ROWS if row.key == "default"),
)
# fmt: on
KNOWN = {row.key: row for row in (*ROWS, *QVIM)}
TABLE_I = tuple(row for row in ROWS if row.printed)
FUSION = "fusion"  # asks for every row that can be fused of those that are run
GROUPS: dict[str, tuple[str, ...]] = {
    "imisound": (IMISOUND,),
    "iminet": IMINET,
    "tl": TL_IMINET,
    "beyond": tuple(row.key for row in ROWS if row.block == BEYOND and not row.fused),
    FUSION: (),
}
QVIM_GROUPS = {"all": tuple(row.key for row in QVIM)}


def row_of(key: str) -> Row:
    """Return the row of that key; one that no entry describes is a run that a user added.

    >>> [row_of(key).name for key in ("iminet_tied", "tl_conv1+imisound", "imisound", "mine")]
    ['IMINET Tied', 'TL-IMINET Pre-trained Conv1 + IMISOUND', 'IMISOUND', 'mine']
    """
    return KNOWN.get(key) or Row(key, ADDED, key)


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
    return Sample(*printed[CATEGORIES.index(category)], INITIALISATIONS)
