"""A pickle that runs something."""

import os
from collections.abc import Callable
from pathlib import Path


class Attack:
    """When it is unpickled it makes a folder."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return os.mkdir, (str(self.canary),)
