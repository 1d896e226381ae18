"""Eigenvalues of many small symmetric matrices at once, one core.

LAPACK spends most of its time on matrices of 10 to 100 rows waiting: for the result of one division before the next can
start, and for loops that end soon after they began. Here LANES matrices go through the same steps side by side, each in
a lane of the vector registers: Householder's reduction to a tridiagonal matrix, then the square-root-free QL iteration
of Pal, Walker and Kahan, as in LAPACK's dsytd2 and dsterf (Parlett, The Symmetric Eigenvalue Problem, 1998, chapters 7
and 8). A lane never sees another one: the eigenvalues of a matrix are the same to the last bit whatever else is solved
with it.

The steps are compiled by numba at their first call and kept in a cache on disk, see `compiled`.
"""

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core.cgutils import get_or_insert_function
from numba.core.typing import Signature
from numba.core.typing.context import BaseContext
from numba.extending import intrinsic, lower_builtin, models, register_model, type_callable

LANES = 8  # matrices side by side; two registers of AVX2, one of AVX-512, four of NEON
LARGEST = 256  # rows up to which this is faster than LAPACK; eight larger triangles exceed the cache
SWEEPS = 30  # QL sweeps for an eigenvalue as in dsterf, 2 or 3 are usual
PRECISION = np.finfo(float).eps / 2
Emission = tuple[Signature, Callable]  # of an operation: its types, and what makes its instructions


def compiled(function: Callable) -> Callable:
    """The function compiled by numba at its first call and cached beside its source file, atomically.

    Where that folder cannot be written the cache is in the user's own; where neither can, every process compiles anew.
    """
    options: dict[str, Any] = {"error_model": "numpy"}
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:  # no place for a cache
        return njit(**options)(function)


# --- numbers and truth values of all lanes as types of numba, with the few operations that are needed ---


class Lanes(types.Type):
    """LANES values of one LLVM type in a vector register."""

    def __init__(self, name, element):
        self.vector = ir.VectorType(element, LANES)
        super().__init__(name=name)


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager, lanes):
        super().__init__(manager, lanes, lanes.vector)


NUMBERS = Lanes("numbers", ir.DoubleType())
TRUTHS = Lanes("truths", ir.IntType(1))


def _define(operation, result, emit):
    """Define `operation` of NUMBERS and NUMBERS; emit(builder, a, b) makes the instruction."""

    @type_callable(operation)
    def typing(context):
        return lambda a, b: result if a is NUMBERS and b is NUMBERS else None

    @lower_builtin(operation, Lanes, Lanes)
    def lower(context, builder, signature, values):
        return emit(builder, *values)


FUSED = ("contract",)  # a product and a sum may become one instruction
_define(operator.add, NUMBERS, lambda builder, a, b: builder.fadd(a, b, flags=FUSED))
_define(operator.sub, NUMBERS, lambda builder, a, b: builder.fsub(a, b, flags=FUSED))
_define(operator.mul, NUMBERS, lambda builder, a, b: builder.fmul(a, b, flags=FUSED))
_define(operator.truediv, NUMBERS, lambda builder, a, b: builder.fdiv(a, b))
_define(operator.gt, TRUTHS, lambda builder, a, b: builder.fcmp_ordered(">", a, b))


def _address(context, builder, array_type, array, row):
    """Address of row [LANES] of an array [rows, LANES]."""
    data = context.make_array(array_type)(context, builder, array).data
    first = builder.mul(row, row.type(LANES))
    return builder.bitcast(builder.gep(data, [first]), NUMBERS.vector.as_pointer())


@intrinsic
def load(context: BaseContext, array: types.Array, row: types.Integer) -> Emission:
    """Row of a contiguous array [rows, LANES]."""

    def emit(context, builder, signature, values):
        return builder.load(_address(context, builder, signature.args[0], *values), align=8)

    return NUMBERS(array, types.intp), emit


@intrinsic
def store(context: BaseContext, array: types.Array, row: types.Integer, numbers: Lanes) -> Emission:
    """Set a row of a contiguous array [rows, LANES]."""

    def emit(context, builder, signature, values):
        address = _address(context, builder, signature.args[0], *values[:2])
        builder.store(values[2], address, align=8)
        return context.get_dummy_value()

    return types.none(array, types.intp, numbers), emit


