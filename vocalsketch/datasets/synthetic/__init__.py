"""Sounds and corpora that are synthesised from a seed."""
