"""Models as pure functions of pixels, which torch.export can trace: no hooks, no padding, no chunks."""
