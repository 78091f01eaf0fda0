# pyright: reportCallIssue=false
# (an intrinsic is called without the typing context that its definition takes first)
"""The loops around the matrix products and a cell's pointwise functions: the same for every cell.

`forward` and `backward` are the kernels: all threads call one with the same arguments. Each works in phases; in a phase
a thread takes tasks from a shared counter until none is left, and before the next phase it waits until all are done. A
task of the main phase is one network of a population and a slice of its batch, for the whole sequence, so that no step
waits for another thread.

Rows are packed as in a PackedSequence: the batch is sorted by length, the longest first, so the sequences that are
still running at step t are the first `offsets[t + 1] - offsets[t]` of the batch, and their rows lie side by side from
row `offsets[t]` on. Padding has no rows and costs nothing.

Columns of a row of `slots`: the blocks of `Cell.slots`. Blocks fed by x are the first `x_columns`; those fed by h are
`h_columns` from column `h_first` on.
"""

from __future__ import annotations

from numba import njit

from .machine import call, finish_task, finished, give_way, indices_at, pointer_to, take_task
from .simd import advance, load, store, width
from .tile import pack_columns, pack_rows

# How many rows of the sequence a product of the weight gradient takes at a time, and how many of its columns.
BLOCK_ROWS = 256
BLOCK_COLUMNS = 128

# Two a phase: tasks taken, tasks done.
COUNTERS = 6


@njit
def next_task(counters, phase):
    return take_task(advance(counters, 2 * phase))


@njit
def task_done(counters, phase):
    finish_task(advance(counters, 2 * phase + 1))


@njit
def wait(counters, phase, tasks):
    turns = 0
    while finished(advance(counters, 2 * phase + 1)) < tasks:
        turns += 1
        if turns > 1000:  # about the time that another thread takes to wake: whoever is late needs this processor
            give_way()


@njit
def panels_of(columns, like):
    return (columns + width(like) - 1) // width(like)


@njit
def size_of(rows, columns, like):
    """How many numbers the panels of a [rows, columns] matrix take."""
    return rows * panels_of(columns, like) * width(like)


@njit
def multiply(matmul, a, a_row, panels, columns, bias, bias_panel, out, out_row, rows, length):
    """out = bias + a @ B; `bias` is one row, or one vector for all panels if `bias_panel` is 0."""
    arguments = (a, a_row, 1, panels, panels_of(columns, a), bias, 0, bias_panel, out, out_row, rows, length)
    call(matmul, arguments)


@njit
def accumulate(matmul, a, a_row, panels, columns, out, out_row, rows, length):
    """out += a @ B."""
    call(matmul, (a, a_row, 1, panels, panels_of(columns, a), out, out_row, width(a), out, out_row, rows, length))


@njit
def slice_of(task, slices, slice_rows, batch):
    """The network of a task, and the first of its sequences and the end of them."""
    begin = task % slices * slice_rows
    return task // slices, begin, min(batch, begin + slice_rows)


@njit
def running(offsets, steps, p, t, begin, end):
    """The first row at step t of the sequences from `begin` to `end`, and how many of them are still running."""
    at = p * (steps + 1) + t
    return offsets[at] + begin, min(end, offsets[at + 1] - offsets[at]) - begin


@njit
def write_table(w, x_columns, inputs, bias, slots_row, table):
    """table[i, :] = bias + w[:, i], for every id i."""
    for i in range(inputs):
        row = advance(table, i * slots_row)
        for j in range(slots_row):
            row[j] = bias[j]
        for j in range(x_columns):
            row[j] += w[j * inputs + i]


@njit
def look_up(ids, rows, table, slots_row, z):
    """z[r, :] = table[ids[r], :]."""
    for r in range(rows):
        source, to = advance(table, ids[r] * slots_row), advance(z, r * slots_row)
        for j in range(0, slots_row, width(z)):
            store(to, j, None, load(source, j, None))


