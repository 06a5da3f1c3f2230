"""From a name to facts and pixels: the walk, the formats, the EXIF, the working copy."""
