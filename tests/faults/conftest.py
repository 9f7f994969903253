"""Every test in this folder injects faults."""

from pathlib import Path

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.faults)


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """What an attack that succeeds would make."""
    return tmp_path / "canary"
