"""The few machine operations that Numba has no word for: addresses, calls by address, and a shared counter."""

from __future__ import annotations

import os

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic


@intrinsic
def pointer_to(typingctx, address, like):
    """The pointer of `like`'s type (a float32 or float64 number) at a whole-number address."""
    result = types.CPointer(like)

    def codegen(context, builder, sig, args):
        return builder.inttoptr(args[0], context.get_value_type(result))

    return result(types.intp, like), codegen


@intrinsic
def indices_at(typingctx, address):
    """The pointer to 64-bit whole numbers at an address."""
    result = types.CPointer(types.intp)

    def codegen(context, builder, sig, args):
        return builder.inttoptr(args[0], context.get_value_type(result))

    return result(types.intp), codegen


@intrinsic
def call(typingctx, address, arguments):
    """Call the C function at an address with a tuple of pointers and whole numbers. It returns nothing."""

    def codegen(context, builder, sig, args):
        values = [builder.extract_value(args[1], k) for k in range(len(arguments))]
        function = ir.FunctionType(ir.VoidType(), [value.type for value in values])
        builder.call(builder.inttoptr(args[0], function.as_pointer()), values)
        return context.get_dummy_value()

    return types.void(types.intp, arguments), codegen


@intrinsic
def take_task(typingctx, counter):
    """The next number of a counter that several threads share."""

    def codegen(context, builder, sig, args):
        return builder.atomic_rmw("add", args[0], ir.IntType(64)(1), "monotonic")

    return types.intp(types.CPointer(types.intp)), codegen


@intrinsic
def finish_task(typingctx, counter):
    """Count one task as done, and what it wrote as written."""

    def codegen(context, builder, sig, args):
        builder.atomic_rmw("add", args[0], ir.IntType(64)(1), "release")
        return context.get_dummy_value()

    return types.void(types.CPointer(types.intp)), codegen


@intrinsic
def give_way(typingctx):
    """Let another thread have the processor, where the system has a word for it."""

    def codegen(context, builder, sig, args):
        if os.name == "posix":
            number = ir.IntType(32)
            builder.call(cgutils.get_or_insert_function(builder.module, ir.FunctionType(number, []), "sched_yield"), [])
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def finished(typingctx, counter):
    """How many tasks are done; what they wrote can be read."""

    def codegen(context, builder, sig, args):
        return builder.atomic_rmw("add", args[0], ir.IntType(64)(0), "acquire")

    return types.intp(types.CPointer(types.intp)), codegen
