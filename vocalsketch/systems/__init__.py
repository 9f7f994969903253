"""Systems: each embeds clips, scores them, and is saved and loaded; none is trained here."""

from vocalsketch.systems.checkpoints import load_system
from vocalsketch.systems.registry import front_end_from
from vocalsketch.systems.system import Scorer, System

__all__ = ["Scorer", "System", "front_end_from", "load_system"]
