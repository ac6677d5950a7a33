"""Recognisers, voice activity and turns: from sound to words, over the inference engine."""
