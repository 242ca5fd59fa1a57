"""A board: its identity, its state, its chips. What `rramhil.open` returns."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

import numpy as np

from firmware_protocol.messages import (
    ChipReply,
    ChipRequest,
    ClearRequest,
    Command,
    DescribeReply,
    Feature,
    MeasureReply,
    MeasureRequest,
    MeasureSource,
    OutcomeKind,
    OutcomeReply,
    OutcomeRequest,
    Rail,
    Role,
    StatusReply,
    SwitchesReply,
    SwitchesRequest,
    WaitRequest,
)
from rramhil.driver import limits
from rramhil.driver._halts import ask
from rramhil.driver.chip import Chip
from rramhil.driver.description import Description
from rramhil.driver.link import Link
from rramhil.driver.values import Counters, Identity, Lines, Measurement, Outcome, line_numbers
from rramhil.errors import NotFound
from rramhil.transport import open_pipe

WAIT_MAX_NS = 60_000_000_000
"""The most that one WAIT takes, by the protocol."""
_LONGEST_WAIT_S = 366 * 86_400
_WAITS = 1_000
"""Commands of one wait that are prepared together."""


class Board:
    """An open board. Use it in a `with` block; leaving it leaves the board safe.

    Parameters
    ----------
    link : Link
        Session with the board; owned by the board from now on.
    address : str
        How it was reached.

    Attributes
    ----------
    identity : Identity
        Name, serial number, firmware.
    description : Description
        Geometry, converters, limits.
    """

    def __init__(self, link: Link, address: str) -> None:
        self.link = link
        hello = link.hello
        self.identity = Identity(
            name=hello.board,
            serial=hello.serial,
            firmware=hello.firmware,
            simulated=bool(hello.features & Feature.SIMULATED),
            chips=hello.chips,
            protocol_version=hello.version,
            address=address,
        )
        self.description = Description.from_reply(
            DescribeReply.unpack(link.request(Command.DESCRIBE))
        )

    @classmethod
    def open(
        cls,
        address: str,
        *,
        lab_root: Path,
        role: Role = Role.CONTROLLER,
        record: Path | None = None,
    ) -> Board:
        """Open the board at an address.

        Parameters
        ----------
        address : str
            `sim://`, `tcp://host:port`, `serial:///dev/...`, `tape:///file` or a VISA string.
        lab_root : Path
            The lab folder, where simulated boards live.
        role : Role
            An observer may look while another controls.
        record : Path, optional
            Write everything that crosses the wire to this tape.

        Raises
        ------
        NotFound, BoardHeld, ProtocolMismatch, LinkLost
            See the table in `rramhil.errors`.
        """
        link = Link(open_pipe(address, lab_root=lab_root, record=record), role=role)
        try:
            return cls(link, address)
        except BaseException:
            link.close()
            raise

    def __enter__(self) -> Board:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the session; the board goes to its safe state. Never raises."""
        self.link.close()

    def chip(self, number: int) -> Chip:
        """The chip in a socket.

        Raises
        ------
        NotFound
            The board has no such socket.
        """
        if not 0 <= number < self.identity.chips:
            raise NotFound(
                f"There is no chip {number} on board {self.identity.serial}; "
                f"it has chips 0 to {self.identity.chips - 1}.",
                "`rramhil board info` lists them.",
            )
        return Chip(self.link, self.description, number, self.counters(number).chip_serial)

    def status(self) -> StatusReply:
        """Get the board's state, clock and temperature."""
        return StatusReply.unpack(self.link.request(Command.STATUS))

    def counters(self, chip: int) -> Counters:
        """Get the serial number and the non-volatile counts of the chip in a socket."""
        return Counters(
            *ChipReply.unpack(self.link.request(Command.CHIP, ChipRequest(chip).pack()))
        )

    def switches(self, chip: int) -> bytes:
        """Get the bit-line switches as read back: 1,024 bits, two a bit line."""
        body = self.link.request(Command.SWITCHES, SwitchesRequest(chip).pack())
        return SwitchesReply.unpack(body).bits

    def outcome(self, session: int, sequence: int) -> Outcome:
        """Get what became of a pulse frame, of this or an earlier session."""
        request = OutcomeRequest(session, sequence)
        reply = OutcomeReply.unpack(self.link.request(Command.OUTCOME, request.pack()))
        return Outcome(OutcomeKind(reply.kind), reply.operation)

    def wait(self, duration_s: float) -> None:
        """Let board time pass; nothing else happens.

        Parameters
        ----------
        duration_s : float
            In s, from 1 ns to a year. The board takes a minute at once; longer waits take several
            commands.

        Raises
        ------
        ValueError
            It is shorter or longer, or not a number.
        """
        if not 1e-9 <= duration_s <= _LONGEST_WAIT_S:
            raise ValueError(
                f"A wait takes at least 1 ns and at most {_LONGEST_WAIT_S} s, not {duration_s:g} s."
            )
        left_ns = round(duration_s * 1e9)
        while left_ns > 0:
            whole, rest_ns = divmod(min(left_ns, _WAITS * WAIT_MAX_NS), WAIT_MAX_NS)
            parts_ns = [WAIT_MAX_NS] * whole + [rest_ns] * (rest_ns > 0)
            self.link.request_many(Command.WAIT, [WaitRequest(ns).pack() for ns in parts_ns])
            left_ns -= sum(parts_ns)

    def measure(
        self,
        source: MeasureSource,
        *,
        rail: Rail = Rail.SOURCE,
        range_index: int = 0,
        dac_code: int = 0,
        conversions: int = 16,
        channels: Lines = slice(None),
    ) -> Measurement:
        """Measure a reference in place of the array; the board goes to its safe state for it.

        Parameters
        ----------
        source : MeasureSource
            What is switched to the channels.
        rail : Rail
            Rail that RAIL measures.
        range_index : int
            TIA range of OPEN and RESISTOR.
        dac_code : int
            Of RAIL_A for RESISTOR, of the rail measured for RAIL.
        conversions : int
            Codes to sum for each channel, 1 to 65,535.
        channels : slice, int or ascending ints
            ADC channels.

        Raises
        ------
        LimitRefused
            RAIL_A would put more on the resistor than the board allows.
        BoardError, LinkLost
            The board refused, or is gone.
        """
        numbers = line_numbers(channels, self.description.channels, "channel")
        if source == MeasureSource.RESISTOR:
            limits.check_resistor(self.description, dac_code)
        request = MeasureRequest(
            source=source,
            rail=rail if source == MeasureSource.RAIL else 0,
            range=range_index,
            reserved=0,
            dac_code=dac_code,
            conversions=conversions,
            channel_mask=int((1 << numbers).sum()),
        )
        body = ask(self.link, Command.MEASURE, request.pack())
        reply = MeasureReply.unpack(body)
        return Measurement(
            channels=numbers,
            sums=np.frombuffer(body, "<u4", offset=MeasureReply.SIZE).astype(np.uint32),
            conversions=conversions,
            temperature_k=reply.temperature_mk / 1000,
            board_time_ns=reply.board_time_ns,
        )

    def abort(self) -> None:
        """Stop after the running operation, drop what is queued, go to the safe state."""
        self.link.now(Command.ABORT)

    def estop(self) -> None:
        """Emergency stop: as `abort`, and nothing touches the array until `clear_estop`."""
        self.link.now(Command.ESTOP)

    def clear_estop(self) -> None:
        """End an emergency stop."""
        self.link.request(Command.CLEAR, ClearRequest(0).pack())
