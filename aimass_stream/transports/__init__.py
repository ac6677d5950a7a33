"""Ways in and out: each turns bytes into frames and back, and knows nothing of its siblings."""
