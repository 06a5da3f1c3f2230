"""Two datasets of one site become one: two laptops, one campus."""
