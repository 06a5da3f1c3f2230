"""A run from start to end: session, folds, curves, model card."""
