"""Vocal imitations of any sound: what is heard in it, who imitates, and the voice."""
