"""The training-free 2DFT, ranked by the same commands as systems that learn."""

from torch.optim import Optimizer

from vocalsketch.datamodules.batches import ClipBatch
from vocalsketch.domain import Side
from vocalsketch.features.cqt import CQT
from vocalsketch.features.front_end import FrontEnd
from vocalsketch.systems.baselines import TwoDFT
from vocalsketch.tasks.retrieval import RetrievalTask


class TwoDFTTask(RetrievalTask):
    """The 2-D Fourier transform of the data's features; ``trainer.max_epochs: 0`` ranks at once.

    Args:
        imitation_front_end: Taken from the data.
        recording_front_end: Taken from the data.
    """

    def __init__(
        self,
        imitation_front_end: FrontEnd | None = None,
        recording_front_end: FrontEnd | None = None,
    ) -> None:
        front_ends: dict[Side, FrontEnd] = {
            "imitation": imitation_front_end or CQT(),
            "recording": recording_front_end or CQT(),
        }
        super().__init__(TwoDFT(front_ends))
        self.automatic_optimization = False  # which would ask for an optimizer

    def training_step(self, batch: ClipBatch) -> None:
        """Learn nothing."""

    def configure_optimizers(self) -> list[Optimizer]:
        """Return none."""
        return []