@njit
def add_by_id(ids, rows, dz, slots_row, out, out_row, inputs, columns):
    """out[i, :] = the sum of dz[r, :] over all rows r of id i."""
    for i in range(inputs):
        for j in range(columns):
            out[i * out_row + j] = 0.0
    for r in range(rows):
        source, to = advance(dz, r * slots_row), advance(out, ids[r] * out_row)
        for j in range(0, columns, width(dz)):  # rows end with whole vectors
            store(to, j, None, load(to, j, None) + load(source, j, None))


@njit
def prepare(
    counters, population, x_columns, h_columns, h_first, inputs, units, slots_row, weight_ih, weight_hh,
    bias_ih, bias_hh, panels_x, panels_h, bias, transposed, ids, zero,
):  # fmt: skip
    """Pack the weights of every network into panels and, for forward (`transposed`), add up its biases.

    With `ids`, x multiplies nothing: instead of panels forward finds a row of slots for every id, biases included.
    """
    like = pointer_to(weight_ih, zero)
    while True:
        task = next_task(counters, 0)
        if task >= 2 * population:
            break
        p = task // 2
        if task % 2 == 0:
            source = advance(like, p * x_columns * inputs)
            if ids:
                pass
            elif transposed:
                to = advance(pointer_to(panels_x, zero), p * size_of(inputs, x_columns, like))
                pack_columns(source, x_columns, inputs, to)
            else:
                to = advance(pointer_to(panels_x, zero), p * size_of(x_columns, inputs, like))
                pack_rows(source, inputs, x_columns, inputs, to)
        else:
            source = advance(pointer_to(weight_hh, zero), p * h_columns * units)
            if transposed:
                to = advance(pointer_to(panels_h, zero), p * size_of(units, h_columns, like))
                pack_columns(source, h_columns, units, to)
                total = advance(pointer_to(bias, zero), p * slots_row)
                for j in range(slots_row):
                    total[j] = 0.0
                if bias_ih:
                    for j in range(x_columns):
                        total[j] = advance(pointer_to(bias_ih, zero), p * x_columns)[j]
                if bias_hh:
                    for j in range(h_columns):
                        total[h_first + j] += advance(pointer_to(bias_hh, zero), p * h_columns)[j]
                if ids:
                    w = advance(like, p * x_columns * inputs)
                    table = advance(pointer_to(panels_x, zero), p * inputs * slots_row)
                    write_table(w, x_columns, inputs, total, slots_row, table)
            else:
                to = advance(pointer_to(panels_h, zero), p * size_of(h_columns, units, like))
                pack_rows(source, units, h_columns, units, to)
        task_done(counters, 0)
    wait(counters, 0, 2 * population)


def forward(
    counters, population, tasks, slices, slice_rows, steps, batch, inputs, units, x_columns, h_columns, h_first,
    slots_row, state_row, state_count, vector_count, kept_plane, reverse, keep, ids, x_shared, x, weight_ih, weight_hh,
    bias_ih, bias_hh, panels_x, panels_h, bias, vectors, offsets, state, slots, kept, output, matmul, cell_function,
    zero,
):  # fmt: skip
    """Run every network over its sequences. With `keep`, slots and kept hold what backward needs."""
    counters, offsets = indices_at(counters), indices_at(offsets)
    prepare(
        counters, population, x_columns, h_columns, h_first, inputs, units, slots_row, weight_ih, weight_hh, bias_ih,
        bias_hh, panels_x, panels_h, bias, True, ids, zero,
    )  # fmt: skip
    plane = batch * state_row
    while True:
        task = next_task(counters, 1)
        if task >= tasks:
            break
        p, begin, end = slice_of(task, slices, slice_rows, batch)
        like = pointer_to(x, zero)
        w = advance(pointer_to(panels_x, zero), p * size_of(inputs, x_columns, like))
        u = advance(pointer_to(panels_h, zero), p * size_of(units, h_columns, like))
        b = advance(pointer_to(bias, zero), p * slots_row)
        table = advance(pointer_to(panels_x, zero), p * inputs * slots_row)
        v = advance(pointer_to(vectors, zero), p * vector_count * units)
        h = advance(pointer_to(state, zero), p * state_count * plane + begin * state_row)
        start_of_x = offsets[p * (steps + 1)] if x_shared else 0
        for i in range(steps):
            t = steps - 1 - i if reverse else i
            row, rows = running(offsets, steps, p, t, begin, end)
            if rows <= 0:
                continue
            z = advance(pointer_to(slots, zero), (row if keep else p * batch + begin) * slots_row)
            if ids:
                look_up(advance(indices_at(x), row - start_of_x), rows, table, slots_row, z)
            else:
                x_t = advance(like, (row - start_of_x) * inputs)
                multiply(matmul, x_t, inputs, w, x_columns, b, width(like), z, slots_row, rows, inputs)
                if h_columns:
                    for r in range(rows):  # blocks of h alone, which the last panel of x may have touched
                        for j in range(x_columns, h_first + h_columns):
                            z[r * slots_row + j] = b[j]
            if h_columns:
                accumulate(matmul, h, state_row, u, h_columns, advance(z, h_first), slots_row, rows, units)
            kept_t = advance(pointer_to(kept, zero), row * units)
            output_t = advance(pointer_to(output, zero), row * units)
            strides = (slots_row, state_row, plane, kept_plane)
            call(cell_function, (z, h, kept_t, output_t, v, *strides, rows, units))


