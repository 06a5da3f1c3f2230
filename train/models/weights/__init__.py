"""First weights: the layouts of other projects' files, what fits a network, and what lies on this machine."""
