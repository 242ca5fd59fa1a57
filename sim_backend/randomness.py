"""Random numbers keyed by what is drawn, the same on every machine.

A key is 64 bits; `derive(key, number)` gives the key of one thing inside another: chip inside
board, stream inside chip, cell inside stream, pulse inside cell. The last derivation is the
random number itself, so nothing depends on sessions, batches, threads or call order.

The step is one of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): add a multiple of the golden
ratio, then a finaliser in which every input bit flips every output bit with probability near
one half. Everything is integer arithmetic modulo 2^64.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from sim_backend._jit import Word, kernel

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15
_FIRST = 0xBF58476D1CE4E5B9
_SECOND = 0x94D049BB133111EB

GOLDEN = np.uint64(_GOLDEN)
FIRST = np.uint64(_FIRST)
SECOND = np.uint64(_SECOND)


class Stream(IntEnum):
    """What is drawn. Numbers are part of the bits: never reuse or renumber one."""

    CHIP = 1
    """(board, chip socket, generation) -> the chip's key."""
    BREAKDOWN = 2
    """(chip, cell) -> breakdown voltage."""
    UNFORMED = 3
    """(chip, cell) -> conductance before the first pulse."""
    FORMED = 4
    """(chip, cell with its FORM count) -> conductance after breakdown."""
    CONVERSION = 5
    """(chip, row, its conversion count) -> noise; one number serves four conversions."""
    CONVERSION_TAIL = 6
    """(chip, row, its conversion count) -> refinement of an extreme draw."""
    DEFECT = 7
    """(chip, kind, attempt) -> place of a defect that was asked for by number."""
    TIA_OFFSET = 8
    """(board, channel, range) -> offset at the ADC's input."""
    THRESHOLD = 9
    """(chip, cell) -> SET and RESET threshold voltages."""
    LEVEL = 10
    """(chip, cell) -> its own on and off levels."""
    LIFETIME = 11
    """(chip, cell) -> cycles until it sticks, and in which state."""
    SET = 12
    """(chip, cell with its FORM and SET count) -> level of that pulse, and whether it fails."""
    RESET = 13
    """(chip, cell with its RESET count) -> the same."""
    RELAXATION = 14
    """(chip, cell, how often it was switched, knot of its age) -> path of its relaxation."""
    TRAP = 15
    """(chip, cell) -> whether it jumps between two levels, how far and how often."""
    TELEGRAPH = 16
    """(chip, cell, telegraph slot) -> whether its state is drawn anew, and as what."""
    DAC = 20
    """(board, rail, kind of error) -> the error of a DAC channel."""
    DAC_REFERENCE = 21
    """(board) -> drift of the DACs' reference."""
    ADC = 22
    """(board, channel, kind of error) -> the error of a converter."""
    ADC_TRANSITION = 23
    """(board, channel, code - 1) -> how far a converter's transition lies off."""
    ADC_REFERENCE = 24
    """(board) -> drift of the converters' reference."""
    AMPLIFIER = 25
    """(board, channel, range, kind of error) -> the error of an amplifier."""
    REFERENCE = 26
    """(board, which, range, kind of error) -> the error of a reference."""
    MEASUREMENT = 27
    """(board, channel, its measurement count) -> noise; one number serves four conversions."""
    MEASUREMENT_TAIL = 28
    """(board, channel, its measurement count) -> refinement of an extreme draw."""
    LINK_FAULT = 30
    """(seed of the faults, direction, fault, frame number) -> whether and where it strikes."""


def board_key(seed: int) -> int:
    """Key of a board with this seed.

    Parameters
    ----------
    seed : int
        0 to 2^64 - 1.
    """
    return child(seed, 0)


def child(key: int, *numbers: int) -> int:
    """Key of a thing inside another, by Python integers; the same as `derive` repeated."""
    for number in numbers:
        mixed = (key + (number + 1) * _GOLDEN) & _MASK
        mixed = ((mixed ^ (mixed >> 30)) * _FIRST) & _MASK
        mixed = ((mixed ^ (mixed >> 27)) * _SECOND) & _MASK
        key = mixed ^ (mixed >> 31)
    return key


def children(key: int, count: int) -> np.ndarray:
    """Keys of things 0 to count - 1 inside another, as (count,) uint64."""
    return np.array([child(key, number) for number in range(count)], dtype=np.uint64)


@kernel
def derive(key: Word, number: Word) -> Word:
    """Key of thing `number` inside the thing with this key; also the random number itself."""
    return finished(key + (number + np.uint64(1)) * GOLDEN)


@kernel
def finished(mixed: Word) -> Word:
    """Let every bit of a key and a multiple of `GOLDEN` count: the rest of `derive`."""
    mixed = (mixed ^ (mixed >> np.uint64(30))) * FIRST
    mixed = (mixed ^ (mixed >> np.uint64(27))) * SECOND
    return mixed ^ (mixed >> np.uint64(31))
