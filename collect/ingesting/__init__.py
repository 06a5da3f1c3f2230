"""The ingest itself: files in worker processes, outcomes, the index of sources, the order of writes."""
