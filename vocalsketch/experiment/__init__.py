"""One run: from a config to checkpoints, results and a folder that says how they were made."""

from vocalsketch.experiment.run import Outcome, run_experiment

__all__ = ["Outcome", "run_experiment"]
