"""What leaves for the Hugging Face Hub and comes back, a dataset or a model alike."""
