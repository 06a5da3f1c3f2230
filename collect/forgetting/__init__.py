"""Photos that a dataset is asked to forget: which they are, who else holds them, and their removal."""
