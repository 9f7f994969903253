"""LightningCLI with this project's keys, links between them, and readable errors."""

import argparse
import inspect
import re
from collections.abc import Collection, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import jsonargparse
import pytorch_lightning as pl
import torch
from jsonargparse import Namespace
from lightning_fabric.utilities.exceptions import MisconfigurationException
from omegaconf.errors import OmegaConfBaseException
from pytorch_lightning.cli import LightningArgumentParser, LightningCLI
from pytorch_lightning.plugins.io import TorchCheckpointIO
from pytorch_lightning.utilities import rank_zero_only

from vocalsketch.callbacks.results import ResultsWriter
from vocalsketch.callbacks.training import EpochSeed
from vocalsketch.errors import ConfigError, VocalSketchError
from vocalsketch.experiment.config import read_mapping, remedy
from vocalsketch.experiment.refusals import is_raised_by, refusals_explained
from vocalsketch.experiment.run_folder import RunFolder, WholeCheckpoints, choose_run_folder
from vocalsketch.systems.registry import EXTENSIONS, extensions

# what is about a run as a whole
KEYS = {
    "name": "Name of the run in results and in W&B (default: the first config's name).",
    "run_dir": "Folder for all that the run makes (default: runs/<config's name>/<date-time>).",
    "ckpt_path": "Checkpoint to go on from (fit) or to evaluate: a path, or best or last of "
    "--run_dir. With last, fit begins a run that has no whole epoch yet.",
}
LARGEST_SEED = 2**32 - 1  # that NumPy takes
# values of the model that follow from the data
LINKS = ("imitation_front_end", "recording_front_end", "input_shape", "classes")


class ExperimentCLI(LightningCLI):
    """Parses a command line and builds data module, module and trainer; runs nothing.

    ``callbacks`` stand beside those of the config.

    Raises:
        ConfigError: The config has an unknown key or an impossible value.
    """

    def __init__(
        self, command: str, arguments: list[str], callbacks: Sequence[pl.Callback] = ()
    ) -> None:
        self.command = command
        self.callbacks = callbacks
        self.configs = _configs(arguments)
        for each in self.configs:
            if _is_there(each):  # what is none, the parser says best
                read_mapping(Path(each))
        jsonargparse.set_parsing_settings(omegaconf_absolute_to_relative_paths=True)
        restrict_parser()
        super().__init__(
            pl.LightningModule,
            pl.LightningDataModule,
            subclass_mode_model=True,
            subclass_mode_data=True,
            args=arguments,
            run=False,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
            save_config_callback=None,
            seed_everything_default=0,
            parser_kwargs={
                "prog": f"vocalsketch {command}",
                "parser_mode": "omegaconf+",
                "exit_on_error": False,
            },
        )

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the keys that are about a run as a whole."""
        for key, text in KEYS.items():
            parser.add_argument(f"--{key}", type=str | None, default=None, help=text)
        parser.add_argument(
            "--test_after_fit",
            type=bool,
            default=True,
            help="Whether fit ends by ranking the test half too; false leaves it unread.",
        )
        for value in LINKS:
            parser.link_arguments(
                f"data.{value}", f"model.init_args.{value}", apply_on="instantiate"
            )

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse; a complaint becomes one clear ConfigError."""
        try:
            self.config = parser.parse_args(args)
        except argparse.ArgumentError as error:
            known = parser.get_defaults(skip_validation=True).keys()
            keys = {key.split(".")[0] for key in known}
            raise config_error(str(error), keys) from error
        except OmegaConfBaseException as error:
            raise ConfigError(f"A ${{...}} of the config cannot be resolved: {error}") from error
        seed = self.config.seed_everything
        if isinstance(seed, int) and not 0 <= seed <= LARGEST_SEED:
            raise ConfigError(
                f"seed_everything is {seed}: give a whole number from 0 to {LARGEST_SEED}."
            )

    def instantiate_classes(self) -> None:
        """Build everything; the parser wraps what a constructor refuses, this takes it out."""
        try:
            with refusals_explained():
                super().instantiate_classes()
        except ValueError as error:
            if isinstance(error.__cause__, VocalSketchError):
                raise error.__cause__ from error
            if is_raised_by(error, ("jsonargparse.",)):
                raise config_error(str(error), ()) from error
            raise
        finally:
            if not hasattr(self, "trainer") and self.config.run_dir is None:
                with suppress(OSError):  # of a folder that holds something
                    self.folder.path.rmdir()

    def instantiate_trainer(self, **kwargs: Any) -> pl.Trainer:
        """Build the trainer; what it or the machine does not allow is the config's fault.

        Mixed precision becomes 32 bits on a processor that would be several times slower with it.
        """
        asked = self.config.trainer
        if asked.precision == "bf16-mixed" and on_cpu(asked.accelerator) and not has_bfloat16():
            kwargs["precision"] = "32-true"
            rank_zero_only(print)(
                "This processor has no instructions for bfloat16: bf16-mixed, several times "
                "slower without, is taken for 32-true."
            )
        try:
            trainer: pl.Trainer = super().instantiate_trainer(**kwargs)
        except (MisconfigurationException, ModuleNotFoundError, TypeError, ValueError) as error:
            raise ConfigError(f"The trainer cannot be built: {error}") from error
        if type(trainer.strategy.checkpoint_io) is TorchCheckpointIO:
            trainer.strategy.checkpoint_io = WholeCheckpoints(self.folder.checkpoints)
        return trainer

    def before_instantiate_classes(self) -> None:
        """Choose the run's folder and let everything that writes write there."""
        named = Path(self.configs[0]).stem if self.configs else "run"
        self.name: str = self.config.name or named
        self.folder: RunFolder = choose_run_folder(self.config.run_dir, self.name)
        self.results = ResultsWriter(self.folder.path, self.name)
        for callback in self.config.trainer.callbacks or []:
            if callback.class_path.endswith("ModelCheckpoint"):
                callback.init_args.dirpath = str(self.folder.checkpoints)
        loggers = self.config.trainer.logger
        for logger in loggers if isinstance(loggers, list) else [loggers]:
            if isinstance(logger, Namespace):
                logger.init_args.save_dir = str(self.folder.path)
        own = (EpochSeed(int(self.config.seed_everything)), self.results)
        self.trainer_defaults["callbacks"] = [*own, *self.callbacks]

    def resolved(self) -> str:
        """Return the config as parsed, every default filled in, as YAML that ``fit`` takes."""
        plain = self.config.clone()
        plain.name, plain.run_dir, plain.ckpt_path = self.name, None, None
        for value in LINKS:
            plain.model.init_args.pop(value, None)
        text: str = self.parser.dump(plain, skip_validation=True)
        return text


