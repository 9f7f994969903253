"""From scores to ranks, mean reciprocal ranks, fusion and significance: arrays and ids only."""
