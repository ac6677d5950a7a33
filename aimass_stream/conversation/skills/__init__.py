"""What the built-in assistant can do: one file a skill, named in `tools.BUILT_IN`."""
