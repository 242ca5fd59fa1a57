"""Which board and which lab are meant when the command line does not say.

Owns: the order in which a setting is looked for, and where it was found. First the option of the
command, then the environment (RRAMHIL_BOARD, RRAMHIL_LAB), then `rramhil.toml` in the current
folder, then the default. The file reads::

    [board]
    address = "tcp://bench.example:7070"

    [lab]
    folder = "lab"        # relative to the file
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from rramhil.errors import UsageError
from rramhil.lab.folder import default_root

T = TypeVar("T")

FILE_NAME = "rramhil.toml"
DEFAULT_BOARD = "sim://"


@dataclass(frozen=True)
class Settings:
    """What is in force, and where each value came from, in words.

    Attributes
    ----------
    board : str
        Address of the board.
    lab : Path
        Lab folder, absolute.
    board_from, lab_from : str
        "--board", "RRAMHIL_BOARD", the path of the file, or "default"; the same for the lab.
    """

    board: str
    board_from: str
    lab: Path
    lab_from: str


def resolve(board: str | None = None, lab: Path | None = None) -> Settings:
    """Find the settings in force.

    Parameters
    ----------
    board, lab : str, Path, optional
        What the command's own options say; they come first.

    Raises
    ------
    UsageError
        `rramhil.toml` cannot be read, or has something in it that means nothing.
    """
    environment, file = _Environment(), _read_file()
    board_address, board_from = _first(
        (board, "--board"),
        (environment.board, "RRAMHIL_BOARD"),
        (file.board.address, FILE_NAME),
        default=DEFAULT_BOARD,
    )
    folder, lab_from = _first(
        (lab, "--lab"),
        (environment.lab, "RRAMHIL_LAB"),
        (file.lab.folder, FILE_NAME),
        default=default_root(),
    )
    return Settings(board_address, board_from, folder.expanduser().absolute(), lab_from)


class _Environment(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="RRAMHIL_", env_ignore_empty=True, extra="ignore")

    board: str | None = None
    lab: Path | None = None


def _not_empty(value: Any) -> Any:
    # an empty path would mean the current folder
    if isinstance(value, str) and not value.strip():
        raise ValueError("it is empty")
    return value


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _BoardTable(_Table):
    address: Annotated[str, BeforeValidator(_not_empty)] | None = None


class _LabTable(_Table):
    folder: Annotated[Path, BeforeValidator(_not_empty)] | None = None


class _File(BaseSettings):
    model_config = SettingsConfigDict(toml_file=FILE_NAME, extra="forbid")

    board: _BoardTable = _BoardTable()
    lab: _LabTable = _LabTable()

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], *_sources: PydanticBaseSettingsSource, **_: object
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read nothing but the file; the environment is looked at by itself."""
        return (TomlConfigSettingsSource(settings_cls),)


def _read_file() -> _File:
    path = Path(FILE_NAME)
    if path.exists() and not path.is_file():
        raise _unreadable("it is not a file")
    try:
        return _File()
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in fault["loc"])
        cause = fault["msg"].removeprefix("Value error, ")
        raise _unreadable(f"{key}: {cause[0].lower()}{cause[1:]}") from error
    except (OSError, ValueError) as error:
        # ValueError covers bytes that are no UTF-8 and text that is no TOML
        raise _unreadable(str(error)) from error


def _unreadable(why: str) -> UsageError:
    return UsageError(
        f"{Path(FILE_NAME).absolute()} cannot be used: {why}.",
        "It may hold [board] address and [lab] folder; see the user guide.",
    )


def _first(*candidates: tuple[T | None, str], default: T) -> tuple[T, str]:
    for value, origin in candidates:
        if value is not None:
            return value, origin
    return default, "default"
