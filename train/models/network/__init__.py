"""Networks trained from end to end."""
