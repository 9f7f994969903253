"""Search in one's own sounds by voice: an index of a library, and queries to it.

Build, as often as the library changes; only what is new or changed is embedded::

    build_index(library, index, system=None, *, jobs=None, accelerator="cpu", devices=1,
                progress=True) -> BuildReport

``system`` is a System, its file, a checkpoint of a fit, or a name such as ``contours``; without
one the index's own, or the default, is used. ``BuildReport``: ``version``, ``sounds``, ``windows``,
``embedded``, ``unchanged``, ``removed`` (counts) and ``skipped`` (what cannot be used, by path, and
why). ``check_index(folder) -> Check``.

Search one index, the shards of a library, or one library by the product of several systems'
likelihoods::

    index = Index.open(folder)                  # .name, .library, .fingerprint, .corpus, .system,
                                                # .version, .sounds and .windows (counts)
    searcher = Searcher([index])
    searcher = Searcher([one, another])         # of different libraries, by one system
    searcher = Searcher([one, another], fuse=True)   # of one library, by different systems
    searcher = Searcher.open(folders)           # .missing: shards that are not there; .partial
    hits = searcher.search(waveform, rate, k=10, tags=["kick"], text="door", trim=True,
                           aspects={"pitch": 2.0})   # factors; .aspects names what there is
    lists = searcher.search_many([(waveform, rate), ...], k=10)
    index.search(waveform, rate, k)             # the same as Searcher([index]).search(...)
    index.is_current()                          # False once a build has made another version

A waveform is (samples,) or (samples, channels), any rate, any level. ``search`` may be called from
several threads at once. It raises ``AudioError`` for silence, less than 0.1 s, or values that are
not finite.

``Hit``: ``rank`` (1 is best), ``path`` (within the library, with ``/``), ``file`` (absolute),
``start`` and ``end`` (seconds within the file), ``score``, ``probability`` (0 to 1), ``duration``
(seconds, of the file), ``sample_rate`` (hz), ``tags``, ``gone`` (whether the file is not there any
more); ``hit.to_dict()`` is plain values for JSON.
A file appears once, with its best window.

``index.file_of(path)`` gives the absolute path of an indexed sound and raises ``DatasetError`` for
anything else (``..``, absolute paths, links that lead out of the library): serve only that.
``index.paths()`` lists the indexed files. "More like this" is a search with the found sound:
``searcher.search(*read_query(hit.file, start=hit.start), k)``.

``read_query(file, start=0.0) -> (waveform, rate)`` reads a query file (at most its first minute);
``record(seconds) -> (waveform, rate)`` and ``play(hit)`` use the sound card, through the optional
package sounddevice; ``reveal(file)`` shows a file in the file manager.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
