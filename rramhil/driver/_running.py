"""A run of a gate schedule that is under way.

Owns: waiting for its frames, and the end of a halt that one of them caused.
"""

from __future__ import annotations

from firmware_protocol.messages import Command
from rramhil.driver._halts import clear_and_raise
from rramhil.driver._multiply import joined, run_result
from rramhil.driver.link import Link
from rramhil.driver.values import RunResult


class RunningSchedule:
    """Sends the frames of a run when it is made.

    Parameters
    ----------
    link : Link
    bodies : list of bytes
        Of the frames.
    """

    def __init__(self, link: Link, bodies: list[bytes]) -> None:
        self._link = link
        self._in_flight = link.start(Command.RUN_SCHEDULE, bodies)

    def result(self) -> RunResult:
        """What the board computed, once it has.

        Raises
        ------
        BoardError, LinkLost
            The board refused a frame, or is gone. Runs that were started later are skipped then.
        """
        requests = self._in_flight.wait()
        clear_and_raise(self._link, requests)
        return joined([run_result(request.reply or b"") for request in requests])
