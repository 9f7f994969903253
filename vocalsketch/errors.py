"""The errors a user can meet. Each message names the thing, its value and the remedy."""


class VocalSketchError(Exception):
    """Base of every error that is the input's fault; printed without a traceback."""


class ConfigError(VocalSketchError):
    """A setting that cannot be used: unknown, out of range, or a geometry that misfits."""


class DatasetError(VocalSketchError):
    """A data set that is missing, incomplete or not what it was said to be."""


class AudioError(VocalSketchError):
    """An audio file that cannot be decoded or holds nothing usable."""


class CheckpointError(VocalSketchError):
    """A checkpoint that is missing, damaged or of another architecture."""


class DamagedCheckpointError(CheckpointError):
    """A checkpoint whose content is broken: a run that has no other begins anew."""


class StorageError(VocalSketchError):
    """A file that cannot be written or read back: a full disk, no permission, damage."""


def refuse_below(least: float, **values: float) -> None:
    """Raise a ConfigError that names a setting which is below ``least``."""
    for name, value in values.items():
        if value < least:
            raise ConfigError(f"{name} is {value}: give {least} or more.")
