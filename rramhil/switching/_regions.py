"""Free rectangles of a macro.

Owns: which rectangles of a grid are still free while others are taken out of it. Knows neither
matrices nor chips; rows of the grid are whatever the caller counts.
"""

from __future__ import annotations

from typing import NamedTuple


class Region(NamedTuple):
    """Rows `top` to `bottom` and columns `left` to `right` of a grid, ends excluded."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def height(self) -> int:
        """Rows."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Columns."""
        return self.right - self.left

    def meets(self, other: Region) -> bool:
        """Whether the two share anything."""
        return (
            self.top < other.bottom
            and other.top < self.bottom
            and self.left < other.right
            and other.left < self.right
        )

    def holds(self, other: Region) -> bool:
        """Whether the other lies wholly inside."""
        return (
            self.top <= other.top
            and self.bottom >= other.bottom
            and self.left <= other.left
            and self.right >= other.right
        )


def without(free: list[Region], taken: Region) -> list[Region]:
    """Return the largest free rectangles that are left when `taken` is taken out of all of them."""
    parts = [part for region in free if region.meets(taken) for part in _around(region, taken)]
    kept = [region for region in free if not region.meets(taken)]
    # the largest first, so that what lies inside another comes after it
    for part in sorted(set(parts), key=lambda part: part.height * part.width, reverse=True):
        if not any(region.holds(part) for region in kept):
            kept.append(part)
    return kept


def _around(region: Region, taken: Region) -> list[Region]:
    """Return the largest parts of a region beside what is taken out of it."""
    top, bottom, left, right = region
    parts = [
        Region(top, min(bottom, taken.top), left, right),
        Region(max(top, taken.bottom), bottom, left, right),
        Region(top, bottom, left, min(right, taken.left)),
        Region(top, bottom, max(left, taken.right), right),
    ]
    return [part for part in parts if part.height > 0 and part.width > 0]
