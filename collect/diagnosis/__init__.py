"""What would keep the tool or the photos from working: the environment, and causes in each folder of photos."""
