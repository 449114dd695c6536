"""Oracles: the definitions as loops over indices, one family a file.  They know of no trick, and are slow."""
