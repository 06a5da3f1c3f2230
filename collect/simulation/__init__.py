"""A generated campus, walked through with simulated phones: photos for practice, tests and benchmarks."""
