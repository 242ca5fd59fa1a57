"""Spoken digits: the recordings, mel bands of them, and the features that the paper used."""

from __future__ import annotations

import io
import wave
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rramhil.datasets.verify import verified

Float32Array = npt.NDArray[np.float32]
Int16Array = npt.NDArray[np.int16]
IntArray = npt.NDArray[np.int64]
UInt8Array = npt.NDArray[np.uint8]

BANDS, TIMES = 23, 20
"""Of the features, those of the paper and those made here."""

_RATE_HZ = 8000
_WINDOW, _HOP = 400, 200
"""Samples: 50 ms, of which half are new; 20 windows see the first 0.5 s of a recording."""

_LOWEST_HZ = 60.0
_RANGE_DB = 60.0
"""What lies further below a recording's strongest band counts as silence."""


class Recordings(NamedTuple):
    """Recordings of the Free Spoken Digit Dataset; entry n of each belongs to recording n.

    Attributes
    ----------
    waves : tuple of (samples,) int16
        8,000 samples a second.
    digits : (3000,) int64
        0 to 9.
    speakers : tuple of str
    takes : (3000,) int64
        0 to 49, by speaker and digit.
    """

    waves: tuple[Int16Array, ...]
    digits: IntArray
    speakers: tuple[str, ...]
    takes: IntArray


class SpeechFeatures(NamedTuple):
    """Features (N, 23, 20) float32, 0 to 1, and digits (N,) uint8 of two parts."""

    train_features: Float32Array
    train_digits: UInt8Array
    test_features: Float32Array
    test_digits: UInt8Array


def read_fsdd(root: Path) -> Recordings:
    """Read the recordings, in the order of their names.

    Parameters
    ----------
    root : Path
        The folder of data sets.

    Raises
    ------
    NotFound, DataError
        See `verified`.
    """
    with verified(root, "fsdd") as tree:
        names = [name for name in tree.names if name.startswith("recordings/")]
        waves = tuple(_read_wave(tree.read(name)) for name in names)
    said = [Path(name).stem.split("_") for name in names]
    return Recordings(
        waves,
        np.array([int(digit) for digit, _, _ in said]),
        tuple(speaker for _, speaker, _ in said),
        np.array([int(take) for _, _, take in said]),
    )


def read_fsdd_features(root: Path) -> SpeechFeatures:
    """Read the features that the paper's authors published.

    Raises
    ------
    NotFound, DataError
        See `verified`.
    """
    with verified(root, "fsdd-features") as tree:
        return SpeechFeatures(
            *(
                np.load(io.BytesIO(tree.read(f"{name}.npy")), allow_pickle=False)
                for name in ("train_x", "train_y", "test_x", "test_y")
            )
        )


def mel_bands(waves: Sequence[Int16Array]) -> Float32Array:
    """Power in 23 mel bands at 20 times of each recording, in decibels, scaled to 0 to 1.

    Windows of 50 ms begin every 25 ms; the first is centred on the first sample, and what a short
    recording lacks is silence. 1 is the strongest band of the recording, 0 is 60 dB below it or
    less, so that loudness does not matter. Nothing is fitted to data.

    Returns
    -------
    (N, 23, 20) float32
    """
    bank, window = _mel_bank(), np.hanning(_WINDOW)
    features = np.empty((len(waves), BANDS, TIMES), dtype=np.float32)
    for feature, samples in zip(features, waves, strict=True):
        heard = np.zeros(_WINDOW + _HOP * (TIMES - 1))
        part = samples[: len(heard) - _WINDOW // 2]
        heard[_WINDOW // 2 :][: len(part)] = part
        frames = np.lib.stride_tricks.sliding_window_view(heard, _WINDOW)[::_HOP]
        power = bank @ np.square(np.abs(np.fft.rfft(frames * window))).T
        power_db = 10 * np.log10(power + np.finfo(np.float32).tiny)
        feature[:] = np.clip(1 + (power_db - power_db.max()) / _RANGE_DB, 0, 1)
    return features


def _mel_bank() -> npt.NDArray[np.float64]:
    """Triangles of equal width on the mel scale, m = 2595 log10(1 + f / 700 Hz): (bands, bins)."""
    ends = 2595 * np.log10(1 + np.array([_LOWEST_HZ, _RATE_HZ / 2]) / 700)
    edges_hz = 700 * (10 ** (np.linspace(ends[0], ends[1], BANDS + 2) / 2595) - 1)
    bins_hz = np.fft.rfftfreq(_WINDOW, 1 / _RATE_HZ)
    rising = (bins_hz - edges_hz[:-2, None]) / np.diff(edges_hz)[:-1, None]
    falling = (edges_hz[2:, None] - bins_hz) / np.diff(edges_hz)[1:, None]
    return np.clip(np.minimum(rising, falling), 0, None)


def _read_wave(content: bytes) -> Int16Array:
    with wave.open(io.BytesIO(content)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
