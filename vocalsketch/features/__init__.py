"""Waveform to spectrogram: reading audio, the front ends, and the store of their output."""
