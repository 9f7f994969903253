"""The report of a study: a page with its plots, and the same plots as pictures."""

import html
from pathlib import Path
from typing import Any

import optuna
import plotly.offline
from optuna.trial import FrozenTrial, TrialState

from vocalsketch.files import write_text
from vocalsketch.retrieval.results import corpus_tag
from vocalsketch.sweep.definition import Definition
from vocalsketch.sweep.pictures import Plot, page_part, write_picture
from vocalsketch.sweep.study import StudyError
from vocalsketch.sweep.tally import take_tally
from vocalsketch.sweep.trial import REASON

SHOWN = 10  # trials in the page's table
SLICES = 6  # parameters in one picture
PARALLEL = 8  # parameters, the most important, with parallel coordinates
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<script>{script}</script>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 1100px; }}
table {{ border-collapse: collapse; margin: 1em 0; }}
td, th {{ padding: .2em .8em; text-align: right; border-bottom: 1px solid #ddd; }}
td:first-child, th:first-child {{ text-align: left; }}
.wide {{ overflow-x: auto; }}
</style></head><body>
<h1>{title}</h1>
{body}
</body></html>
"""


def write_report(study: optuna.Study, definition: Definition, folder: Path) -> dict[str, Path]:
    """Write ``report.html`` and a PNG per plot into a folder.

    Returns:
        The path of each picture by its name; of those plots that the trials allow.

    Raises:
        StudyError: There is no complete trial.
    """
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if not complete:
        raise StudyError(
            f"Study {definition.name!r} has no complete trial: there is nothing to plot yet."
        )
    pictures, sections = {}, []
    for name, plot in plots(study, definition).items():
        pictures[name] = write_picture(study, plot, folder / f"{name}.png")
        sections.append(f"<h2>{name.replace('_', ' ')}</h2>{page_part(study, plot)}")
    page = PAGE.format(
        title=html.escape(f"Study {definition.name}"),
        script=plotly.offline.get_plotlyjs(),
        body=_facts(study, definition) + _best_table(study, complete) + "".join(sections),
    )
    write_text(folder / "report.html", page)
    return pictures


def plots(study: optuna.Study, definition: Definition) -> dict[str, Plot]:
    """Return by name the plots that the complete trials of a study allow."""
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    target = {"target_name": definition.objective["metric"]}
    common = common_parameters(complete)
    chosen = {"history": Plot("plot_optimization_history", target)}
    if common and len({trial.value for trial in complete}) > 1:
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
        chosen["importance"] = Plot("plot_param_importances", {"evaluator": evaluator, **target})
        # the most important first
        common = list(
            optuna.importance.get_param_importances(study, evaluator=evaluator, params=common)
        )
    if common:
        chosen["parallel_coordinates"] = Plot(
            "plot_parallel_coordinate", {"params": common[:PARALLEL], **target}
        )
    names = list(dict.fromkeys(name for trial in complete for name in trial.params))
    for start in range(0, len(names), SLICES):
        chosen[f"slices_{start // SLICES + 1}"] = Plot(
            "plot_slice", {"params": names[start : start + SLICES], **target}
        )
    return chosen


def common_parameters(trials: list[FrozenTrial]) -> list[str]:
    """Return the parameters that every trial has; conditional ones some have not."""
    names = set.intersection(*(set(trial.params) for trial in trials))
    return [name for name in trials[0].params if name in names]


def _facts(study: optuna.Study, definition: Definition) -> str:
    tally = take_tally(study.get_trials(deepcopy=False))
    objective = definition.objective
    lines = [
        corpus_tag(definition.corpus),
        f"{objective['metric']} ({objective['direction']}), mean over {definition.seeds} seed(s), "
        f"validation half only; sampler {definition.sampler['name']}, "
        f"pruner {definition.pruner['name']}",
        f"{tally.finished} trials finished: {tally.complete} complete, {tally.pruned} pruned; "
        f"{tally.failed} failed, {tally.retried} attempts broke off and were tried again",
        "The best of many trials is lucky too: nothing is claimed before it is trained anew over "
        "seeds (vocalsketch sweep best STUDY --retrain 10).",
    ]
    reasons = reasons_of(study.get_trials(deepcopy=False))
    return "".join(f"<p>{html.escape(line)}</p>" for line in lines) + _table(
        ("Why trials were pruned or failed", "trials"), list(reasons.items())
    )


def reasons_of(trials: list[FrozenTrial]) -> dict[str, int]:
    """Count why trials were pruned or failed, the most frequent first."""
    counts: dict[str, int] = {}
    for trial in trials:
        reason = trial.user_attrs.get(REASON)
        if reason and trial.state in (TrialState.PRUNED, TrialState.FAIL):
            counts[reason] = counts.get(reason, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: -item[1]))


def _best_table(study: optuna.Study, complete: list[FrozenTrial]) -> str:
    best_first = sorted(
        complete,
        key=lambda trial: trial.value or 0.0,
        reverse=study.direction == optuna.study.StudyDirection.MAXIMIZE,
    )[:SHOWN]
    names = list(dict.fromkeys(name for trial in best_first for name in trial.params))
    rows = [
        (trial.number, f"{trial.value:.4f}", *(shown_value(trial.params.get(n)) for n in names))
        for trial in best_first
    ]
    return f"<div class='wide'>{_table(('trial', 'value', *names), rows)}</div>"


def shown_value(value: Any) -> str:
    """Return a parameter's value, short; a dash where the trial does not have it."""
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _table(heads: tuple[str, ...], rows: list[Any]) -> str:
    if not rows:
        return ""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in heads)
    lines = "".join(
        "<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>"
        for row in rows
    )
    return f"<table><tr>{head}</tr>{lines}</table>"
