"""What a model is, the kinds there are, and the parts that several kinds share."""
