"""The looks of buildings: designs, windows, ornament, texture."""
