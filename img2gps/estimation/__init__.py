"""What errors are made of: a phone's drift along a walk, a model's errors against the truth, and tomorrow's."""
