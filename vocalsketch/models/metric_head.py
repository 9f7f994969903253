"""The fully connected network that tells how likely an imitation meant a recording."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vocalsketch.errors import ConfigError, refuse_below
from vocalsketch.models.tower import as_keras

PAIRS_PER_BLOCK = 8192  # keeps the widest activation of a block within a CPU's cache


class MetricHead(nn.Module):
    """Metric learning by a fully connected network (paper, sections IV-C and V-C).

    Its first layer is linear in the concatenation, W[a; b] = Wa a + Wb b. It is therefore held
    as two halves, and each clip's *share* (Wa a, or Wb b plus the bias) is computed once however
    many pairs the clip is in.

    Args:
        imitation_width: Length of an imitation's embedding.
        recording_width: Length of a recording's embedding.
        hidden: Units of each hidden layer, at least one.
        dropout: Probability of dropping a hidden unit in training.
    """

    def __init__(
        self,
        imitation_width: int,
        recording_width: int,
        hidden: Sequence[int] = (432, 32),
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        refuse_below(1, hidden=min(hidden, default=0))
        if not 0.0 <= dropout < 1.0:
            raise ConfigError(f"dropout is {dropout}: it must be at least 0 and less than 1.")
        self.imitation_share = nn.Linear(imitation_width, hidden[0], bias=False)
        self.recording_share = nn.Linear(recording_width, hidden[0])
        layers: list[nn.Module] = []
        for width, following in zip(hidden, [*hidden[1:], 1], strict=True):
            layers += [nn.ReLU(), nn.Dropout(dropout), nn.Linear(width, following)]
        self.rest = nn.Sequential(*layers)
        # Glorot-uniform weights, as of one matrix over the concatenation; zero biases
        bound = (6.0 / (imitation_width + recording_width + hidden[0])) ** 0.5
        nn.init.uniform_(self.imitation_share.weight, -bound, bound)
        nn.init.uniform_(self.recording_share.weight, -bound, bound)
        nn.init.zeros_(self.recording_share.bias)
        for layer in self.rest:
            if isinstance(layer, nn.Linear):
                as_keras(layer)

    def forward(self, imitations: Tensor, recordings: Tensor) -> Tensor:
        """Map embeddings (pairs, widths) to logits (pairs,)."""
        return self.score(self.imitation_share(imitations), self.recording_share(recordings))

    def score(self, imitation_shares: Tensor, recording_shares: Tensor) -> Tensor:
        """Map shares of broadcastable shapes (..., hidden[0]) to logits (...)."""
        logits: Tensor = self.rest(imitation_shares + recording_shares)
        return logits.squeeze(-1)

    def score_matrix(self, imitation_shares: Tensor, recording_shares: Tensor) -> Tensor:
        """Score every imitation against every recording.

        Args:
            imitation_shares: (queries, hidden[0]).
            recording_shares: (candidates, hidden[0]).

        Returns:
            Logits (queries, candidates), higher is closer.
        """
        if torch.compiler.is_exporting():  # to a graph without loops
            return self.score(imitation_shares.unsqueeze(1), recording_shares)
        rows = max(1, PAIRS_PER_BLOCK // max(1, len(recording_shares)))
        blocks = [
            self.score(block.unsqueeze(1), recording_shares)
            for block in torch.split(imitation_shares, rows)
        ]
        if not blocks:
            return imitation_shares.new_zeros((0, len(recording_shares)))
        return torch.cat(blocks)
