"""From a scene to pixels: sky, ground, solids, sprites."""
