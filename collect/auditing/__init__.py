"""The audit: is the site covered, what can be trusted, where to walk next."""
