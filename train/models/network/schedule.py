"""The learning rate as a function of how far training has come; nothing to store, nothing to resume."""

import math

from train.config.schema import NetworkConfig

__all__ = ["learning_rate"]


def learning_rate(config: NetworkConfig, progress_epochs: float) -> float:
    """Return the learning rate at a point in training, measured in epochs (2.5: halfway through the third).

    ``step`` multiplies by `step_gamma` every `step_epochs`, as torch's StepLR does when stepped per epoch. ``cosine``
    falls to zero at the last step (Loshchilov and Hutter, "SGDR", ICLR 2017). A warm-up rises linearly to whatever
    follows it.
    """
    if progress_epochs < config.warmup_epochs:
        # the tiny offset keeps the very first step from being a step of nothing
        return config.lr * (progress_epochs + 1e-2) / (config.warmup_epochs + 1e-2)
    if config.schedule == "step":
        return float(config.lr * config.step_gamma ** (int(progress_epochs) // config.step_epochs))
    if config.schedule == "cosine":
        span = max(config.epochs - config.warmup_epochs, 1e-9)
        share = min((progress_epochs - config.warmup_epochs) / span, 1.0)
        return config.lr * 0.5 * (1.0 + math.cos(math.pi * share))
    return config.lr
