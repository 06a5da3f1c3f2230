"""Studies: a grid of runs on one dataset, what they amount to, and which differences exceed the noise."""
