"""Whether a board has what its faults are of.

Owns nothing but these checks, and the sentence that says what there is.
"""

from __future__ import annotations

import numpy as np

from sim_backend.defects import place
from sim_backend.errors import OutOfRange
from sim_backend.faults.model import DeadChannel, DriftingTia, Faults, StuckSwitch
from sim_backend.profile import Profile


def refuse_what_is_not_there(faults: Faults, profile: Profile, chips: int) -> None:
    """Refuse faults of lines, channels, codes, ranges or sockets that a board does not have.

    Raises
    ------
    OutOfRange
        Key, value and what there is.
    """
    converters = profile.converters
    channels, ranges = converters.channels.value, len(converters.ranges)
    codes = 1 << converters.adc_bits.value
    wanted: list[tuple[str, int, int]] = []
    for stuck in faults.of_board(StuckSwitch):
        wanted += [
            ("stuck_switch.chip", stuck.chip, chips),
            ("stuck_switch.line", stuck.line, profile.array.columns.value),
        ]
    for dead in faults.of_board(DeadChannel):
        wanted += [
            ("dead_channel.channel", dead.channel, channels),
            ("dead_channel.code", dead.code, codes),
        ]
    for drift in faults.of_board(DriftingTia):
        wanted += [
            ("drifting_tia.channel", drift.channel, channels),
            ("drifting_tia.range", drift.range, ranges),
        ]
    for key, value, count in wanted:
        if value >= count:
            raise OutOfRange(f"Fault {key} is {value}: this board has 0 to {count - 1}.")
    shape = profile.array.rows.value, profile.array.columns.value
    # tried where it leaves no trace, so that no board is half made when a chip cannot be
    place(faults.chip, 0, 0, np.zeros(shape, dtype=np.uint32), np.zeros(shape, dtype=np.uint8))
