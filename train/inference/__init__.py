"""A trained model answers: load it, locate photos and walks, write the answers."""
