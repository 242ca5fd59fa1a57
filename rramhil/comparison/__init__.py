"""A task in every way there is to get weights, on several chips: what masks are worth.

Owns: the rows of a comparison, its replicates and what its folder keeps, masks where a chip is not
as its map says, and masks as a simulated chip ages. Prints nothing.

    replicates  a network's cells on several chips, each with a seed of its own
    rows        the ways to get weights; one training, one measurement
    conditions  read noise, stuck and unformed cells
    request     what is asked for
    ahead       trainings side by side, in processes of their own
    work        each training and measurement once, as the folder has them
    comparing   all rows on all replicates: the table
    picture     the table as a picture
    ageing      masks as time passes for a simulated board
"""

from rramhil.comparison.ageing import AgeingStudy, AgePoint
from rramhil.comparison.ahead import train_side_by_side
from rramhil.comparison.comparing import Comparison, RowResult, begin, compare
from rramhil.comparison.picture import draw_comparison
from rramhil.comparison.replicates import Replicate, replicates_of
from rramhil.comparison.request import RATES, CompareRequest, Step
from rramhil.comparison.rows import ROWS, TRAININGS, Row, Trained

__all__ = [
    "RATES",
    "ROWS",
    "TRAININGS",
    "AgePoint",
    "AgeingStudy",
    "CompareRequest",
    "Comparison",
    "Replicate",
    "Row",
    "RowResult",
    "Step",
    "Trained",
    "begin",
    "compare",
    "draw_comparison",
    "replicates_of",
    "train_side_by_side",
]
