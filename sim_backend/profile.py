"""The board profile: every number of the simulated board, each with its source.

Owns the shape of `profiles/*.toml` and checks it. Values are `int`, `str` or exact `Decimal`,
in the unit that ends the name; the integers which the kernels use are derived in
`fixedpoint`. Knows no kernel and no state.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from decimal import Decimal
from functools import cache
from importlib import resources
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sim_backend.errors import ProfileError

T = TypeVar("T")
P = TypeVar("P", bound=BaseModel)

Source = Literal["measured", "datasheet", "paper", "assumed"]
Positive = Annotated[Decimal, Field(gt=0)]
NotNegative = Annotated[Decimal, Field(ge=0)]
Count = Annotated[int, Field(gt=0)]
Share = Annotated[Decimal, Field(ge=0, le=1)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Fact(_Part, Generic[T]):
    """One number of the profile: its value, where it comes from, and a remark."""

    value: T
    source: Source
    note: str = ""


class Array(_Part):
    """Geometry of the macro."""

    rows: Fact[Count]
    columns: Fact[Count]
    line_order: Fact[Literal["identity"]]


class Forming(_Part):
    """Statistics of breakdown and of the conductance that follows it."""

    breakdown_mean_v: Fact[Positive]
    breakdown_sd_v: Fact[Positive]
    reference_width_ns: Fact[Count]
    slope_v_per_decade: Fact[Positive]
    conductance_mean_uS: Fact[Positive]
    conductance_sd_uS: Fact[Positive]
    reference_compliance_a: Fact[Positive]
    unformed_mean_uS: Fact[Positive]
    unformed_sd_uS: Fact[Positive]
    shorted_uS: Fact[Positive]


class Switching(_Part):
    """Statistics of SET and RESET of formed cells; spreads are sd / mean of lognormals."""

    reference_width_ns: Fact[Count]
    slope_v_per_decade: Fact[Positive]
    set_voltage_mean_v: Fact[Positive]
    set_voltage_sd_v: Fact[Positive]
    reset_voltage_mean_v: Fact[Positive]
    reset_voltage_sd_v: Fact[Positive]
    on_mean_uS: Fact[Positive]
    on_spread_devices: Fact[Positive]
    on_spread_cycles: Fact[Positive]
    off_mean_uS: Fact[Positive]
    off_spread_devices: Fact[Positive]
    off_spread_cycles: Fact[Positive]
    set_failure: Fact[Share]
    reset_failure: Fact[Share]


class Endurance(_Part):
    """How long cells switch, and what wears."""

    median_cycles: Fact[Count]
    spread_cycles: Fact[Positive]
    stuck_on_share: Fact[Share]
    worn_on_ratio: Fact[Positive]
    worn_off_ratio: Fact[Positive]


class Rail(_Part):
    """One supply rail behind a DAC channel."""

    full_scale_v: Fact[Positive]
    limit_a: Fact[Positive]


class Rails(_Part):
    """The rails, in the order of the protocol's `Rail` and of the DAC registers."""

    SOURCE: Rail
    WORD: Rail
    RAIL_A: Rail
    RAIL_B: Rail


class Range(_Part):
    """One gain range of the transimpedance amplifiers."""

    per_code_uS: Fact[Positive]
    settle_ns: Fact[Count]
    reference_uS: Fact[Positive]


class Converters(_Part):
    """DACs, ADCs and the amplifiers in front of them."""

    dac_bits: Fact[Count]
    dac_settle_ns: Fact[Count]
    adc_bits: Fact[Count]
    adc_span_v: Fact[Positive]
    adc_noise_codes: Fact[NotNegative]
    conversion_ns: Fact[Count]
    channels: Fact[Count]
    pedestal: Fact[Count]
    zero_conversions: Fact[Count]
    tia_offset_v: Fact[Positive]
    ranges: Annotated[tuple[Range, ...], Field(min_length=1, max_length=4)]


class DacErrors(_Part):
    """The most by which a DAC channel is off, either way; drifts count from 25 C."""

    offset_v: Fact[NotNegative]
    gain_relative: Fact[NotNegative]
    inl_codes: Fact[NotNegative]
    offset_drift_v_per_k: Fact[NotNegative]
    gain_drift_per_k: Fact[NotNegative]
    reference_drift_per_k: Fact[NotNegative]


class AdcErrors(_Part):
    """The most by which a converter is off, either way; drifts count from 25 C."""

    offset_codes: Fact[NotNegative]
    gain_relative: Fact[NotNegative]
    inl_codes: Fact[NotNegative]
    dnl_codes: Fact[Annotated[Decimal, Field(ge=0, lt=0.5)]]
    offset_drift_codes_per_k: Fact[NotNegative]
    gain_drift_per_k: Fact[NotNegative]
    reference_drift_per_k: Fact[NotNegative]


class AmplifierErrors(_Part):
    """The most by which an amplifier is off, either way, and where its output ends."""

    gain_relative: Fact[NotNegative]
    gain_drift_per_k: Fact[NotNegative]
    offset_drift_v_per_k: Fact[NotNegative]
    limit_v: Fact[Positive]


