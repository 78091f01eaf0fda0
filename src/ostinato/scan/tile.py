# pyright: reportCallIssue=false
# (an intrinsic is called without the typing context that its definition takes first)
"""Matrix products in registers, and the few machine operations that Numba has no word for.

A tile is `rows` rows of one vector: its sums stay in registers over the whole inner dimension. One matrix is read from
panels, [N/width, K, width], so that a tile reads it front to back (`pack_columns`, `pack_rows`).
"""

from __future__ import annotations

import llvmlite.binding as llvm
from llvmlite import ir
from numba import njit
from numba.core import types
from numba.extending import intrinsic

from .lanes import CONTRACT, splat, vector_type
from .simd import advance, width

INDEX = ir.IntType(64)

# A tile needs a register a row and one for the panel: AVX-512 has 32 of 64 bytes, AVX2 16 of 32.
MOST_ROWS = 12 if llvm.get_host_cpu_features().get("avx512f") else 6


def make_tile(rows: int):
    """out[r, :] = start[r, :] + sum over k of a[r, k] * panel[k, :], for r < rows and one vector of columns."""

    @intrinsic
    def tile(typingctx, a, a_row, a_k, panel, start, start_row, out, out_row, length):
        vector = vector_type(str(out.dtype))
        align = out.dtype.bitwidth // 8
        size = types.intp

        def codegen(context, builder, sig, args):
            a, a_row, a_k, panel, start, start_row, out, out_row, length = args

            def at(pointer, offset):
                return builder.bitcast(builder.gep(pointer, [offset]), vector.as_pointer())

            def load(pointer):
                value = builder.load(pointer)
                value.align = align
                return value

            a_rows = [builder.gep(a, [builder.mul(a_row, INDEX(r))]) for r in range(rows)]
            nothing = ir.Constant(vector, None)  # sums begin at 0 and meet `start` last: long sums lose fewer digits
            entry, loop, done = builder.block, builder.append_basic_block("k"), builder.append_basic_block("done")
            builder.cbranch(builder.icmp_signed("<", INDEX(0), length), loop, done)
            builder.position_at_end(loop)
            k = builder.phi(INDEX)
            sums = [builder.phi(vector) for _ in range(rows)]
            b = load(at(panel, builder.mul(k, INDEX(vector.count))))
            a_offset = builder.mul(k, a_k)
            new = []
            for pointer, total in zip(a_rows, sums, strict=True):
                product = builder.fmul(
                    splat(builder, load(builder.gep(pointer, [a_offset])), vector), b, flags=CONTRACT
                )
                new.append(builder.fadd(product, total, flags=CONTRACT))
            k_next = builder.add(k, INDEX(1))
            k.add_incoming(INDEX(0), entry)
            k.add_incoming(k_next, loop)
            for total, again in zip(sums, new, strict=True):
                total.add_incoming(nothing, entry)
                total.add_incoming(again, loop)
            builder.cbranch(builder.icmp_signed("<", k_next, length), loop, done)
            builder.position_at_end(done)
            results = [builder.phi(vector) for _ in range(rows)]
            for result, end in zip(results, new, strict=True):
                result.add_incoming(nothing, entry)
                result.add_incoming(end, loop)
            for r, result in enumerate(results):
                begin = load(at(start, builder.mul(start_row, INDEX(r))))
                builder.store(builder.fadd(begin, result), at(out, builder.mul(out_row, INDEX(r)))).align = align
            return context.get_dummy_value()

        return types.void(a, size, size, panel, start, size, out, size, size), codegen

    return tile


_TILES = [make_tile(rows) for rows in range(1, MOST_ROWS + 1)]


def _write_matmul():
    """`matmul` with one branch a tile height; Numba cannot index a list of intrinsics, so the branches are written."""
    lines = [
        "def matmul(a, a_row, a_k, panels, count, start, start_row, start_panel, out, out_row, rows, length):",
        "    for p in range(count):",
        "        panel = advance(panels, p * length * width(panels))",
        "        column = p * width(panels)",
        "        i = 0",
        "        while i < rows:",
        "            left = rows - i",
        f"            take = left if left <= {MOST_ROWS} else {MOST_ROWS}",
        f"            if {MOST_ROWS} < left < {2 * MOST_ROWS}:",
        "                take = (left + 1) // 2",
    ]
    for rows in range(1, MOST_ROWS + 1):
        lines += [
            f"            {'if' if rows == 1 else 'elif'} take == {rows}:",
            f"                tile_{rows}(advance(a, i * a_row), a_row, a_k, panel,",
            "                    advance(start, i * start_row + p * start_panel), start_row,",
            "                    advance(out, i * out_row + column), out_row, length)",
        ]
    lines.append("            i += take")
    namespace = {f"tile_{rows + 1}": tile for rows, tile in enumerate(_TILES)}
    namespace |= {"__name__": __name__, "advance": advance, "width": width}
    exec(compile("\n".join(lines), "<matmul>", "exec"), namespace)
    return njit(namespace["matmul"])


#: out[i, :] = start[i, :] + a[i, :] @ B for `rows` rows and `count` panels of B; `length` is the inner dimension.
#: A panel of `start` lies `start_panel` numbers behind the one before.
matmul = _write_matmul()


@njit
def pack_columns(source, rows, length, panels):
    """Panels of the transpose of source [rows, length]: its rows become columns; the last panel is filled with 0."""
    lanes = width(source)
    for p in range((rows + lanes - 1) // lanes):
        for k in range(length):
            for j in range(lanes):
                row = p * lanes + j
                panels[(p * length + k) * lanes + j] = source[row * length + k] if row < rows else 0.0


@njit
def pack_rows(source, source_row, length, columns, panels):
    """Panels of source [length, columns], whose rows lie `source_row` apart; the last panel is filled with 0."""
    lanes = width(source)
    for p in range((columns + lanes - 1) // lanes):
        inside = min(lanes, columns - p * lanes)
        for k in range(length):
            for j in range(inside):
                panels[(p * length + k) * lanes + j] = source[k * source_row + p * lanes + j]
            for j in range(inside, lanes):
                panels[(p * length + k) * lanes + j] = 0.0
