"""Search in one's own sounds by voice: an index of a library, and queries to it.

``build_index`` makes an index and brings it up to date, ``Index`` and ``Searcher`` search it, and
``check_index`` compares it with its library; docs/search.md shows them at work.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
