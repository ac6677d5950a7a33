"""The model hub: what is built in and what people upload, in versions that never change, deployed by name."""
