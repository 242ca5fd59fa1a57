"""Multiplying: gate schedules run on batches of input vectors, bit for bit.

Owns the arithmetic from effective conductances to accumulators. Knows no file, no clock, no wire;
what a schedule may be is decided where it is loaded.

    schedule   what is run: steps, gates, samples
    matrix     effective conductances and gates folded into one integer matrix
    tables     products of bits and that matrix, by look-up tables (numba)
    digits     the same products, by 8-bit digits (torch)
    convert    from products to codes and accumulators, with noise
    run        batches, blocks and threads
"""

from sim_backend.multiply.matrix import Matrices, Matrix
from sim_backend.multiply.run import Inputs, Products, Rows, multiply, warm_up
from sim_backend.multiply.schedule import Schedule

__all__ = ["Inputs", "Matrices", "Matrix", "Products", "Rows", "Schedule", "multiply", "warm_up"]
