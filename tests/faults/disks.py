"""Disks that are full or cannot be written."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

AS_ROOT = [] if os.geteuid() == 0 else ["sudo", "-n"]


class Disk:
    """A file system in memory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def remount(self, options: str) -> None:
        """Change its size (``size=64k``) or forbid writing (``ro``)."""
        _mount("-o", f"remount,{options}", str(self.folder))


@contextmanager
def disk(folder: Path, size: str) -> Iterator[Disk]:
    """Mount a disk of a size such as ``64k`` within the block; skip where that is not allowed."""
    folder.mkdir()
    options = f"size={size},uid={os.getuid()},gid={os.getgid()}"
    try:
        _mount("-t", "tmpfs", "-o", options, "tmpfs", str(folder))
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("a disk of a given size can be mounted by root alone")
    try:
        yield Disk(folder)
    finally:
        subprocess.run([*AS_ROOT, "umount", "--lazy", str(folder)], check=True)


def _mount(*arguments: str) -> None:
    subprocess.run([*AS_ROOT, "mount", *arguments], check=True, capture_output=True)
