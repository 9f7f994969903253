"""Random and other hyperparameter searches on Optuna, in parallel, over validation results only."""