@njit
def through_time(
    counters, tasks, slices, slice_rows, steps, batch, inputs, units, x_columns, h_columns, h_first, slots_row,
    state_row, state_count, vector_count, kept_plane, reverse, want_x, grad_x_row, sums_row, panels_x, panels_h,
    vectors, offsets, grad_state, slots, kept, grad_output, sums, grad_x, zeros, matmul, cell_function, zero,
):  # fmt: skip
    """Every step backward: slots become dL/d(pre-activation), grad_state dL/d(initial state)."""
    plane = batch * state_row
    while True:
        task = next_task(counters, 1)
        if task >= tasks:
            break
        p, begin, end = slice_of(task, slices, slice_rows, batch)
        like = pointer_to(slots, zero)
        w = advance(pointer_to(panels_x, zero), p * size_of(x_columns, inputs, like))
        u = advance(pointer_to(panels_h, zero), p * size_of(h_columns, units, like))
        v = advance(pointer_to(vectors, zero), p * vector_count * units)
        total = advance(pointer_to(sums, zero), task * sums_row)
        dh = advance(pointer_to(grad_state, zero), p * state_count * plane + begin * state_row)
        for i in range(steps):
            t = i if reverse else steps - 1 - i
            row, rows = running(offsets, steps, p, t, begin, end)
            if rows <= 0:
                continue
            z = advance(like, row * slots_row)
            kept_t = advance(pointer_to(kept, zero), row * units)
            grad_t = advance(pointer_to(grad_output, zero), row * units)
            strides = (slots_row, state_row, kept_plane, plane)
            call(cell_function, (z, kept_t, grad_t, dh, v, total, *strides, rows, units))
            if h_columns:
                accumulate(matmul, advance(z, h_first), slots_row, u, units, dh, state_row, rows, h_columns)
            if want_x:
                grad_x_t = advance(pointer_to(grad_x, zero), row * grad_x_row)
                none = pointer_to(zeros, zero)
                multiply(matmul, z, slots_row, w, inputs, none, 0, grad_x_t, grad_x_row, rows, x_columns)
        task_done(counters, 1)
    wait(counters, 1, tasks)


