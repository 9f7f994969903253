"""A tower under a classification head: how towers are pre-trained."""

from collections.abc import Sequence

from torch import Tensor, nn

from vocalsketch.errors import ConfigError
from vocalsketch.models.tower import Tower, TowerGeometry, as_keras


class Classifier(nn.Module):
    """A tower, fully connected layers and one logit per class (paper, figures 4 and 5).

    Args:
        input_shape: (bins, frames) of a spectrogram.
        tower: Stages of the tower.
        classes: How many classes there are.
        hidden: Units of each hidden layer: 256 under languages, 64 under urban sounds.
        dropout: Dropout after each hidden layer.

    Raises:
        ConfigError: The stages do not fit the input, or a number is out of range.
    """

    def __init__(
        self,
        input_shape: tuple[int, int],
        tower: TowerGeometry,
        classes: int,
        hidden: Sequence[int] = (64,),
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if classes < 2:
            raise ConfigError(f"A classifier of {classes} classes: it needs at least 2.")
        if any(units < 1 for units in hidden):
            raise ConfigError(f"hidden is {list(hidden)}: each layer needs at least 1 unit.")
        if not 0.0 <= dropout < 1.0:
            raise ConfigError(f"dropout is {dropout}: it must be at least 0 and less than 1.")
        self.tower = Tower(input_shape, tower)
        layers: list[nn.Module] = []
        width = self.tower.width
        for units in hidden:
            layers += [as_keras(nn.Linear(width, units)), nn.ReLU(), nn.Dropout(dropout)]
            width = units
        self.head = nn.Sequential(*layers, as_keras(nn.Linear(width, classes)))

    def forward(self, spectrograms: Tensor) -> Tensor:
        """Map (clips, bins, frames) to logits (clips, classes)."""
        logits: Tensor = self.head(self.tower(spectrograms))
        return logits
