"""Janus' VideoRoom as a room."""

from __future__ import annotations

from .videoroom import Door, JanusJoin

__all__ = ["Door", "JanusJoin"]
