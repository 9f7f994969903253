"""Work spread over threads, processes, or the machines of a Ray cluster."""
