"""The web page: record or upload an imitation, hear what was found. Needs gradio, an extra."""
