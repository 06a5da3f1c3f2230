"""The service and its page: photos in by HTTP, positions out, whatever model stands behind it. It needs no torch."""
