"""What keeps a pattern from looking like noise; all of it off by default, as in the paper."""

import torch
from torch import Tensor


def energy(pattern: Tensor) -> Tensor:
    """Return the mean square (L2) of each pattern (patterns, bins, frames): (patterns,)."""
    return pattern.square().mean(dim=(1, 2))


def total_variation(pattern: Tensor) -> Tensor:
    """Return the mean step between neighbours in frequency plus that between those in time.

    Args:
        pattern: (patterns, bins, frames).

    Returns:
        (patterns,), not negative; 0 for a constant pattern.
    """
    return sum(
        (pattern.diff(dim=axis).abs().mean(dim=(1, 2)) for axis in (1, 2)),
        start=pattern.new_zeros(len(pattern)),
    )


def jittered(pattern: Tensor, reach: int, generator: torch.Generator) -> Tensor:
    """Return patterns (patterns, bins, frames) moved by up to ``reach`` bins and frames.

    One move for all of them, drawn anew at each call; what leaves at an edge enters at the other.
    """
    if reach == 0:
        return pattern
    moves = torch.randint(-reach, reach + 1, (2,), generator=generator).tolist()
    return pattern.roll(shifts=moves, dims=(1, 2))
