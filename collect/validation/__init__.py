"""From facts to a photo or a rejection: labels, tracks, times, rules, flags. Pure functions over values."""
