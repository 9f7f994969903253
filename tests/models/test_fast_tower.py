"""The rearranged tower."""

import pytest
import torch

from vocalsketch.models.tower import ConvStage, Tower, TowerGeometry, fast_tower


@pytest.mark.parametrize("recurrent", [None, "gru", "lstm"])
@pytest.mark.parametrize("batch_norm", [True, False])
def test_it_is_the_same_function_as_the_tower(batch_norm: bool, recurrent: str | None) -> None:
    stages = [ConvStage(5, (3, 2), (2, 4)), ConvStage(4, (2, 3)), ConvStage(3, (2, 2), (2, 1))]
    tower = Tower((20, 31), TowerGeometry(stages, batch_norm, recurrent, units=3))
    tower(torch.randn(16, 20, 31))  # moves the running averages off their beginnings
    tower.eval()
    weights = {name: value.clone() for name, value in tower.state_dict().items()}
    clips = torch.randn(6, 20, 31)
    with torch.no_grad():
        torch.testing.assert_close(fast_tower(tower)(clips), tower(clips), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(tower.state_dict(), weights, rtol=0, atol=0)
