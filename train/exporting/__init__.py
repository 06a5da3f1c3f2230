"""A run leaves the laptop: as a graph of ONNX with all that belongs to it, in the formats of `formats`."""
