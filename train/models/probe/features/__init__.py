"""From pixels to features: pooled, local, whitened, cached."""
