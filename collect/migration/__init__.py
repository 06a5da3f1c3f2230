"""Datasets of earlier schemas, written anew as this version would have written them."""
