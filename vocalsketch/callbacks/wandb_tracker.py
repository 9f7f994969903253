"""Weights & Biases as the tracker: online when logged in, offline otherwise, never a hindrance."""

import os
import shutil
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, cast, get_args

import pytorch_lightning as pl
import wandb
from lightning_fabric.loggers.logger import rank_zero_experiment
from pytorch_lightning.loggers import WandbLogger
from pytorch_lightning.utilities import rank_zero_only
from requests.utils import get_netrc_auth

Mode = Literal["online", "offline", "disabled", "shared"]

# seconds that W&B's server may take to answer, and an upload after a run's end; W&B's own
# defaults are longer, and without end
TIMEOUTS = {"init_timeout": 30, "finish_timeout": 60}
YES = ("1", "true", "yes", "on")
FULL = 2**16  # bytes; a disk with less room has refused something


class WandbTracker(WandbLogger):
    """Lightning's WandbLogger that starts offline where it must and never stops a run.

    Args:
        project: W&B project; WANDB_PROJECT, else ``vocalsketch``, if left out.
        name: Name of the run; the config's name if left out.
        group: W&B group, such as a study's.
        tags: Tags beside ``corpus=...``.
        job_type: W&B job type; the command if left out.
        save_dir: Folder of the run's files; the run's folder if left out.
        upload_checkpoint: Whether the best checkpoint becomes an artifact.
    """

    def __init__(
        self,
        project: str | None = None,
        name: str | None = None,
        group: str | None = None,
        tags: list[str] | None = None,
        job_type: str | None = None,
        save_dir: str = ".",
        upload_checkpoint: bool = True,
    ) -> None:
        given = os.environ.get("WANDB_TAGS", "")
        super().__init__(
            project=project or os.environ.get("WANDB_PROJECT") or "vocalsketch",
            name=name or os.environ.get("WANDB_NAME"),
            save_dir=os.environ.get("WANDB_DIR") or save_dir,
            group=group,
            tags=[*(tags or ()), *filter(None, map(str.strip, given.split(",")))],
            job_type=job_type or os.environ.get("WANDB_JOB_TYPE"),
        )
        del self._wandb_init["anonymous"]  # wandb warns of it, even when it is not set
        self.upload_checkpoint = upload_checkpoint
        self._failed = False
        self._stages_artifacts = False

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The W&B run, begun at first use."""
        if self._experiment is None:
            self._experiment = self._begin()
        return self._experiment

    @rank_zero_only
    def describe(
        self, *, name: str, run_id: str, job_type: str, tags: list[str], config: dict[str, Any]
    ) -> None:
        """Fill in what the config left open, before the run begins; tags are added.

        A run that is resumed has the same ``run_id`` as before.
        """
        settings = self._wandb_init
        settings["name"] = settings["name"] or name
        settings["id"] = run_id
        settings["job_type"] = settings["job_type"] or job_type
        settings["tags"] = [*settings["tags"], *tags]
        settings["config"] = config

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Log metrics; a failure is said once and does not stop the run."""
        self.safely(lambda: super(WandbTracker, self).log_metrics(metrics, step))

    def finalize(self, status: str) -> None:
        """Leave the run open: validation and test of the same command follow."""

    @rank_zero_only
    def add_file(self, path: Path, kind: str, name: str) -> None:
        """Log a file as an artifact of ``kind``."""
        self.safely(lambda: self.experiment.log_artifact(str(path), name=name, type=kind))

    @rank_zero_only
    def finish(self) -> Path | None:
        """Close the W&B run; return its folder where it holds what W&B has not, else None.

        That is an offline run's, and one whose upload did not end in time.
        """
        if self._experiment is None:
            return None
        run, self._experiment = self._experiment, None
        self.safely(run.finish)
        if self._stages_artifacts:
            os.environ.pop("WANDB_DATA_DIR", None)
        folder = Path(run.dir).parent
        if run.disabled or not folder.is_dir():
            return None
        if shutil.disk_usage(folder).free < FULL:
            self._say(f"the disk that holds {folder} is full")
        if self._failed:
            # what W&B left running would say so once more at the end, and mar the next run
            with suppress(Exception):  # whatever tracking meets, a run goes on
                wandb.teardown()
        return folder if run.offline or self._failed else None

    @rank_zero_only
    def safely(self, action: Callable[[], object]) -> None:
        """Do something with W&B; a failure is said once and does not stop the run."""
        try:
            action()
        except Exception as error:  # whatever tracking meets, a run goes on
            self._say(str(error) or type(error).__name__)

    def _say(self, reason: str) -> None:
        if not self._failed:
            self._failed = True
            warnings.warn(
                f"W&B could not be told of something ({reason}); the run goes on without.",
                stacklevel=2,
            )

    def _begin(self) -> Any:
        """Begin a run in the first mode that works; disabled always does."""
        modes: tuple[Mode, ...] = (tracking_mode(), "offline", "disabled")
        for mode in dict.fromkeys(modes):
            try:
                return self._begun(mode)
            except Exception as error:  # whatever tracking meets, a run goes on
                warnings.warn(f"W&B did not start in mode {mode}: {error}", stacklevel=2)
                if self._wandb_init["id"]:  # of a run that did not begin, W&B holds it for taken
                    self._wandb_init["id"] += f"-not-{mode}"
        raise AssertionError("wandb.init(mode='disabled') does not fail")

    def _begun(self, mode: Mode) -> Any:
        if mode != "disabled":
            folder = Path(str(self._save_dir)).resolve() / "wandb"
            folder.mkdir(parents=True, exist_ok=True)
            if self._stages_artifacts or "WANDB_DATA_DIR" not in os.environ:
                # artifacts wait here until they are uploaded; elsewhere they would outlive the run
                os.environ["WANDB_DATA_DIR"] = str(folder)
                self._stages_artifacts = True
        timeouts = {
            name: float(os.environ.get(f"WANDB_{name.upper()}", seconds))
            for name, seconds in TIMEOUTS.items()
        }
        run = wandb.init(
            **self._wandb_init,
            mode=mode,
            reinit="create_new",
            settings=wandb.Settings(
                silent=os.environ.get("WANDB_SILENT", "true").lower() in YES,
                console=cast("Any", os.environ.get("WANDB_CONSOLE", "off")),
                **timeouts,
                finish_timeout_raises=True,
            ),
        )
        run.define_metric("trainer/global_step")
        run.define_metric("*", step_metric="trainer/global_step", step_sync=True)
        return run


def trackers(trainer: pl.Trainer) -> list[WandbTracker]:
    """Return what tracks a trainer's runs."""
    return [logger for logger in trainer.loggers if isinstance(logger, WandbTracker)]


def tracking_mode() -> Mode:
    """Return WANDB_MODE if set, else ``online`` where someone is logged in, else ``offline``."""
    if os.environ.get("WANDB_DISABLED", "").lower() in YES:
        return "disabled"
    asked = os.environ.get("WANDB_MODE", "")
    chosen = {"dryrun": "offline", "run": "online"}.get(asked, asked)  # W&B's older words
    if chosen in get_args(Mode):
        return cast("Mode", chosen)
    known = os.environ.get("WANDB_API_KEY") or get_netrc_auth(
        os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")
    )
    return "online" if known else "offline"
