"""The Siamese network: sizes from the paper, sharing, and shares against whole pairs."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from pydantic import TypeAdapter
from small_networks import siamese
from torch import nn

from vocalsketch.errors import ConfigError
from vocalsketch.models.tower import ConvStage, MetricHead, TowerGeometry
from vocalsketch.systems import load_system
from vocalsketch.systems.siamese import Siamese, SiameseGeometry

IMINET = TowerGeometry(
    [
        ConvStage(12, (3, 3), (2, 4)),
        ConvStage(12, (3, 3), (2, 4)),
        ConvStage(6, (3, 3)),
        ConvStage(6, (3, 3)),
    ]
)
TL_IMITATION = TowerGeometry(
    [
        ConvStage(48, (6, 6), (2, 2)),
        ConvStage(48, (6, 6), (2, 2)),
        ConvStage(48, (6, 6), (1, 2)),
    ]
)
TL_RECORDING = TowerGeometry(
    [ConvStage(24, (5, 5), (2, 4)), ConvStage(48, (5, 5), (2, 4)), ConvStage(48, (5, 5))]
)


def iminet(sharing: str, **changes: object) -> SiameseGeometry:
    return SiameseGeometry((72, 129), (72, 129), IMINET, IMINET, sharing, **changes)


def tl_iminet(batch_norm: bool) -> SiameseGeometry:
    return SiameseGeometry(
        (39, 482),
        (128, 128),
        TowerGeometry(TL_IMITATION.stages, batch_norm),
        TowerGeometry(TL_RECORDING.stages, batch_norm),
        hidden=(108,),
        dropout=0.0,
    )


def parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(
    ("geometry", "count"),
    [
        (iminet("tied"), 203_357),
        (iminet("partial"), 204_785),
        (iminet("untied"), 205_769),
        (tl_iminet(batch_norm=False), 799_417),
        (tl_iminet(batch_norm=True), 799_945),
    ],
)
def test_parameter_counts_are_the_papers(geometry: SiameseGeometry, count: int) -> None:
    learned = parameters(siamese(geometry))
    assert learned == count


def test_sizes_after_each_stage_are_the_papers() -> None:
    assert IMINET.sizes((72, 129)) == [(12, 35, 31), (12, 16, 7), (6, 14, 5), (6, 12, 3)]
    assert TL_IMITATION.sizes((39, 482)) == [(48, 17, 238), (48, 6, 116), (48, 1, 55)]
    assert TL_RECORDING.sizes((128, 128)) == [(24, 62, 31), (48, 29, 6), (48, 25, 2)]
    assert TL_IMITATION.width((39, 482)) + TL_RECORDING.width((128, 128)) == 5040


def small(sharing: str = "untied") -> Siamese:
    torch.manual_seed(0)
    tower = TowerGeometry([ConvStage(3, (3, 3), (2, 2)), ConvStage(2, (2, 2))])
    geometry = SiameseGeometry((10, 12), (10, 12), tower, tower, sharing, 1, (8, 4), 0.0)
    return siamese(geometry).double()


def test_distinct_clips_give_the_loss_and_gradients_of_pair_by_pair() -> None:
    model = small()
    imitations = torch.randn(3, 10, 12, dtype=torch.double)
    recordings = torch.randn(2, 10, 12, dtype=torch.double)
    first, second = torch.tensor([0, 0, 1, 2, 2]), torch.tensor([0, 1, 1, 0, 1])
    labels = torch.tensor([1.0, 0, 1, 0, 1], dtype=torch.double)
    criterion = nn.BCEWithLogitsLoss()

    criterion(model(imitations, recordings, first, second), labels).backward()
    shared = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad()
    pairs = torch.arange(5)
    criterion(model(imitations[first], recordings[second], pairs, pairs), labels).backward()

    for once, paired in zip(shared, model.parameters(), strict=True):
        torch.testing.assert_close(once, paired.grad)


def test_head_on_shares_equals_one_matrix_over_the_concatenation() -> None:
    torch.manual_seed(1)
    head = MetricHead(5, 7, hidden=(6,), dropout=0.0)
    a, b = torch.randn(4, 5), torch.randn(4, 7)
    weight = torch.cat([head.imitation_share.weight, head.recording_share.weight], dim=1)
    hidden = torch.relu(torch.cat([a, b], dim=1) @ weight.T + head.recording_share.bias)
    torch.testing.assert_close(head(a, b), head.rest[-1](hidden).squeeze(-1))


@pytest.mark.parametrize(("queries", "candidates"), [(0, 3), (3, 1), (40, 500)])
def test_score_matrix_equals_scoring_each_pair(queries: int, candidates: int) -> None:
    torch.manual_seed(2)
    head = MetricHead(3, 3, hidden=(4, 2)).eval()
    left, right = torch.randn(queries, 4), torch.randn(candidates, 4)
    matrix = head.score_matrix(left, right)
    assert matrix.shape == (queries, candidates)
    for query in range(min(queries, 3)):
        torch.testing.assert_close(matrix[query], head.score(left[query], right))


def test_tied_towers_embed_alike_and_untied_ones_do_not() -> None:
    clip = torch.randn(1, 10, 12, dtype=torch.double)
    tied, untied = small("tied"), small("untied")
    torch.testing.assert_close(tied.imitation_tower(clip), tied.recording_tower(clip))
    assert not torch.allclose(untied.imitation_tower(clip), untied.recording_tower(clip))


def test_partial_sharing_keeps_the_first_stages_private() -> None:
    model = small("partial")
    first, second = model.imitation_tower.stages, model.recording_tower.stages
    assert first[0] is not second[0]
    assert first[1] is second[1]


def test_geometry_survives_plain_values() -> None:
    geometry = tl_iminet(batch_norm=True)
    rebuilt = TypeAdapter(SiameseGeometry).validate_json(json.dumps(geometry.to_dict()))
    assert replace(rebuilt, dropout=geometry.dropout) == geometry  # of training alone
    assert geometry.to_dict()["imitation_tower"].keys() == {"stages", "batch_norm"}


@pytest.mark.parametrize("recurrent", ["gru", "lstm"])
@pytest.mark.parametrize("sharing", ["tied", "partial", "untied"])
def test_towers_may_end_in_a_recurrent_layer(recurrent: str, sharing: str, tmp_path: Path) -> None:
    tower = TowerGeometry([ConvStage(3, (3, 3)), ConvStage(4, (3, 3), (2, 2))], False, recurrent, 5)
    assert tower.width((72, 129)) == 62 * 2 * 5  # frames that are left, in two directions
    model = siamese(SiameseGeometry((72, 129), (72, 129), tower, tower, sharing, 1, (8,), 0.0))
    shared = model.imitation_tower.recurrent is model.recording_tower.recurrent
    assert shared == (sharing != "untied")
    model.eval().save(tmp_path / "model.safetensors")
    loaded = load_system(tmp_path / "model.safetensors")
    assert loaded.fingerprint == model.fingerprint
    clip = torch.randn(1, 72, 129)
    embedded = loaded.embed("recording", clip)
    torch.testing.assert_close(embedded, model.embed("recording", clip))
    assert not torch.allclose(embedded, loaded.embed("recording", clip.flip(2)))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: TowerGeometry([]).sizes((9, 9)), "at least one stage"),
        (lambda: TowerGeometry([ConvStage(1, (1, 1))], units=0).sizes((9, 9)), "units is 0"),
        (lambda: TowerGeometry([ConvStage(1, (10, 1))]).sizes((9, 9)), "Stage 1 .* kernel is 10x1"),
        (
            lambda: TowerGeometry([ConvStage(1, (8, 8)), ConvStage(1, (1, 1), (3, 3))]).sizes(
                (9, 9)
            ),
            "Stage 2 .* pool is 3x3",
        ),
        (lambda: TowerGeometry([ConvStage(0, (1, 1))]).sizes((9, 9)), "at least 1"),
        (lambda: MetricHead(1, 1, hidden=()), "hidden is 0: give 1"),
        (lambda: MetricHead(1, 1, dropout=1.0), "dropout is 1.0"),
        (lambda: siamese(iminet("partial", private_stages=4)), "1 to 3"),
        (
            lambda: siamese(SiameseGeometry((72, 129), (72, 130), IMINET, IMINET, "tied")),
            "towers differ",
        ),
    ],
)
def test_what_cannot_be_built_is_refused(build: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build()


def test_gradients_of_gathered_clips_are_the_same_bits_every_time() -> None:
    stages = [ConvStage(2, (3, 3))]
    tower = TowerGeometry(stages)
    network = siamese(SiameseGeometry((8, 8), (8, 8), tower, tower, "tied", hidden=(432, 8)))
    generator = torch.Generator().manual_seed(0)
    clips = torch.randn(64, 8, 8, generator=generator)
    rows = torch.randint(0, 64, (256,), generator=generator)

    def gradient() -> torch.Tensor:
        network.zero_grad()
        network(clips, clips, rows, rows.flip(0)).square().sum().backward()
        return torch.cat([each.grad.flatten() for each in network.parameters()])

    network.eval()
    first = gradient()
    assert all(torch.equal(first, gradient()) for _ in range(20))
