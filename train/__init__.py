"""A dataset in, a scored model out. Never imports ``collect``."""
