"""The web page: record or upload an imitation, hear what was found. Needs FastAPI, an extra."""
