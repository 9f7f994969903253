from .build import BuildReport, build_index
from .desktop import play, record, reveal
from .index import Check, Index, check_index
from .lance_export import export_lance
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
    "export_lance",
    "play",
    "read_query",
    "record",
    "reveal",
]
