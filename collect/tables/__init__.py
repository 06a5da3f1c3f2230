"""Tables of positions that people and other programs write: one reader for labels and for imported corrections."""
