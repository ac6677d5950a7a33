"""AI Mass Stream: AI models as a service for live media."""

__version__ = "0.1.0"
