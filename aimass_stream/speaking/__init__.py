"""Voices: from words to sound, clause by clause."""
