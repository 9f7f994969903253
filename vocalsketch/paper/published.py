"""What Table I of the paper prints (Zhang, Pardo and Duan, TASLP 2018, section VI-E)."""

from dataclasses import dataclass

CATEGORIES = ("acoustic instruments", "commercial synthesizers", "everyday", "single synthesizer")
CANDIDATES = (20, 20, 60, 20)  # sounds of the test half, in the order of CATEGORIES
INITIALISATIONS = 10  # models behind each mean and standard deviation

IMISOUND = "imisound"
FUSED = "+imisound"  # ends the key of a row that is fused with IMISOUND
IMINET = ("iminet_untied", "iminet_partial", "iminet_tied")
IMINET_FUSION = "iminet_fusion"
TL_IMINET = ("tl_none", "tl_conv1", "tl_conv12", "tl_conv123")
FIGURE_6 = (
    IMISOUND,
    "iminet_tied",
    "tl_conv123",
    f"iminet_tied{FUSED}",
    f"tl_conv123{FUSED}",
)


@dataclass(frozen=True)
class PaperRow:
    """A row of Table I.

    Attributes:
        key: The row's name in this program.
        block: The group of rows within which the paper prints the best in bold.
        label: What the paper calls the configuration.
        values: (mean, standard deviation) of the MRR for each of ``CATEGORIES``.
    """

    key: str
    block: str
    label: str
    values: tuple[tuple[float, float], ...]


def _row(key: str, block: str, label: str, *numbers: float) -> PaperRow:
    return PaperRow(key, block, label, tuple(zip(numbers[::2], numbers[1::2], strict=True)))


# fmt: off
TABLE_I = (
    _row("imisound", "Baseline", "IMISOUND",
         0.425, 0.015, 0.311, 0.007, 0.126, 0.003, 0.373, 0.012),
    _row("iminet_untied", "IMINET", "Untied",
         0.377, 0.019, 0.318, 0.020, 0.154, 0.014, 0.325, 0.020),
    _row("iminet_partial", "IMINET", "Partial",
         0.384, 0.027, 0.304, 0.015, 0.154, 0.015, 0.340, 0.031),
    _row("iminet_tied", "IMINET", "Tied",
         0.401, 0.028, 0.327, 0.019, 0.158, 0.012, 0.380, 0.018),
    _row("iminet_fusion", "IMINET", "Untied + Partial + Tied",
         0.438, 0.015, 0.343, 0.020, 0.175, 0.012, 0.382, 0.013),
    _row("tl_none", "TL-IMINET", "No pre-training",
         0.397, 0.027, 0.309, 0.021, 0.225, 0.023, 0.377, 0.025),
    _row("tl_conv1", "TL-IMINET", "Pre-trained Conv1",
         0.412, 0.033, 0.328, 0.027, 0.227, 0.020, 0.399, 0.036),
    _row("tl_conv12", "TL-IMINET", "Pre-trained Conv1/2",
         0.432, 0.024, 0.325, 0.023, 0.225, 0.016, 0.404, 0.036),
    _row("tl_conv123", "TL-IMINET", "Pre-trained Conv1/2/3",
         0.462, 0.017, 0.349, 0.015, 0.246, 0.016, 0.390, 0.027),
    _row("iminet_untied+imisound", "IMINET + IMISOUND", "Untied + IMISOUND",
         0.470, 0.025, 0.356, 0.011, 0.168, 0.010, 0.402, 0.022),
    _row("iminet_partial+imisound", "IMINET + IMISOUND", "Partial + IMISOUND",
         0.496, 0.018, 0.346, 0.025, 0.173, 0.014, 0.417, 0.025),
    _row("iminet_tied+imisound", "IMINET + IMISOUND", "Tied + IMISOUND",
         0.504, 0.014, 0.355, 0.016, 0.171, 0.009, 0.452, 0.020),
    _row("iminet_fusion+imisound", "IMINET + IMISOUND", "Untied + Partial + Tied + IMISOUND",
         0.520, 0.020, 0.371, 0.013, 0.188, 0.007, 0.447, 0.012),
    _row("tl_none+imisound", "TL-IMINET + IMISOUND", "No pre-training + IMISOUND",
         0.490, 0.017, 0.339, 0.017, 0.199, 0.013, 0.429, 0.025),
    _row("tl_conv1+imisound", "TL-IMINET + IMISOUND", "Pre-trained Conv1 + IMISOUND",
         0.513, 0.029, 0.352, 0.026, 0.198, 0.014, 0.441, 0.023),
    _row("tl_conv12+imisound", "TL-IMINET + IMISOUND", "Pre-trained Conv1/2 + IMISOUND",
         0.519, 0.014, 0.353, 0.016, 0.209, 0.008, 0.429, 0.028),
    _row("tl_conv123+imisound", "TL-IMINET + IMISOUND", "Pre-trained Conv1/2/3 + IMISOUND",
         0.534, 0.015, 0.367, 0.014, 0.218, 0.007, 0.413, 0.021),
)
# fmt: on


def label(key: str) -> str:
    """Return a row's name that is clear outside its block, such as ``IMINET Tied``.

    >>> label("iminet_tied"), label("tl_conv1+imisound"), label("imisound")
    ('IMINET Tied', 'TL-IMINET Pre-trained Conv1 + IMISOUND', 'IMISOUND')
    """
    row = next(row for row in TABLE_I if row.key == key)
    system = row.block.split(" + ")[0]
    return row.label if key == IMISOUND else f"{system} {row.label}"
