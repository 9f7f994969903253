"""What search finds is what evaluation reports."""

import shutil
from pathlib import Path

import pytest

from vocalsketch.datasets.open import open_corpus
from vocalsketch.experiment import run_experiment
from vocalsketch.retrieval.scores import Scores
from vocalsketch.search import Index, build_index, read_query


def test_targets_of_held_out_imitations_are_found_with_the_mrr_that_test_reports(
    tiny_config: Path, folder_corpus: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    outcome = run_experiment("fit", ["--config", str(tiny_config), "--run_dir", str(run)])
    scores = Scores.load(run / "scores_test.npz")
    corpus = open_corpus(str(folder_corpus))
    sounds = {sound.id: sound for sound in corpus.sounds}
    imitations = {imitation.id: imitation for imitation in corpus.imitations}
    library = tmp_path / "library"
    for category in scores.categories:
        (library / category.category).mkdir(parents=True)
        for sound in category.candidates:
            shutil.copy(sounds[sound].path, library / category.category)
    build_index(library, tmp_path / "index", run / "checkpoints" / "best.ckpt", progress=False)
    index = Index.open(tmp_path / "index")

    for category in scores.categories:
        reciprocal_ranks = []
        for query, target, row in zip(
            category.queries, category.targets, category.scores, strict=True
        ):
            sung = read_query(imitations[query].path)
            hits = index.search(*sung, k=100, tags=[category.category], trim=False)
            found = {Path(hit.path).name: hit for hit in hits}
            expected = dict(zip(category.candidates, row, strict=True))
            assert {name: hit.score for name, hit in found.items()} == pytest.approx(
                expected, abs=1e-4
            )
            reciprocal_ranks.append(1 / found[category.candidates[target]].rank)
        mrr = sum(reciprocal_ranks) / len(reciprocal_ranks)
        reported = outcome.results["test"]["categories"][category.category]["mrr"]
        assert mrr == pytest.approx(reported)
