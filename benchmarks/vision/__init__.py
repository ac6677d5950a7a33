"""What `make bench-vision` runs: painting and seeing, measured at a client over WebRTC, or picture by picture."""
