"""Networks: the one conversion of a torch model, and what is kept of a trained one.

Owns matrices, quantisers, layers and runs. Does not know how masks are trained, nor who
multiplies in the end: executors come from `pruning` and `inference`.

    quantiser   values <-> integers, with ranges observed while training
    matrix      matrices as values, and the share of a network that they are
    executors   who multiplies: weights for training, vectors for a chip
    layers      Linear, Conv2d, ConvTranspose2d, RNN on matrices
    probe       a converted model is tried on an example, in both modes
    network     the conversion
    mapping     a network's matrices on the cells of chips
    run         the folder that a trained network is kept in
"""

from rramhil.network.executors import (
    Exact,
    Executor,
    Int8,
    TrainedWeights,
    VectorExecutor,
    WeightExecutor,
    takes_vectors,
)
from rramhil.network.layers import batch_norms_of
from rramhil.network.mapping import Pairs, plan, weights_of
from rramhil.network.matrix import DigitalModule, Matrix, Share
from rramhil.network.network import Inputs, Network, convert
from rramhil.network.quantiser import Quantiser
from rramhil.network.run import MatrixRecord, Run, RunConfig

__all__ = [
    "DigitalModule",
    "Exact",
    "Executor",
    "Inputs",
    "Int8",
    "Matrix",
    "MatrixRecord",
    "Network",
    "Pairs",
    "Quantiser",
    "Run",
    "RunConfig",
    "Share",
    "TrainedWeights",
    "VectorExecutor",
    "WeightExecutor",
    "batch_norms_of",
    "convert",
    "plan",
    "takes_vectors",
    "weights_of",
]