@intrinsic
def everywhere(context: BaseContext, number: types.Float) -> Emission:
    """The same number in all lanes."""

    def emit(context, builder, signature, values):
        undefined = ir.Constant(NUMBERS.vector, ir.Undefined)
        one = builder.insert_element(undefined, values[0], ir.IntType(32)(0))
        return builder.shuffle_vector(one, undefined, ir.Constant(ir.VectorType(ir.IntType(32), LANES), None))

    return NUMBERS(types.float64), emit


@intrinsic
def root(context: BaseContext, numbers: Lanes) -> Emission:
    """Square root."""

    def emit(context, builder, signature, values):
        function = ir.FunctionType(NUMBERS.vector, [NUMBERS.vector])
        return builder.call(get_or_insert_function(builder.module, function, f"llvm.sqrt.v{LANES}f64"), values)

    return NUMBERS(numbers), emit


@intrinsic
def select(context: BaseContext, truths: Lanes, one: Lanes, other: Lanes) -> Emission:
    """`one` where true, `other` elsewhere."""
    return NUMBERS(truths, one, other), lambda context, builder, signature, values: builder.select(*values)


@intrinsic
def anywhere(context: BaseContext, truths: Lanes) -> Emission:
    """Whether true in any lane."""

    def emit(context, builder, signature, values):
        bits = ir.IntType(LANES)
        return builder.icmp_unsigned("!=", builder.bitcast(values[0], bits), bits(0))

    return types.boolean(truths), emit


# --- the two steps ---


@compiled
def _tridiagonal(n, a, d, e, v, w, u, p):
    """Reduce lower triangles a [n (n + 1) / 2, LANES], destroyed, to diagonals d and off-diagonals e [n, LANES].

    e[k] stands between rows k and k + 1. Rows are eliminated from the last to the first. The update of the rest by one
    reflection, a -= v w^T + w v^T, and its product p with the next vector u are one pass over it. v, w, u, p [n, LANES]
    are work space.
    """
    zero, half, one = everywhere(0.0), everywhere(0.5), everywhere(1.0)
    for j in range(n):
        store(v, j, zero)
        store(w, j, zero)
    for k in range(n - 1, -1, -1):
        row = k * (k + 1) // 2
        vi, wi = load(v, k), load(w, k)
        x, rest = zero, zero  # the entry beside the diagonal and the squares of those before it
        for j in range(k):
            rest = rest + x * x
            x = load(a, row + j) - vi * load(w, j) - wi * load(v, j)
            store(u, j, x)
        store(d, k, load(a, row + k) - vi * wi - wi * vi)
        if k == 0:
            break
        needed = rest > zero  # of a lane without, the reflection is the identity
        length = root(rest + x * x)
        size = select(x > zero, x, zero - x)
        store(e, k - 1, select(needed, select(x > zero, zero - length, length), x))
        store(u, k - 1, select(needed, select(x > zero, x + length, x - length), zero))
        scale = select(needed, one / (length * (length + size)), zero)
        for i in range(k):
            vi, wi, ui = load(v, i), load(w, i), load(u, i)
            row = i * (i + 1) // 2
            product = zero
            for j in range(i):
                uj = load(u, j)
                x = load(a, row + j) - vi * load(w, j) - wi * load(v, j)
                store(a, row + j, x)
                product = product + x * uj
                store(p, j, load(p, j) + x * ui)
            x = load(a, row + i) - vi * wi - wi * vi
            store(a, row + i, x)
            store(p, i, product + x * ui)
        along = zero
        for j in range(k):
            along = along + load(u, j) * load(p, j)
        along = half * scale * scale * along
        for j in range(k):
            store(v, j, load(u, j))
            store(w, j, scale * load(p, j) - along * load(u, j))


