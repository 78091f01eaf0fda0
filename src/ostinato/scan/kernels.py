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
COUNTERS = 8


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
def look_up(ids, rows, products, slots_row, z):
    """z[r, :] = products[ids[r], :]."""
    for r in range(rows):
        source, to = advance(products, ids[r] * slots_row), advance(z, r * slots_row)
        for j in range(0, slots_row, width(z)):
            store(to, j, None, load(source, j, None))


@njit
def add_by_id(ids, rows, dz, slots_row, out, out_row, table_rows):
    """out[i, :] = the sum of dz[r, :] over all rows r of id i; rows of `out` are whole vectors."""
    for j in range(table_rows * out_row):
        out[j] = 0.0
    for r in range(rows):
        source, to = advance(dz, r * slots_row), advance(out, ids[r] * out_row)
        for j in range(0, out_row, width(dz)):
            store(to, j, None, load(to, j, None) + load(source, j, None))


@njit
def fill_after(columns, end, bias, z, slots_row, rows):
    """Blocks of h alone, which the last panel of x may have touched."""
    for r in range(rows):
        for j in range(columns, end):
            z[r * slots_row + j] = bias[j]


@njit
def prepare(
    counters, population, x_columns, h_columns, h_first, inputs, units, slots_row, weight_ih, weight_hh,
    bias_ih, bias_hh, panels_x, panels_h, bias, transposed, zero,
):  # fmt: skip
    """Pack the weights of every network into panels and, for forward (`transposed`), add up its biases."""
    like = pointer_to(weight_ih, zero)
    while True:
        task = next_task(counters, 0)
        if task >= 2 * population:
            break
        p = task // 2
        if task % 2 == 0:
            source = advance(like, p * x_columns * inputs)
            if transposed:
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
            else:
                to = advance(pointer_to(panels_h, zero), p * size_of(h_columns, units, like))
                pack_rows(source, units, h_columns, units, to)
        task_done(counters, 0)
    wait(counters, 0, 2 * population)


@njit
def multiply_table(
    counters, population, table_rows, x_columns, h_columns, h_first, inputs, slots_row, table, panels_x, bias, products,
    matmul, zero,
):  # fmt: skip
    """What x adds to a row of slots, biases included, for every row of every table."""
    like = pointer_to(table, zero)
    while True:
        p = next_task(counters, 1)
        if p >= population:
            break
        w = advance(pointer_to(panels_x, zero), p * size_of(inputs, x_columns, like))
        b = advance(pointer_to(bias, zero), p * slots_row)
        out = advance(pointer_to(products, zero), p * table_rows * slots_row)
        rows = advance(like, p * table_rows * inputs)
        multiply(matmul, rows, inputs, w, x_columns, b, width(like), out, slots_row, table_rows, inputs)
        fill_after(x_columns, h_first + h_columns, b, out, slots_row, table_rows)
        task_done(counters, 1)
    wait(counters, 1, population)


