"""What a visitor of the page may send."""

import math
from dataclasses import dataclass

from vocalsketch.errors import ConfigError
from vocalsketch.search.query import LONGEST

MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Limits:
    """Limits on what is uploaded or recorded.

    Attributes:
        seconds: Of a recording, at most.
        megabytes: Of a file, at most.

    Raises:
        ConfigError: One is out of range.
    """

    seconds: float = 30.0
    megabytes: float = 20.0

    def __post_init__(self) -> None:
        if not 0 < self.seconds <= LONGEST:
            raise ConfigError(
                f"--max-seconds is {self.seconds:g}: give more than 0 and at most {LONGEST:g}; the "
                "networks listen to 4 s."
            )
        if not (math.isfinite(self.megabytes) and self.megabytes > 0):
            raise ConfigError(f"--max-megabytes is {self.megabytes:g}: give more than 0.")

    @property
    def bytes(self) -> int:
        """The size of a file, at most."""
        return max(1, round(self.megabytes * MEGABYTE))
