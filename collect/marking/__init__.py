"""What photos show, marked by a person: polygons of classes, and the masks that they make."""
