"""Raw photos in, a validated, labelled and split dataset out. Never imports ``train``."""
