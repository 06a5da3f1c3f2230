"""Frozen features, compared and read by small heads."""
