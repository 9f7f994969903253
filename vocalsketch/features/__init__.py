"""Waveform to spectrogram: reading audio, the front ends, and the store that keeps their output.

``audio``: ``read_audio``, ``resampled``, ``load_clip``. ``cqt``: ``CQT``. ``log_mel``: ``LogMel``,
``ImitationLogMel``, ``RecordingLogMel``. ``front_end``: ``FrontEnd``, ``front_end_from``.
``store``: ``FeatureStore``, ``FeatureTable``. ``contents``: which file has which content.
"""
