"""Our own torch networks, one file each, named by a model's manifest; torch is imported by those files only."""
