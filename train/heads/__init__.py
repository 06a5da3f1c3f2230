"""Heads on frozen features: each turns the features of a photo into a distribution over the cells of the site."""
