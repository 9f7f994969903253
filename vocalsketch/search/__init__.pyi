from .builder import build_index
from .check import Check, check_index
from .index import Index
from .microphone import play, record
from .publishing import BuildReport
from .query import read_query
from .searcher import Hit, Searcher

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
]
