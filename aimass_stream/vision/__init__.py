"""Pure algorithms of sight on numpy and OpenCV: how a picture fits a network's input, and what its outputs mean.

Boxes are (n, 4) float32 arrays of left, top, right, bottom in pixels, points (n, k, 2) of x, y; both of the picture
that the function speaks of. Nothing here loads a model or knows a session.
"""
