"""Photos come in: scanned, read by workers, judged, stored, committed."""