@njit
def weight_gradients(
    counters, population, steps, inputs, units, x_columns, h_columns, h_first, slots_row, ids, x_shared, grad_ih_row,
    grad_hh_row, offsets, slots, x, previous, grad_ih, grad_hh, blocks, zeros, matmul, zero,
):  # fmt: skip
    """dW = dz' x and dU = dz' h, the sum over all rows of a network; a task is a block of columns of dz.

    With `ids`, grad_ih is dW transposed: a row for every id.
    """
    x_blocks = (x_columns + BLOCK_COLUMNS - 1) // BLOCK_COLUMNS
    h_blocks = (h_columns + BLOCK_COLUMNS - 1) // BLOCK_COLUMNS
    like = pointer_to(slots, zero)
    lanes = width(like)
    while True:
        task = next_task(counters, 2)
        if task >= population * (x_blocks + h_blocks):
            break
        p, block = task // (x_blocks + h_blocks), task % (x_blocks + h_blocks)
        first, last = offsets[p * (steps + 1)], offsets[p * (steps + 1) + steps]
        if block < x_blocks and ids:
            column = block * BLOCK_COLUMNS
            out = advance(pointer_to(grad_ih, zero), p * inputs * grad_ih_row + column)
            dz = advance(like, first * slots_row + column)
            count = min(BLOCK_COLUMNS, x_columns - column)
            rows_of_x = advance(indices_at(x), 0 if x_shared else first)
            add_by_id(rows_of_x, last - first, dz, slots_row, out, grad_ih_row, inputs, count)
            continue
        if block < x_blocks:
            column, columns, inner, out_row = block * BLOCK_COLUMNS, x_columns, inputs, grad_ih_row
            operand = advance(pointer_to(x, zero), (0 if x_shared else first) * inputs)
            out = advance(pointer_to(grad_ih, zero), (p * x_columns + column) * out_row)
            z = advance(like, first * slots_row + column)
        else:
            column, columns, inner, out_row = (block - x_blocks) * BLOCK_COLUMNS, h_columns, units, grad_hh_row
            operand = advance(pointer_to(previous, zero), first * units)
            out = advance(pointer_to(grad_hh, zero), (p * h_columns + column) * out_row)
            z = advance(like, first * slots_row + h_first + column)
        count = min(BLOCK_COLUMNS, columns - column)
        panel = advance(pointer_to(blocks, zero), task * BLOCK_ROWS * lanes)
        for begin in range(0, max(1, last - first), BLOCK_ROWS):
            length = min(BLOCK_ROWS, last - first - begin)
            dz = advance(z, begin * slots_row)
            for j in range(0, inner, lanes):
                pack_rows(advance(operand, begin * inner + j), inner, length, min(lanes, inner - j), panel)
                to = advance(out, j)
                start, start_row = (pointer_to(zeros, zero), 0) if begin == 0 else (to, out_row)
                call(matmul, (dz, 1, slots_row, panel, 1, start, start_row, 0, to, out_row, count, length))


def backward(
    counters, population, tasks, slices, slice_rows, steps, batch, inputs, units, x_columns, h_columns, h_first,
    slots_row, state_row, state_count, vector_count, kept_plane, reverse, ids, x_shared, want_x, want_weights,
    grad_x_row, sums_row, grad_ih_row, grad_hh_row, x, weight_ih, weight_hh, panels_x, panels_h, vectors, offsets,
    grad_state, slots, kept, grad_output, sums, grad_x, grad_ih, grad_hh, blocks, zeros, matmul, cell_function, zero,
):  # fmt: skip
    """The gradients of everything, from the buffers that `forward` kept; slots and grad_state are overwritten."""
    counters, offsets = indices_at(counters), indices_at(offsets)
    prepare(
        counters, population, x_columns, h_columns, h_first, inputs, units, slots_row, weight_ih, weight_hh, 0, 0,
        panels_x, panels_h, 0, False, ids, zero,
    )  # fmt: skip
    through_time(
        counters, tasks, slices, slice_rows, steps, batch, inputs, units, x_columns, h_columns, h_first, slots_row,
        state_row, state_count, vector_count, kept_plane, reverse, want_x, grad_x_row, sums_row, panels_x, panels_h,
        vectors, offsets, grad_state, slots, kept, grad_output, sums, grad_x, zeros, matmul, cell_function, zero,
    )  # fmt: skip
    if want_weights:
        weight_gradients(
            counters, population, steps, inputs, units, x_columns, h_columns, h_first, slots_row, ids, x_shared,
            grad_ih_row, grad_hh_row, offsets, slots, x, kept, grad_ih, grad_hh, blocks, zeros, matmul, zero,
        )  # fmt: skip
