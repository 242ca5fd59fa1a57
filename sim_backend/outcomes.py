"""What became of the last pulse frames: the ring that makes a pulse fire exactly once.

Owns the ring's arrays inside the board's state file. The intent is stored before the first
pulse, the kernel notes each operation as it begins and ends, the completion is stored before
the reply leaves; killed anywhere in between, the ring still says what is known.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from firmware_protocol.messages import OUTCOME_RING, OutcomeKind
from sim_backend.cells import Progress
from sim_backend.state import Arrays, ArraySpec, Layout

RING_LAYOUT: Layout = {
    "ring_frames": ArraySpec("<u8", (1,)),
    "ring_session": ArraySpec("<u4", (OUTCOME_RING,)),
    "ring_sequence": ArraySpec("<u4", (OUTCOME_RING,)),
    "ring_chip": ArraySpec("u1", (OUTCOME_RING,)),
    "ring_operation": ArraySpec("u1", (OUTCOME_RING,)),
    "ring_count": ArraySpec("<u2", (OUTCOME_RING,)),
    "ring_started": ArraySpec("<u2", (OUTCOME_RING,)),
    "ring_finished": ArraySpec("<u2", (OUTCOME_RING,)),
    "ring_state": ArraySpec("u1", (OUTCOME_RING,)),
}


class _State(IntEnum):
    EMPTY = 0
    INTENT = 1
    COMPLETE = 2


class Outcome(NamedTuple):
    """Fate of a frame; `operation` as the protocol's OutcomeKind says."""

    kind: OutcomeKind
    operation: int


class OutcomeRing:
    """The last pulse frames, by session and sequence number."""

    def __init__(self, arrays: Arrays) -> None:
        self._arrays = arrays

    def intend(
        self, session: int, sequence: int, chip: int, operation: int, count: int
    ) -> Progress:
        """Record that a frame of `count` operations is about to be fired."""
        arrays = self._arrays
        slot = int(arrays["ring_frames"][0]) % OUTCOME_RING
        arrays["ring_state"][slot] = _State.EMPTY
        arrays["ring_session"][slot] = session
        arrays["ring_sequence"][slot] = sequence
        arrays["ring_chip"][slot] = chip
        arrays["ring_operation"][slot] = operation
        arrays["ring_count"][slot] = count
        arrays["ring_started"][slot] = 0
        arrays["ring_finished"][slot] = 0
        arrays["ring_state"][slot] = _State.INTENT
        arrays["ring_frames"][0] += 1
        return Progress(arrays["ring_started"], arrays["ring_finished"], slot)

    def complete(self, progress: Progress) -> None:
        """Record that the frame has ended; its progress says how far it came."""
        self._arrays["ring_state"][progress.slot] = _State.COMPLETE

    def outcome(self, session: int, sequence: int) -> Outcome:
        """What is known of a frame."""
        arrays = self._arrays
        same = (arrays["ring_session"] == session) & (arrays["ring_sequence"] == sequence)
        slots = (same & (arrays["ring_state"] != _State.EMPTY)).nonzero()[0]
        if len(slots) == 0:
            fresh = (session, sequence) > self._oldest()
            return Outcome(OutcomeKind.NOT_FIRED if fresh else OutcomeKind.FORGOTTEN, 0)
        slot = slots[0]
        started = int(arrays["ring_started"][slot])
        finished = int(arrays["ring_finished"][slot])
        if started != finished:
            return Outcome(OutcomeKind.IN_DOUBT, finished)
        return Outcome(OutcomeKind.FIRED if finished else OutcomeKind.NOT_FIRED, finished)

    def _oldest(self) -> tuple[int, int]:
        """Frame that was fired first of those kept; frames are fired in ascending order."""
        frames = int(self._arrays["ring_frames"][0])
        if frames < OUTCOME_RING:
            return (0, 0)
        slot = frames % OUTCOME_RING
        return (int(self._arrays["ring_session"][slot]), int(self._arrays["ring_sequence"][slot]))
