"""A generated campus: buildings, ground, light, walks and phones that `collect.synthetic` turns into raw photos."""
