"""Who walks and with what: walks, views, phones, receivers, damaged files."""
