"""The last stages of a probe's network learn the site."""
