"""What `make bench-speech` runs: hearing, speaking and conversing, measured at a client over real sockets."""
