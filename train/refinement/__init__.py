"""Labels that get better by themselves: positions from a phone's drift and from models that had not seen the walk."""
