"""Photos of a dataset as tensors: decoded once, prepared, varied, with their targets."""
