"""The arithmetic of the simulated board's kernels once more, from the rules, in Python integers.

Shares the committed table files with the kernels and nothing else.
"""

from __future__ import annotations

from importlib import resources

import numpy as np


def table(name: str) -> list[int]:
    data = (resources.files("sim_backend.tables") / f"{name}.i32").read_bytes()
    return np.frombuffer(data, "<i4").tolist()


NORMAL, TAIL, EXP2 = table("normal"), table("tail"), table("exp2")


def normal_at(first: int, fine: int) -> int:
    if first >= 65536 - 16:
        return TAIL[(first - (65536 - 16)) * 4096 + fine]
    if first < 16:
        return -TAIL[(15 - first) * 4096 + (4095 - fine)]
    return NORMAL[first]


def normal(bits: int) -> int:
    return normal_at(bits & 0xFFFF, bits >> 16 & 0xFFF)


def scaled(mean: int, sd: int, number: int) -> int:
    return mean + ((sd * number + 2**19) >> 20)


def power_of_two(exponent: int) -> int:
    whole, index, rest = exponent >> 20, exponent >> 10 & 1023, exponent & 1023
    mantissa = (EXP2[index] << 10) + (EXP2[index + 1] - EXP2[index]) * rest
    shift = 39 - min(max(whole, 0), 31)
    return min((mantissa + (1 << shift >> 1)) >> shift, 2**32 - 1)


def log2(value: int) -> int:
    """floor(2^16 log2(value)) by the same squaring, truncated to 31 bits at each step."""
    whole = value.bit_length() - 1
    mantissa, result = value << (31 - whole), whole
    for _ in range(16):
        mantissa = mantissa * mantissa >> 31
        bit = mantissa >> 32
        mantissa >>= bit
        result = result << 1 | bit
    return result
