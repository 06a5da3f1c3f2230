"""What stands on a generated campus: blocks, walls, trees, ground."""