def on_cpu(accelerator: str) -> bool:
    """Return whether what ``trainer.accelerator`` names is the processor."""
    return accelerator == "cpu" or (accelerator == "auto" and not torch.accelerator.is_available())


def has_bfloat16() -> bool:
    """Return whether the processor convolves in bfloat16 with instructions made for that."""
    return torch.backends.mkldnn.is_available() and (  # type: ignore[no-untyped-call]
        bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    )


def _configs(arguments: list[str]) -> list[str]:
    flags = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    flags.add_argument("-c", "--config", action="append", default=[])
    configs: list[str] = flags.parse_known_args(arguments)[0].config
    return configs


def _is_there(config: str) -> bool:
    if config.startswith("/dev/"):  # what the shell has opened can be read but once
        return False
    try:
        return Path(config).exists() and not Path(config).is_dir()
    except OSError:  # a whole config instead of a name, which is too long for one
        return False


DENIED = re.compile(r"Importing '([^']+)' is not allowed")
UNKNOWN_OPTION = re.compile(r"Option '([^']+)' is not accepted")
CLASS_PATH = re.compile(r"class_path '([^']+)'")
GIVEN = re.compile(r"^\s*Given value: (?!NestedArg)(.*)$", re.MULTILINE)
# the parser tries None as well wherever a value may be left out, and quotes the value whole
NOISE = re.compile(r"Expected a <class 'NoneType'>|Given value|Does not validate|Subtypes:|Errors:")
NOTHING_GIVEN = "the following arguments are required: data, model"


def config_error(message: str, keys: Collection[str]) -> ConfigError:
    """Return the parser's complaint about a config as one clear error.

    ``keys`` are those that a config may have at its top.
    """
    denied = DENIED.search(message)
    if denied:
        return ConfigError(
            f"The config names {denied[1]!r}, and may name only what lies in "
            f"{', '.join(NAMEABLE)}. If it is of a package of your own that you trust: "
            f"{EXTENSIONS}={denied[1].split('.')[0]}"
        )
    unknown = UNKNOWN_OPTION.search(message)
    if unknown:
        return _unknown_key(message, unknown, keys)
    if NOTHING_GIVEN in message:
        return ConfigError(
            "There is no experiment to run: give --config FILE, such as conf/iminet_tied.yaml."
        )
    lines = [line.strip(" -") for line in message.splitlines() if not NOISE.search(line)]
    given = GIVEN.search(message)
    lines += [f"Got value: {given[1]}"] if given and "Got value" not in message else []
    return ConfigError(" ".join(line for line in lines if line))


def _unknown_key(message: str, unknown: re.Match[str], keys: Collection[str]) -> ConfigError:
    key = unknown[1]
    key = key.split(".")[0] if key.split(".")[0] not in keys else key
    owner = CLASS_PATH.findall(message[: unknown.start()])
    known = _parameters(owner[-1]) if owner else sorted(keys)
    where = f" of {owner[-1]}" if owner else ""
    return ConfigError(f"No config key {key!r}{where}: {remedy(key, known)}")


def _parameters(class_path: str) -> list[str]:
    module, _, name = class_path.rpartition(".")
    return list(inspect.signature(getattr(import_module(module), name)).parameters)


# lightning_fabric is where pytorch_lightning keeps some of what it offers under its own name
NAMEABLE = ("vocalsketch", "pytorch_lightning", "lightning_fabric", "torch.optim")

_allowed: set[str] = set()  # extensions, in this process so far: the parser's lists only grow


def restrict_parser() -> None:
    """Let the parser import nothing but what may be named, and build only what a type asks for.

    By itself it imports whatever a ``class_path`` names before it looks at the type, builds any
    class where a type accepts anything, and reads further configs from other machines.
    """
    trusted = extensions()
    jsonargparse.set_parsing_settings(
        import_path_denylist=["*", *sorted(_allowed.difference(trusted, NAMEABLE))],
        import_path_allowlist=[*NAMEABLE, *trusted],
        instantiate_subclass_spec_in_any=False,
        config_read_mode_fsspec_enabled=False,
    )
    _allowed.update(trusted)
