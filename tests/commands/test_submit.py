"""`vocalsketch submit`: one score per query and item, named by their files."""

import csv
from pathlib import Path

import numpy as np
import published_trees as trees
import pytest
import torch

from vocalsketch.cli import main
from vocalsketch.features.audio import load_clip
from vocalsketch.systems import load_system


def test_the_matrix_holds_the_systems_scores(tmp_path: Path) -> None:
    root = trees.write_qvim(tmp_path / "q")
    out = tmp_path / "scores.csv"
    folders = ("--items", str(root / "Items"), "--queries", str(root / "Queries"))
    assert main(["submit", "two_dft", *folders, "--out", str(out)]) == 0
    with out.open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header[1:3] == ["Class 0/item 00.wav", "Class 0/item 01.wav"]
    assert (len(header), len(rows), rows[-1][0]) == (5, 8, "Class 1/q11_1.wav")
    system = load_system("two_dft")

    def heard(path: Path) -> torch.Tensor:
        return system.hear(
            "imitation", torch.from_numpy(load_clip(path, system.front_ends["imitation"]))[None]
        )

    query = heard(root / "Queries" / rows[3][0])
    expected = [float(system.score(query, heard(root / "Items" / name))) for name in header[1:]]
    np.testing.assert_allclose([float(value) for value in rows[3][1:]], expected, atol=1e-5)


def test_an_empty_folder_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--items", str(tmp_path), "--queries", str(tmp_path), "--out", "x.csv")
    assert main(["submit", "two_dft", *options]) == 1
    assert f"{tmp_path} holds no audio" in capsys.readouterr().err
