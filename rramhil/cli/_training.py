"""Options of `rramhil train`, in groups; which were given where a training is continued."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rramhil.cli._files import writing
from rramhil.errors import UsageError

if TYPE_CHECKING:
    from rramhil.flow import TrainRequest
    from rramhil.pruning import EpochRecord

# --- what is trained, and for how long --------------------------------------------------------

TaskArgument = Annotated[
    str,
    typer.Argument(
        metavar="TASK", help="A built-in task (digits), or my_task.py:task of one's own."
    ),
]
NameArgument = Annotated[
    str | None,
    typer.Argument(metavar="[NAME]", help="With --resume: which unfinished training."),
]
TrainGateOption = Annotated[
    str,
    typer.Option(
        "--gate",
        metavar="KIND",
        help="cell: each cell of a pair is gated on its own (the default); pair: both together; "
        "codebook: by cells, within a budget of steps.",
    ),
]
StepsOption = Annotated[
    float | None,
    typer.Option(
        "--steps",
        metavar="BUDGET",
        help="By codebook: steps of a sample, relative to no mask at all; else 1.25.",
    ),
]
EpochsOption = Annotated[
    int | None,
    typer.Option("--epochs", metavar="N", min=1, help="Passes over the data; else the task's own."),
]
RateOption = Annotated[
    float,
    typer.Option("--rate", metavar="X", help="Learning rate of the scores at the start."),
]
FinalOption = Annotated[
    bool,
    typer.Option(
        "--final",
        help="Train to the last epoch on all training data, validation data included; with "
        "--compare, after these have chosen rate and epochs on the first replicate.",
    ),
]
SeedOption = Annotated[
    int, typer.Option("--seed", metavar="N", min=0, help="Of all that is drawn.")
]
ThresholdOption = Annotated[
    bool,
    typer.Option(
        "--free-density", help="Let each score decide for itself, in place of a set share."
    ),
]
RunOption = Annotated[
    str | None,
    typer.Option("--run", metavar="NAME", help="What to call the run; else task and time."),
]
ResumeOption = Annotated[
    bool,
    typer.Option(
        "--resume",
        help="Continue the newest unfinished training of the task and chip, or that of NAME.",
    ),
]

# --- what the chip is like while training -----------------------------------------------------

NoiseOption = Annotated[
    str,
    typer.Option(
        "--noise",
        metavar="KIND",
        help="Read noise: map (one figure of the map's, the default), cells (each cell's own), "
        "reads (the recorded reads in turn), conversions (each conversion on its own).",
    ),
]
NoiseLevelOption = Annotated[
    float | None,
    typer.Option(
        "--noise-level",
        metavar="X",
        help="Relative read noise of a cell while training; else the map's, or as --robust has it.",
    ),
]
RobustOption = Annotated[
    bool,
    typer.Option(
        "--robust",
        help="For masks of cells that bear cells failing later: 20% read noise while training, and "
        "batch norm held as the chip will have it in the last tenth of the epochs.",
    ),
]
MapOption = Annotated[
    str,
    typer.Option(
        "--map",
        metavar="KIND",
        help="own: the chip's cells (the default); flat: their mean alone, for any chip.",
    ),
]
InTheLoopOption = Annotated[
    int | None,
    typer.Option(
        "--in-the-loop",
        metavar="N",
        min=1,
        help="Read the chip anew every N steps; with --by reset, pulse the masks into it before.",
    ),
]

# --- how masks get into the chip --------------------------------------------------------------

ByOption = Annotated[
    str,
    typer.Option(
        "--by", metavar="WAY", help="gate (the default), or reset: masks are written by pulses."
    ),
]
HysteresisOption = Annotated[
    float,
    typer.Option(
        "--hysteresis",
        metavar="X",
        min=0.0,
        help="By reset: keep a bit until its score is beyond the threshold by X standard "
        "deviations of the first scores; 0.2 saves most pulses.",
    ),
]
BudgetOption = Annotated[
    int | None,
    typer.Option("--pulse-budget", metavar="N", min=1, help="By reset: pulses of the training."),
]
CellPulsesOption = Annotated[
    int | None,
    typer.Option("--cell-pulses", metavar="N", min=1, help="By reset: pulses of any one cell."),
]

# --- where it computes, and who watches -------------------------------------------------------

DeviceOption = Annotated[
    str, typer.Option("--device", metavar="DEVICE", help="Where torch computes: cpu or cuda.")
]
TensorBoardOption = Annotated[
    Path | None,
    typer.Option(
        "--tensorboard", metavar="FOLDER", help="Log each epoch there for TensorBoard as well."
    ),
]

_FIELD_OF = {"free_density": "density", "map_kind": "map"}


def refuse_contradictions(
    context: typer.Context, wanted: TrainRequest, kept: TrainRequest, name: str
) -> None:
    """Refuse options that were given and say something else than the training that goes on.

    Raises
    ------
    UsageError
    """
    differing = set(wanted.differences(kept))
    for parameter, source in _given(context).items():
        field = _FIELD_OF.get(parameter, parameter)
        if field in differing:
            raise UsageError(
                f"{source} contradicts the training {name}, which has "
                f"{_told(field, getattr(kept, field))}.",
                "Settings of a training that goes on come from its checkpoint: leave it out.",
            )


def was_given(context: typer.Context, parameter: str) -> bool:
    """Whether an option stood on the command line."""
    return parameter in _given(context)


def refuse_chip_and_chips(context: typer.Context) -> None:
    """Refuse `--chip` beside `--chips`, of which one would be passed over.

    Raises
    ------
    UsageError
    """
    if was_given(context, "chip") and was_given(context, "chips"):
        raise UsageError("--chip and --chips both say which sockets.", "Leave one of them.")


def refuse_new_name(context: typer.Context) -> None:
    """Refuse `--run` for a training that has its name already.

    Raises
    ------
    UsageError
    """
    if was_given(context, "run"):
        raise UsageError("A training that goes on has its name.", "Write --resume NAME.")


@contextmanager
def tensorboard(folder: Path | None, begun: int = 0) -> Generator[Callable[[EpochRecord], None]]:
    """Log epochs for TensorBoard; without a folder, nowhere.

    Raises
    ------
    UsageError
        TensorBoard is not installed, or the folder cannot be written.
    """
    if folder is None:
        yield lambda record: None
        return
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise UsageError(
            "--tensorboard needs tensorboard, which is not installed.", "pip install tensorboard"
        ) from None
    with writing(folder):
        writer: Any = SummaryWriter(str(folder), purge_step=begun + 1)

    def log(record: EpochRecord) -> None:
        for name, value in record.as_dict().items():
            if name != "epoch" and value is not None:
                writer.add_scalar(name, value, record.epoch)

    try:
        yield log
    finally:
        writer.close()


def _given(context: typer.Context) -> dict[str, str]:
    """Options on the command line, by parameter, as they are written."""
    return {
        parameter.name: parameter.opts[-1]
        for parameter in context.command.params
        if parameter.name is not None
        and parameter.opts[-1].startswith("--")
        and _source(context, parameter.name) == "COMMANDLINE"
    }


def _source(context: typer.Context, name: str) -> str:
    source = context.get_parameter_source(name)
    return "" if source is None else source.name


def _told(field: str, value: object) -> str:
    words = field.replace("_", " ")
    return f"no {words}" if value is None else f"{words} {value}"
