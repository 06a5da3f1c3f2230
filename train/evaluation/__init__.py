"""What a model is worth: errors with intervals, beside what needs no model, by walk, day, light and place."""
