"""numpy dtypes of what repeats in messages. Generated from spec.toml; do not edit."""

from __future__ import annotations

import numpy as np

PULSE_ROW = np.dtype(
    [
        ("row", "<u2"),
        ("word_code", "<u2"),
        ("source_code", "<u2"),
        ("bit_code", "<u2"),
        ("inhibit_code", "<u2"),
        ("reserved", "<u2"),
        ("width_ns", "<u4"),
        ("column_mask", "u1", (64,)),
    ]
)
"""One pulse on one row: the selected columns see it, the others are inhibited. (80 bytes)"""

POINT = np.dtype(
    [
        ("row", "<u2"),
        ("column", "<u2"),
    ]
)
"""One cell to measure. (4 bytes)"""

POINT_RESULT = np.dtype(
    [
        ("code", "<u2"),
        ("status", "<u2"),
    ]
)
"""What one cell read. (4 bytes)"""

SAMPLE = np.dtype(
    [
        ("row", "<u2"),
        ("accumulator", "<u2"),
        ("use", "u1"),
        ("reserved", "u1"),
    ]
)
"""What one ADC channel does in a step of a gate schedule. (6 bytes)"""

STEP = np.dtype(
    [
        ("range", "u1"),
        ("reserved", "u1"),
        ("gate", "u1", (64,)),
        ("samples", SAMPLE, (8,)),
    ]
)
"""A step of a gate schedule: bit lines that follow the input, and rows sampled then. (114 bytes)"""
