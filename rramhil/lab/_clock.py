"""The wall clock as the lab writes it down: UTC, ISO 8601, microseconds, so that text sorts."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_now() -> str:
    """Say what time it is, such as "2026-01-31T09:30:00.000000+00:00"."""
    return datetime.now(UTC).isoformat(timespec="microseconds")
