"""What a classifier takes for what."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class Confusion:
    """Counts of clips by true and predicted class."""

    classes: tuple[str, ...]  # names, by index
    counts: NDArray[np.int64]  # (true class, predicted class) integers

    @property
    def clips(self) -> int:
        """How many clips were classified."""
        return int(self.counts.sum())

    @property
    def accuracy(self) -> float:
        """Share of clips that were classified rightly.

        >>> Confusion(("a", "b"), np.array([[3, 1], [0, 0]])).accuracy
        0.75
        """
        return float(np.trace(self.counts) / self.clips)

    @property
    def chance(self) -> float:
        """Accuracy of naming the class with the most clips every time."""
        return float(self.counts.sum(axis=1).max() / self.clips)

    @property
    def p_value(self) -> float:
        """How likely at least this many right answers are if each is right with ``chance``.

        A binomial test, one-sided. It takes clips for independent; clips of one speaker or of
        one recording are less than that, and the true value is larger.

        >>> Confusion(("a", "b"), np.array([[2, 0], [0, 2]])).p_value
        0.0625
        """
        from scipy.stats import binomtest  # here, as it is slow to import and seldom needed

        right = int(np.trace(self.counts))
        return float(binomtest(right, self.clips, self.chance, alternative="greater").pvalue)

    @property
    def per_class(self) -> dict[str, float]:
        """Share of each class's clips that were classified rightly; classes without are absent."""
        totals = self.counts.sum(axis=1)
        return {
            name: float(self.counts[index, index] / totals[index])
            for index, name in enumerate(self.classes)
            if totals[index]
        }

    def to_dict(self) -> dict[str, object]:
        """Return plain values, as a result file holds them."""
        return {
            "clips": self.clips,
            "accuracy": self.accuracy,
            "chance": self.chance,
            "p_value": self.p_value,
            "per_class": self.per_class,
            "classes": list(self.classes),
            "confusion": self.counts.tolist(),
        }

    def table(self, title: str) -> Table:
        """Return accuracy per class and overall, to be printed."""
        table = Table(title=title, caption="chance: naming the most frequent class every time")
        for column in ("class", "clips", "accuracy"):
            table.add_column(column, justify="left" if column == "class" else "right")
        totals = dict(zip(self.classes, self.counts.sum(axis=1).tolist(), strict=True))
        for name, accuracy in self.per_class.items():
            table.add_row(name, str(totals[name]), f"{accuracy:.3f}")
        table.add_section()
        table.add_row("all", str(self.clips), f"{self.accuracy:.3f}")
        table.add_row("chance", "", f"{self.chance:.3f}")
        table.add_row("p (binomial)", "", f"{self.p_value:.2g}")
        return table

    def picture(self, title: str) -> "Figure":
        """Draw the counts, each row shaded by its shares."""
        from matplotlib.figure import Figure  # here, as it is slow to import and seldom needed

        size = 2.5 + 0.55 * len(self.classes)
        figure = Figure(figsize=(size + 1, size), layout="constrained")
        axes = figure.subplots()
        totals = self.counts.sum(axis=1, keepdims=True)
        shares = self.counts / np.maximum(totals, 1)
        image = axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
        for (row, column), count in np.ndenumerate(self.counts):
            if count:
                colour = "white" if shares[row, column] > 0.6 else "black"
                axes.text(column, row, str(count), ha="center", va="center", color=colour)
        ticks = np.arange(len(self.classes))
        axes.set_xticks(ticks, self.classes, rotation=45, ha="right")
        axes.set_yticks(ticks, self.classes)
        axes.set(xlabel="predicted class", ylabel="true class", title=title)
        figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.8)
        return figure


def summed(confusions: Sequence[Confusion]) -> Confusion:
    """Return the counts of several evaluations of the same classes together."""
    counts = np.sum([each.counts for each in confusions], axis=0)
    return Confusion(confusions[0].classes, counts)
