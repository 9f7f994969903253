"""Many runs: folds, trials, seeds and the cells of a table, side by side and resumable."""
