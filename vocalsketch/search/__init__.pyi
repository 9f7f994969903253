from .build import BuildReport, build_index
from .index import Check, Index, check_index
from .query import play, read_query, record, reveal
from .searcher import Searcher
from .shard import Hit

__all__ = [
    "BuildReport",
    "Check",
    "Hit",
    "Index",
    "Searcher",
    "build_index",
    "check_index",
    "play",
    "read_query",
    "record",
    "reveal",
]