def forward(
    counters, population, tasks, slices, slice_rows, steps, batch, inputs, units, x_columns, h_columns, h_first,
    slots_row, state_row, state_count, vector_count, kept_plane, reverse, keep, x_shared, x, weight_ih, weight_hh,
    bias_ih, bias_hh, panels_x, panels_h, bias, vectors, offsets, state, slots, kept, output, table_rows, ids, products,
    matmul, cell_function, zero,
):  # fmt: skip
    """Run every network over its sequences. With `keep`, slots and kept hold what backward needs.

    With `table_rows`, x is a table, and `ids` say which row of it each row of the sequences is.
    """
    counters, offsets = indices_at(counters), indices_at(offsets)
    prepare(
        counters, population, x_columns, h_columns, h_first, inputs, units, slots_row, weight_ih, weight_hh, bias_ih,
        bias_hh, panels_x, panels_h, bias, True, zero,
    )  # fmt: skip
    if table_rows:
        multiply_table(
            counters, population, table_rows, x_columns, h_columns, h_first, inputs, slots_row, x, panels_x, bias,
            products, matmul, zero,
        )  # fmt: skip
    plane = batch * state_row
    while True:
        task = next_task(counters, 2)
        if task >= tasks:
            break
        p, begin, end = slice_of(task, slices, slice_rows, batch)
        like = pointer_to(x, zero)
        w = advance(pointer_to(panels_x, zero), p * size_of(inputs, x_columns, like))
        u = advance(pointer_to(panels_h, zero), p * size_of(units, h_columns, like))
        b = advance(pointer_to(bias, zero), p * slots_row)
        by_id = advance(pointer_to(products, zero), p * table_rows * slots_row)
        v = advance(pointer_to(vectors, zero), p * vector_count * units)
        h = advance(pointer_to(state, zero), p * state_count * plane + begin * state_row)
        start_of_x = offsets[p * (steps + 1)] if x_shared else 0
        for i in range(steps):
            t = steps - 1 - i if reverse else i
            row, rows = running(offsets, steps, p, t, begin, end)
            if rows <= 0:
                continue
            z = advance(pointer_to(slots, zero), (row if keep else p * batch + begin) * slots_row)
            if table_rows:
                look_up(advance(indices_at(ids), row - start_of_x), rows, by_id, slots_row, z)
            else:
                x_t = advance(like, (row - start_of_x) * inputs)
                multiply(matmul, x_t, inputs, w, x_columns, b, width(like), z, slots_row, rows, inputs)
                fill_after(x_columns, h_first + h_columns, b, z, slots_row, rows)
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
    vectors, offsets, grad_state, slots, kept, grad_output, grad_row, sums, grad_x, zeros, matmul, cell_function, zero,
):  # fmt: skip
    """Every step backward: slots become dL/d(pre-activation), grad_state dL/d(initial state).

    `grad_row` is `units`, or 0 where every step has the same grad_output: none.
    """
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
            grad_t = advance(pointer_to(grad_output, zero), row * grad_row)
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
def table_gradients(
    counters, population, table_rows, steps, inputs, x_columns, slots_row, x_shared, want_x, grad_x_row, offsets, slots,
    ids, panels_x, by_id, by_id_row, grad_x, zeros, matmul, zero,
):  # fmt: skip
    """For every row of every table: the sum of dz over the rows that are it, and the gradient of the row itself."""
    like = pointer_to(slots, zero)
    while True:
        p = next_task(counters, 2)
        if p >= population:
            break
        first, last = offsets[p * (steps + 1)], offsets[p * (steps + 1) + steps]
        dz = advance(pointer_to(by_id, zero), p * table_rows * by_id_row)
        begin = 0 if x_shared else first
        add_by_id(
            advance(indices_at(ids), begin),
            last - first,
            advance(like, first * slots_row),
            slots_row,
            dz,
            by_id_row,
            table_rows,
        )
        if want_x:
            w = advance(pointer_to(panels_x, zero), p * size_of(x_columns, inputs, like))
            to = advance(pointer_to(grad_x, zero), p * table_rows * grad_x_row)
            none = pointer_to(zeros, zero)
            multiply(matmul, dz, by_id_row, w, inputs, none, 0, to, grad_x_row, table_rows, x_columns)
        task_done(counters, 2)
    wait(counters, 2, population)


