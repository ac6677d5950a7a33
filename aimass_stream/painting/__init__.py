"""Painting without networks: names of styles, steadiness over time, colours, and how near one manner is to another."""
