"""Conversation: turns, a brain, its skills, and an ear that never hears itself."""