@compiled
def _diagonal(n, d, e, sweeps):
    """Turn diagonals d [n, LANES] of tridiagonal matrices into eigenvalues; e [n, LANES] is destroyed.

    Afterwards e is 0 in every lane that has converged, in at most `sweeps` sweeps for each row.
    Names are those of dsterf; e holds squares from the start. A lane that has converged at `start` keeps its numbers
    while others go on. p is 0 where the shift is an eigenvalue, r as well where the matrix falls into two there.
    """
    zero, half, one = everywhere(0.0), everywhere(0.5), everywhere(1.0)
    largest = zero
    for i in range(n):
        x, y = load(d, i) * load(d, i), load(e, i) * load(e, i)
        store(e, i, y)
        largest = select(x > largest, x, largest)
        largest = select(y > largest, y, largest)
    small = everywhere(PRECISION * PRECISION) * largest
    for start in range(n - 1):
        for _ in range(sweeps):
            bb = load(e, start)
            active = bb > small
            if not anywhere(active):
                break
            p, rte = load(d, start), root(bb)
            sigma = half * (load(d, start + 1) - p) / rte
            r = root(sigma * sigma + one)
            sigma = p - rte / (sigma + select(zero > sigma, zero - r, r))
            c, s = one, zero
            gamma = load(d, n - 1) - sigma
            p = gamma * gamma
            for i in range(n - 2, start - 1, -1):
                bb = load(e, i)
                r = p + bb
                store(e, i + 1, select(active, s * r, load(e, i + 1)))
                # both divisions start at once, where p / r and then gamma^2 / c would wait for each other
                inverse, ratio = one / r, r / p
                before = c
                whole = r > zero
                c = select(whole, p * inverse, one)
                s = select(whole, bb * inverse, zero)
                above = gamma
                alpha = load(d, i)
                gamma = c * (alpha - sigma) - s * above
                store(d, i + 1, select(active, above + (alpha - gamma), load(d, i + 1)))
                square = gamma * gamma
                p = select(p > zero, square * ratio, select(whole, before * bb, square))
            store(e, start, select(active, s * p, load(e, start)))
            store(d, start, select(active, sigma + gamma, load(d, start)))
        store(e, start, select(load(e, start) > small, load(e, start), zero))


@compiled
def _solve(triangles, begin, sizes, order, sweeps, values, place):
    """Set the eigenvalues of the matrices `order` in `values`; returns whether each matrix [M] failed to converge.

    order: largest first; begin, place [M]: where the triangle and the eigenvalues of each begin. A smaller matrix is
    filled up by zeros before its first row, which change no bit of the rest.
    """
    failed = np.zeros(len(sizes), np.bool_)
    if not len(order):
        return failed
    most = sizes[order[0]]
    a, work = np.empty((most * (most + 1) // 2, LANES)), np.empty((6, most, LANES))
    d, e = work[0], work[1]
    for first in range(0, len(order), LANES):
        group = order[first : first + LANES]
        n = sizes[group[0]]
        for entry in range(n * (n + 1) // 2):
            store(a, entry, everywhere(0.0))
        for i in range(n):
            store(e, i, everywhere(0.0))
        for lane, m in enumerate(group):
            shift, entry = n - sizes[m], begin[m]
            for i in range(shift, n):
                row = i * (i + 1) // 2
                for j in range(shift, i + 1):
                    a[row + j, lane] = triangles[entry]
                    entry += 1
        _tridiagonal(n, a, d, e, work[2], work[3], work[4], work[5])
        _diagonal(n, d, e, sweeps)
        for lane, m in enumerate(group):
            shift = n - sizes[m]
            for i in range(shift, n):
                values[place[m] + i - shift] = d[i, lane]
                failed[m] |= e[i, lane] > 0.0
    return failed


def eigenvalues(triangles: np.ndarray, sizes: np.ndarray, sweeps: int = SWEEPS) -> np.ndarray:
    """Eigenvalues [sum of sizes] of symmetric matrices, one matrix after another, of each in no particular order.

    triangles: lower triangles row after row, one matrix after another, flat; sizes [M] rows of each. The error is that
    of LAPACK, a few roundings of the largest eigenvalue. Entries must be well within 1e±150, as they are squared.
    LAPACK solves those of more than LARGEST rows, and those that do not converge in `sweeps` sweeps per eigenvalue.
    """
    triangles, sizes = np.asarray(triangles, dtype=float), np.asarray(sizes, dtype=np.intp)
    entries = sizes * (sizes + 1) // 2
    begin, place = np.cumsum(entries) - entries, np.cumsum(sizes) - sizes
    values = np.empty(sizes.sum())
    order = np.argsort(-sizes, kind="stable")  # those of similar size side by side
    order = order[sizes[order] <= LARGEST]
    failed = _solve(triangles, begin, sizes, order, sweeps, values, place)
    for m in np.flatnonzero(failed | (sizes > LARGEST)):
        matrix = np.zeros((sizes[m], sizes[m]))
        matrix[np.tril_indices(sizes[m])] = triangles[begin[m] : begin[m] + entries[m]]
        values[place[m] : place[m] + sizes[m]] = np.linalg.eigvalsh(matrix, UPLO="L")
    return values
