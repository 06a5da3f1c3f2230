"""The page that corrects labels, and the queue of those that need it."""
