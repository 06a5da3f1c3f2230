"""Drawing in perspective: camera, canvas, spans of pixels, light."""
