"""What the pages that a command serves share: who may talk to them, and how a server listens and ends."""
