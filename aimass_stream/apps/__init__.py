"""The app centre: saved pipelines with a name, what of them can be set, a review before everybody sees them, and how
they do."""
