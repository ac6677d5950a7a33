"""Seeing with models: which finder is taken, how a picture becomes its input, what its outputs mean in the picture."""
