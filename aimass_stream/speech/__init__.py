"""What hearing and speaking have in common: words, the contracts of recognisers and voices, and pure algorithms.

Nothing here touches a model or a session; engines, stages and protocols all may import it.
"""
