"""What a model looks at: parts of a photo, and classes of things over a whole evaluation."""
