"""Which photos must stay together, and which train, validate and test."""