@njit
def weight_gradients(
    counters, population, steps, inputs, units, x_columns, h_columns, h_first, slots_row, x_shared, grad_ih_row,
    grad_hh_row, offsets, slots, x, previous, grad_ih, grad_hh, table_rows, by_id, by_id_row, blocks, zeros, matmul,
    zero,
):  # fmt: skip
    """dW = dz' x and dU = dz' h, the sum over all rows of a network; a task is a block of columns of dz."""
    x_blocks = (x_columns + BLOCK_COLUMNS - 1) // BLOCK_COLUMNS
    h_blocks = (h_columns + BLOCK_COLUMNS - 1) // BLOCK_COLUMNS
    like = pointer_to(slots, zero)
    lanes = width(like)
    while True:
        task = next_task(counters, 3)
        if task >= population * (x_blocks + h_blocks):
            break
        p, block = task // (x_blocks + h_blocks), task % (x_blocks + h_blocks)
        first, last = offsets[p * (steps + 1)], offsets[p * (steps + 1) + steps]
        z, z_row = advance(like, first * slots_row), slots_row
        if block < x_blocks:
            column, columns, inner, out_row = block * BLOCK_COLUMNS, x_columns, inputs, grad_ih_row
            start = 0 if x_shared else first
            if table_rows:  # x is the table, and dz was added up for each row of it
                z, z_row = advance(pointer_to(by_id, zero), p * table_rows * by_id_row), by_id_row
                start, first, last = p * table_rows, 0, table_rows
            operand = advance(pointer_to(x, zero), start * inputs)
            out = advance(pointer_to(grad_ih, zero), (p * x_columns + column) * out_row)
            z = advance(z, column)
        else:
            column, columns, inner, out_row = (block - x_blocks) * BLOCK_COLUMNS, h_columns, units, grad_hh_row
            operand = advance(pointer_to(previous, zero), first * units)
            out = advance(pointer_to(grad_hh, zero), (p * h_columns + column) * out_row)
            z = advance(z, h_first + column)
        count = min(BLOCK_COLUMNS, columns - column)
        panel = advance(pointer_to(blocks, zero), task * BLOCK_ROWS * lanes)
        for begin in range(0, max(1, last - first), BLOCK_ROWS):
            length = min(BLOCK_ROWS, last - first - begin)
            dz = advance(z, begin * z_row)
            for j in range(0, inner, lanes):
                pack_rows(advance(operand, begin * inner + j), inner, length, min(lanes, inner - j), panel)
                to = advance(out, j)
                start_at, start_row = (pointer_to(zeros, zero), 0) if begin == 0 else (to, out_row)
                call(matmul, (dz, 1, z_row, panel, 1, start_at, start_row, 0, to, out_row, count, length))


def backward(
    counters, population, tasks, slices, slice_rows, steps, batch, inputs, units, x_columns, h_columns, h_first,
    slots_row, state_row, state_count, vector_count, kept_plane, reverse, x_shared, want_x, want_weights, grad_x_row,
    sums_row, grad_ih_row, grad_hh_row, x, weight_ih, weight_hh, panels_x, panels_h, vectors, offsets, grad_state,
    slots, kept, grad_output, grad_row, sums, grad_x, grad_ih, grad_hh, table_rows, ids, by_id, by_id_row, blocks,
    zeros, matmul, cell_function, zero,
):  # fmt: skip
    """The gradients of everything, from the buffers that `forward` kept; slots and grad_state are overwritten."""
    counters, offsets = indices_at(counters), indices_at(offsets)
    prepare(
        counters, population, x_columns, h_columns, h_first, inputs, units, slots_row, weight_ih, weight_hh, 0, 0,
        panels_x, panels_h, 0, False, zero,
    )  # fmt: skip
    want_every_x = 0 if table_rows else want_x
    through_time(
        counters, tasks, slices, slice_rows, steps, batch, inputs, units, x_columns, h_columns, h_first, slots_row,
        state_row, state_count, vector_count, kept_plane, reverse, want_every_x, grad_x_row, sums_row,
        panels_x, panels_h, vectors, offsets, grad_state, slots, kept, grad_output, grad_row, sums, grad_x, zeros,
        matmul, cell_function, zero,
    )  # fmt: skip
    if table_rows:
        table_gradients(
            counters, population, table_rows, steps, inputs, x_columns, slots_row, x_shared, want_x, grad_x_row,
            offsets, slots, ids, panels_x, by_id, by_id_row, grad_x, zeros, matmul, zero,
        )  # fmt: skip
    if want_weights:
        weight_gradients(
            counters, population, steps, inputs, units, x_columns, h_columns, h_first, slots_row, x_shared,
            grad_ih_row, grad_hh_row, offsets, slots, x, kept, grad_ih, grad_hh, table_rows, by_id, by_id_row, blocks,
            zeros, matmul, zero,
        )  # fmt: skip
