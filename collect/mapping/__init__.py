"""A basemap from OpenStreetMap or from layers of one's own."""
