"""The conductance maps of a lab: one HDF5 file each, named by its content.

Owns: the folder of maps, ids, and finding a map by what people call it. A file is whole or not
there, and is refused when what is in it is not what was written.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rramhil._atomic import replacing
from rramhil.errors import LabUnusable, MapFileError, NotFound
from rramhil.lab import _hdf5
from rramhil.lab._map_parts import (
    ID_DIGITS,
    MapParts,
    NotAMapError,
    put_together,
    read_header,
    refuse_shapes,
    take_apart,
)
from rramhil.lab.conductance_map import ConductanceMap, MapInfo

LATEST = "latest"


@dataclass(frozen=True)
class MapEntry:
    """A map in a file, without its arrays.

    Attributes
    ----------
    id : str
        12 hexadecimal digits over the content.
    path : Path
        The HDF5 file.
    info : MapInfo
        Where the map comes from.
    reads, shape : int, (int, int)
        Number of reads; rows and columns.
    """

    id: str
    path: Path
    info: MapInfo
    reads: int
    shape: tuple[int, int]

    @property
    def heatmap(self) -> Path:
        """Where the map's heat map belongs; whoever draws it writes it there."""
        return self.path.with_name(f"{self.path.stem}.heatmap.png")


class MapStore:
    """The maps in a folder that exists."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # heads that were read, by file and what tells a file from one that was written over it:
        # the maps of many chips are listed once for each chip
        self._heads: dict[tuple[Path, int, int, int], MapEntry] = {}

    def save(self, measured: ConductanceMap) -> MapEntry:
        """Write a map, durably; the same map has the same file.

        Raises
        ------
        LabUnusable
            If it cannot be written.
        """
        parts = take_apart(measured)
        content_id = parts.content_id
        path = self.folder / f"{content_id}.h5"
        try:
            with replacing(path) as temporary:
                _hdf5.write(temporary, content_id, parts.header, parts.arrays)
        except OSError as error:
            raise LabUnusable(
                f"The map {content_id} cannot be written to {self.folder}: {error}.",
                "Check the folder's permissions and free space, or choose another with --lab.",
            ) from error
        return MapEntry(content_id, path, measured.info, measured.reads, measured.shape)

    def load(self, reference: str | Path, chip_serial: str | None = None) -> ConductanceMap:
        """Read a map; `find` says what it may be called.

        Raises
        ------
        NotFound
            If there is no such map.
        MapFileError
            If its file is damaged, or is no map.
        """
        return load_map(self.find(reference, chip_serial).path)

    def find(self, reference: str | Path, chip_serial: str | None = None) -> MapEntry:
        """Find a map.

        Parameters
        ----------
        reference : str or Path
            An id or the beginning of one, "latest", or the path of a file.
        chip_serial : str or None
            Look among this chip's maps only; does not matter for a path.

        Raises
        ------
        NotFound
            If there is no such map, or several begin so.
        MapFileError
            If the file that is meant is damaged, or is no map.
        """
        text = str(reference)
        if isinstance(reference, Path) or "/" in text or text.endswith(".h5"):
            return read_entry(Path(reference))
        whose = "" if chip_serial is None else f" of chip {chip_serial}"
        hint = "`rramhil map list` shows those there are."
        if text == LATEST:
            entries = self.list(chip_serial)
            if not entries:
                raise NotFound(f"There is no map{whose} in {self.folder}.", hint)
            return entries[0]
        # By name first: a damaged map that is asked for is refused, not overlooked.
        named = [
            read_entry(path)
            for path in self._files()
            if text and len(text) <= ID_DIGITS and path.stem.startswith(text.lower())
        ]
        if chip_serial is not None:
            named = [entry for entry in named if entry.info.chip_serial == chip_serial]
        if not named:
            raise NotFound(f"There is no map {text!r}{whose} in {self.folder}.", hint)
        if len(named) > 1:
            ids = ", ".join(sorted(entry.id for entry in named))
            raise NotFound(
                f"{text!r} is the beginning of several maps: {ids}.", "Write more of it."
            )
        return named[0]

    def list(self, chip_serial: str | None = None) -> list[MapEntry]:
        """Return the maps there are, the newest first; reads no arrays.

        Damaged files are left out; `damaged` names them.
        """
        entries: list[tuple[str, int, MapEntry]] = []
        for path in self._files():
            try:
                written_ns, entry = self._entry(path)
            except (MapFileError, NotFound, OSError):
                continue
            if chip_serial is None or entry.info.chip_serial == chip_serial:
                entries.append((entry.info.created, written_ns, entry))
        entries.sort(key=lambda item: item[:2], reverse=True)
        return [entry for _, _, entry in entries]

    def damaged(self) -> list[Path]:
        """Return the files in the folder whose head cannot be read as a map."""
        found: list[Path] = []
        for path in self._files():
            try:
                read_entry(path)
            except (MapFileError, NotFound):
                found.append(path)
        return found

    def _entry(self, path: Path) -> tuple[int, MapEntry]:
        """When a file was last changed, in ns, and its entry."""
        found = path.stat()
        key = (path, found.st_ino, found.st_size, found.st_mtime_ns)
        if key not in self._heads:
            self._heads[key] = read_entry(path)
        return found.st_mtime_ns, self._heads[key]

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("[0-9a-f]*.h5"))


def read_entry(path: Path) -> MapEntry:
    """Read what a map file says of itself, without its arrays.

    Raises
    ------
    NotFound
        If there is no such file.
    MapFileError
        If it is damaged, or no map.
    """
    _check_file(path)
    try:
        head = _hdf5.read_head(path)
        info = read_header(head.header).info
        reads, rows, cols = head.codes_shape
    except _hdf5.DAMAGE as error:
        raise _refused(path, error) from error
    return MapEntry(head.content_id, path, info, reads, (rows, cols))


def load_map(path: Path) -> ConductanceMap:
    """Read a map file and verify that it is what was written.

    Raises
    ------
    NotFound
        If there is no such file.
    MapFileError
        If it is damaged, or no map.
    """
    _check_file(path)
    try:
        head = _hdf5.read_head(path)
        described = _hdf5.describe(path)
        refuse_shapes(described)
        arrays = _hdf5.read_arrays(path, described)
        return put_together(MapParts(head.header, arrays), head.content_id)
    except _hdf5.DAMAGE as error:
        raise _refused(path, error) from error


def _check_file(path: Path) -> None:
    if not path.is_file():
        raise NotFound(f"There is no map file {path}.", "`rramhil map list` shows those there are.")


def _refused(path: Path, error: BaseException) -> MapFileError:
    # Only our own refusals read as part of a sentence; h5py's are about its insides.
    why = str(error) if isinstance(error, NotAMapError) else "it is damaged"
    return MapFileError(
        f"{path} cannot be read as a map: {why}.", "Take another map, or a copy from elsewhere."
    )
