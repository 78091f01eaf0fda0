# pyright: reportOptionalCall=false, reportPrivateImportUsage=false
# (what numba.core offers to extensions carries no types)
"""Vectors of 64 bytes as a Numba type: kernels load, compute and store them with ordinary operators.

`load(pointer, index, count)` and `store(pointer, index, count, vector)` move `count` numbers, or a whole vector where
count is None.
"""

from __future__ import annotations

import operator

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.imputils import lower_builtin, lower_cast
from numba.core.typeconv import Conversion
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, models, register_model

from .lanes import BYTES, CONTRACT, FUNCTIONS, Lanes, splat, vector_type


class Vector(types.Type):
    """64 bytes of float32 or float64."""

    def __init__(self, dtype: types.Float) -> None:
        super().__init__(name=f"Vector({dtype})")
        self.dtype = dtype

    def can_convert_from(self, typingctx, other):
        return Conversion.safe if isinstance(other, types.Number) else None


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, vector_type(str(fe_type.dtype)))


@lower_cast(types.Number, Vector)
def _from_number(context, builder, fromty, toty, value):
    return splat(builder, context.cast(builder, value, fromty, toty.dtype), vector_type(str(toty.dtype)))


def _register_operator(function, instruction: str) -> None:
    @infer_global(function)
    class _Typing(AbstractTemplate):
        def generic(self, args, kws):
            vectors = [a for a in args if isinstance(a, Vector)]
            if vectors and all(isinstance(a, Vector | types.Number) for a in args):
                return signature(vectors[0], *[vectors[0]] * len(args))
            return None

    @lower_builtin(function, *[Vector] * (1 if instruction == "fneg" else 2))
    def _lower(context, builder, sig, args):
        return getattr(builder, instruction)(*args, flags=CONTRACT)


for _function, _instruction in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
    (operator.neg, "fneg"),
):
    _register_operator(_function, _instruction)


def _make_function(name: str):
    """An intrinsic of one or two vectors (or numbers) from the formula in `lanes`."""
    formula = FUNCTIONS[name]

    def emit(builder, sig, args):
        dtype = str(sig.return_type.dtype)
        return formula(*(Lanes(builder, a, dtype) for a in args)).value

    def unary(typingctx, x):
        return x(x), lambda context, builder, sig, args: emit(builder, sig, args)

    def binary(typingctx, a, b):
        kind = a if isinstance(a, Vector) else b

        def codegen(context, builder, sig, args):
            cast = [context.cast(builder, v, t, kind) for v, t in zip(args, sig.args, strict=True)]
            return emit(builder, sig, cast)

        return kind(a, b), codegen

    function = binary if formula.__code__.co_argcount == 2 else unary
    function.__name__ = name
    return intrinsic(function)


tanh = _make_function("tanh")
sigmoid = _make_function("sigmoid")
relu = _make_function("relu")
exp = _make_function("exp")
log = _make_function("log")
softplus = _make_function("softplus")
sqrt = _make_function("sqrt")
absolute = _make_function("absolute")
maximum = _make_function("maximum")
minimum = _make_function("minimum")
compare = _make_function("compare")


def _address(builder, pointer, index, kind):
    return builder.bitcast(builder.gep(pointer, [index]), kind.as_pointer())


def _first_lanes(builder, count, kind):
    """A mask of the first `count` lanes."""
    number = ir.IntType(32)
    lanes = ir.Constant(ir.VectorType(number, kind.count), list(range(kind.count)))
    wide = splat(builder, builder.trunc(count, number), ir.VectorType(number, kind.count))
    return builder.icmp_signed("<", lanes, wide)


@intrinsic
def load(typingctx, pointer, index, count):
    """The vector at pointer[index]; with a count the lanes from there on are 0 and not read."""
    result = Vector(pointer.dtype)
    kind, align = vector_type(str(pointer.dtype)), pointer.dtype.bitwidth // 8

    def codegen(context, builder, sig, args):
        address = _address(builder, args[0], args[1], kind)
        if isinstance(count, types.NoneType):
            value = builder.load(address)
            value.align = align
            return value
        mask = _first_lanes(builder, args[2], kind)
        function = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(kind, [address.type, ir.IntType(32), mask.type, kind]),
            f"llvm.masked.load.v{kind.count}f{pointer.dtype.bitwidth}.p0",
        )
        return builder.call(function, [address, ir.IntType(32)(align), mask, ir.Constant(kind, None)])

    return result(pointer, types.intp, count if isinstance(count, types.NoneType) else types.intp), codegen


@intrinsic
def store(typingctx, pointer, index, count, value):
    """Put the vector, or its first `count` lanes, at pointer[index]."""
    vector = Vector(pointer.dtype)
    kind, align = vector_type(str(pointer.dtype)), pointer.dtype.bitwidth // 8

    def codegen(context, builder, sig, args):
        address = _address(builder, args[0], args[1], kind)
        if isinstance(count, types.NoneType):
            builder.store(args[3], address).align = align
        else:
            mask = _first_lanes(builder, args[2], kind)
            function = cgutils.get_or_insert_function(
                builder.module,
                ir.FunctionType(ir.VoidType(), [kind, address.type, ir.IntType(32), mask.type]),
                f"llvm.masked.store.v{kind.count}f{pointer.dtype.bitwidth}.p0",
            )
            builder.call(function, [args[3], address, ir.IntType(32)(align), mask])
        return context.get_dummy_value()

    counted = count if isinstance(count, types.NoneType) else types.intp
    return types.void(pointer, types.intp, counted, vector), codegen


@intrinsic
def width(typingctx, pointer):
    """How many numbers of the pointer's type a vector holds."""
    lanes = BYTES * 8 // pointer.dtype.bitwidth
    return types.intp(pointer), lambda context, builder, sig, args: ir.IntType(64)(lanes)


@intrinsic
def advance(typingctx, pointer, by):
    """The pointer `by` numbers further on."""
    return pointer(pointer, types.intp), lambda context, builder, sig, args: builder.gep(args[0], [args[1]])