class Errors(_Part):
    """Bounds of what is drawn for each board, but for `converters.tia_offset_v`."""

    dac: DacErrors
    adc: AdcErrors
    amplifier: AmplifierErrors


class References(_Part):
    """What the board carries to calibrate itself by; the resistors are in its ranges."""

    voltage_v: Fact[Positive]
    voltage_tolerance: Fact[NotNegative]
    divider: Fact[Positive]
    divider_tolerance: Fact[NotNegative]
    resistor_tolerance: Fact[NotNegative]
    resistor_max_v: Fact[Positive]
    drift_per_k: Fact[NotNegative]


class Reading(_Part):
    """How cells are read."""

    voltage_v: Fact[Positive]
    noise_relative: Fact[Annotated[Decimal, Field(ge=0, le=Decimal("0.2"))]]


class Switches(_Part):
    """Bit-line switches and their shift registers."""

    chains: Fact[Count]
    load_ns: Fact[Count]
    path_ohm: Fact[Count]


class Wires(_Part):
    """Resistances of the lines; that of a bit line's path is its switch's."""

    bit_segment_ohm: Fact[NotNegative]
    source_segment_ohm: Fact[NotNegative]
    source_path_ohm: Fact[NotNegative]


class WordLines(_Part):
    """The selecting transistors: gate voltage to compliance current."""

    threshold_v: Fact[Positive]
    compliance_a_per_v: Fact[Positive]
    full_on_v: Fact[Positive]


class Envelope(_Part):
    """Safe region of one pulse operation."""

    voltage_min_v: Fact[Positive]
    voltage_max_v: Fact[Positive]
    width_min_ns: Fact[Count]
    width_max_ns: Fact[Count]
    compliance_min_a: Fact[Positive]
    compliance_max_a: Fact[Positive]


class Envelopes(_Part):
    """Envelopes of the operations that this board carries out."""

    FORM: Envelope
    SET: Envelope
    RESET: Envelope


class Limits(_Part):
    """Limits of the board that are not part of an envelope."""

    points: Fact[Count]
    pulse_rows: Fact[Count]
    inhibit_tolerance_v: Fact[Positive]
    schedule_slots: Fact[Count]
    schedule_steps: Fact[Count]
    schedule_accumulators: Fact[Count]


class Environment(_Part):
    """Where the board stands when it is first switched on, and where it may be brought."""

    temperature_k: Fact[Positive]
    temperature_min_k: Fact[Positive]
    temperature_max_k: Fact[Positive]


class Profile(_Part):
    """A whole board; `load` reads one by name."""

    name: str
    board: str
    array: Array
    forming: Forming
    switching: Switching
    endurance: Endurance
    rails: Rails
    converters: Converters
    errors: Errors
    references: References
    reading: Reading
    switches: Switches
    wires: Wires
    word_lines: WordLines
    envelopes: Envelopes
    limits: Limits
    environment: Environment

    @property
    def digest(self) -> str:
        """SHA-256 over names and values; sources and notes may change without changing it."""
        return digest_of(self)


@cache
def load(name: str) -> Profile:
    """Read a profile that ships with the package.

    Parameters
    ----------
    name : str
        File name without `.toml`, e.g. "rram40_256k".

    Raises
    ------
    ProfileError
        There is no such profile, or it does not say what a profile must say.
    """
    file = resources.files("sim_backend") / "profiles" / f"{name}.toml"
    if not name.isidentifier() or not file.is_file():
        raise ProfileError(f"There is no board profile named {name!r}.")
    return parse(file.read_text(encoding="utf-8"), name)


def parse(text: str, name: str) -> Profile:
    """Read a profile from the text of its TOML file; `name` appears in errors.

    Raises
    ------
    ProfileError
        The text is no TOML, or a value is missing, unknown or out of range.
    """
    return parsed(Profile, text, f"Profile {name!r}")


def parsed(model: type[P], text: str, what: str) -> P:
    """Read a model made of facts from TOML, decimals exactly; `what` begins its errors.

    Raises
    ------
    ProfileError
        The text is no TOML, or a value is missing, unknown or out of range.
    """
    try:
        return model.model_validate(tomllib.loads(text, parse_float=Decimal))
    except tomllib.TOMLDecodeError as error:
        raise ProfileError(f"{what} is not valid TOML: {error}.") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ProfileError(f"{what}, {place}: {first['msg']}.") from error


def digest_of(part: BaseModel) -> str:
    """SHA-256 over names and values of a model made of facts, without sources and notes."""
    values = _values(part.model_dump())
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _values(part: Any) -> Any:
    """Strip a dumped profile down to names and values, decimals normalised to text."""
    if isinstance(part, dict):
        if "source" in part:
            return _values(part["value"])
        return {key: _values(value) for key, value in part.items()}
    if isinstance(part, list | tuple):
        return [_values(item) for item in part]
    if isinstance(part, Decimal):
        return f"{part.normalize():f}"
    return part
