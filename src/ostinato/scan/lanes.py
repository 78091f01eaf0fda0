# pyright: reportCallIssue=false, reportArgumentType=false, reportAttributeAccessIssue=false
# (llvmlite carries no types)
"""Pointwise operations on vectors of 64 bytes, written as LLVM instructions.

Nothing here is left to an auto-vectoriser. `Lanes` wraps an LLVM value so that a function reads as its formula; the
float32 functions are polynomials that stay within a few units in the last place, the float64 ones call the C library
lane by lane. NaN stays NaN; infinities end where the mathematical limit is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from llvmlite import ir

BYTES = 64  # one AVX-512 register, two of AVX2, four of NEON: LLVM splits it into what the machine has
FLOATS: dict[str, ir.Type] = {"float32": ir.FloatType(), "float64": ir.DoubleType()}
INTEGERS: dict[str, ir.IntType] = {"float32": ir.IntType(32), "float64": ir.IntType(64)}
WIDTHS = {"float32": BYTES // 4, "float64": BYTES // 8}

# A product and a sum may become one fused operation. Nothing else is relaxed: a NaN must stay a NaN.
CONTRACT = ("contract",)


def vector_type(dtype: str) -> ir.VectorType:
    return ir.VectorType(FLOATS[dtype], WIDTHS[dtype])


def splat(builder: ir.IRBuilder, scalar: ir.Value, kind: ir.VectorType) -> ir.Value:
    """The scalar in every lane of a vector of this kind."""
    single = builder.insert_element(ir.Constant(kind, ir.Undefined), scalar, ir.IntType(32)(0))
    return builder.shuffle_vector(single, single, ir.Constant(ir.VectorType(ir.IntType(32), kind.count), None))


class Lanes:
    """A vector value under construction."""

    def __init__(self, builder: ir.IRBuilder, value: ir.Value, dtype: str) -> None:
        self.builder, self.value, self.dtype = builder, value, dtype

    def wrap(self, value: ir.Value) -> Lanes:
        return Lanes(self.builder, value, self.dtype)

    def splat(self, number: float) -> Lanes:
        kind = vector_type(self.dtype)
        return self.wrap(ir.Constant(kind, [ir.Constant(kind.element, number)] * kind.count))

    def _operand(self, other: Lanes | float) -> ir.Value:
        return other.value if isinstance(other, Lanes) else self.splat(other).value

    def __add__(self, other: Lanes | float) -> Lanes:
        return self.wrap(self.builder.fadd(self.value, self._operand(other), flags=CONTRACT))

    def __sub__(self, other: Lanes | float) -> Lanes:
        return self.wrap(self.builder.fsub(self.value, self._operand(other), flags=CONTRACT))

    def __mul__(self, other: Lanes | float) -> Lanes:
        return self.wrap(self.builder.fmul(self.value, self._operand(other), flags=CONTRACT))

    def __truediv__(self, other: Lanes | float) -> Lanes:
        return self.wrap(self.builder.fdiv(self.value, self._operand(other), flags=CONTRACT))

    def __neg__(self) -> Lanes:
        return self.wrap(self.builder.fneg(self.value))

    def where(self, comparison: str, other: Lanes | float, yes: Lanes | float, no: Lanes | float) -> Lanes:
        """Lane by lane `yes` where `self comparison other` holds, else `no`; with a NaN it does not hold."""
        condition = self.builder.fcmp_ordered(comparison, self.value, self._operand(other))
        return self.wrap(self.builder.select(condition, self._operand(yes), self._operand(no)))

    def clamp(self, low: float, high: float) -> Lanes:
        """Within [low, high]; NaN stays NaN."""
        below = self.where("<", low, low, self)
        return below.where(">", high, high, below)

    def intrinsic(self, name: str, *others: Lanes) -> Lanes:
        operands = [self.value, *(other.value for other in others)]
        bits = 8 * BYTES // WIDTHS[self.dtype]
        return self.wrap(self._call(f"{name}.v{WIDTHS[self.dtype]}f{bits}", operands))

    def _call(self, name: str, operands: list[ir.Value]) -> ir.Value:
        kind = operands[0].type
        module = self.builder.module
        function = module.globals.get(name) or ir.Function(module, ir.FunctionType(kind, [kind] * len(operands)), name)
        return self.builder.call(function, operands)

    def each(self, function_name: str) -> Lanes:
        """A function of the C library, one lane after another."""
        result = self.value
        for lane in range(WIDTHS[self.dtype]):
            index = ir.Constant(ir.IntType(32), lane)
            value = self._call(function_name, [self.builder.extract_element(self.value, index)])
            result = self.builder.insert_element(result, value, index)
        return self.wrap(result)

    def bits(self) -> Bits:
        kind = ir.VectorType(INTEGERS[self.dtype], WIDTHS[self.dtype])
        return Bits(self, self.builder.bitcast(self.value, kind))


class Bits:
    """The lanes of a float32 vector as whole numbers."""

    def __init__(self, lanes: Lanes, value: ir.Value) -> None:
        self.lanes, self.value = lanes, value

    def apply(self, operation: str, number: int | Bits) -> Bits:
        kind = self.value.type
        other = number.value if isinstance(number, Bits) else ir.Constant(kind, [number] * kind.count)
        return Bits(self.lanes, getattr(self.lanes.builder, operation)(self.value, other))

    def as_float(self) -> Lanes:
        return self.lanes.wrap(self.lanes.builder.bitcast(self.value, self.lanes.value.type))

    def to_float(self) -> Lanes:
        return self.lanes.wrap(self.lanes.builder.sitofp(self.value, self.lanes.value.type))


def horner(x: Lanes, coefficients: Sequence[float]) -> Lanes:
    """The polynomial with these coefficients, the highest power first."""
    result = x.splat(coefficients[0])
    for coefficient in coefficients[1:]:
        result = result * x + coefficient
    return result


def tanh(x: Lanes) -> Lanes:
    """Float32: an odd rational function where tanh does not round to 1 yet."""
    if x.dtype == "float64":
        return x.each("tanh")
    x = x.clamp(-9.0, 9.0)
    s = x * x
    numerator = horner(
        s,
        (
            -2.76076847742355e-16,
            2.00018790482477e-13,
            -8.60467152213735e-11,
            5.12229709037114e-08,
            1.48572235717979e-05,
            6.37261928875436e-04,
            4.89352455891786e-03,
        ),
    )
    denominator = horner(s, (1.19825839466702e-06, 1.18534705686654e-04, 2.26843463243900e-03, 4.89352518554385e-03))
    return (x * (numerator / denominator)).clamp(-1.0, 1.0)


def exp(x: Lanes) -> Lanes:
    """Float32: 2^k exp(r) with |r| <= log(2)/2 (Cody & Waite's reduction, the polynomial of Cephes' expf)."""
    if x.dtype == "float64":
        return x.each("exp")
    x = x.clamp(-104.0, 89.0)
    magic = 12582912.0  # 1.5 * 2^23: adding it rounds to a whole number and leaves that number in the low bits
    shifted = x * 1.44269504088896341 + magic
    k = shifted.bits().apply("sub", x.splat(magic).bits())
    whole = shifted - magic
    r = x - whole * 0.693359375
    r = r - whole * -2.12194440e-4
    polynomial = horner(
        r,
        (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1),
    )
    half = k.apply("ashr", 1)  # in two factors, since 2^k alone may overflow or be subnormal
    y = polynomial * (r * r) + r + 1.0
    return y * _power_of_two(half) * _power_of_two(k.apply("sub", half))


def _power_of_two(k: Bits) -> Lanes:
    return k.apply("add", 127).apply("shl", 23).as_float()


def sigmoid(x: Lanes) -> Lanes:
    return x.splat(1.0) / (exp(-x) + 1.0)


def log(x: Lanes) -> Lanes:
    """Float32: log(m) + k log(2) with m in [sqrt(1/2), sqrt(2)) (the polynomial of Cephes' logf)."""
    if x.dtype == "float64":
        return x.each("log")
    smallest = 1.17549435e-38
    scaled = x.where("<", smallest, x * 8388608.0, x)  # a subnormal number times 2^23 is normal
    bits = scaled.bits()
    k = bits.apply("lshr", 23).apply("sub", 126).to_float()
    k = x.where("<", smallest, k - 23.0, k)
    m = bits.apply("and_", 0x007FFFFF).apply("or_", 0x3F000000).as_float()
    small = 0.707106781186547524
    k = m.where("<", small, k - 1.0, k)
    m = m.where("<", small, m + m, m) - 1.0
    square = m * m
    polynomial = horner(
        m,
        (
            7.0376836292e-2,
            -1.1514610310e-1,
            1.1676998740e-1,
            -1.2420140846e-1,
            1.4249322787e-1,
            -1.6668057665e-1,
            2.0000714765e-1,
            -2.4999993993e-1,
            3.3333331174e-1,
        ),
    )
    y = polynomial * m * square + k * -2.12194440e-4 - square * 0.5
    y = m + y + k * 0.693359375
    y = x.where("==", float("inf"), x, y)
    y = x.where(">", 0.0, y, float("nan"))
    return x.where("==", 0.0, float("-inf"), y)


def softplus(x: Lanes) -> Lanes:
    """max(x, 0) + log(1 + exp(-|x|)), which never overflows."""
    u = exp(-absolute(x))
    if x.dtype == "float64":
        return maximum(x, x.splat(0.0)) + u.each("log1p")
    w = u + 1.0
    ratio = u * (log(w) / (w - 1.0))  # Kahan's log1p: the rounding of w cancels
    return maximum(x, x.splat(0.0)) + w.where("==", 1.0, u, ratio)


def relu(x: Lanes) -> Lanes:
    return maximum(x, x.splat(0.0))


def sqrt(x: Lanes) -> Lanes:
    return x.intrinsic("llvm.sqrt")


def absolute(x: Lanes) -> Lanes:
    return x.intrinsic("llvm.fabs")


def maximum(a: Lanes, b: Lanes) -> Lanes:
    return a.intrinsic("llvm.maximum", b)


def minimum(a: Lanes, b: Lanes) -> Lanes:
    return a.intrinsic("llvm.minimum", b)


def compare(a: Lanes, b: Lanes) -> Lanes:
    return a.where(">", b, 1.0, a.where("<", b, -1.0, 0.0))


#: Name -> function, for the operations that Python writes as calls.
FUNCTIONS: dict[str, Callable[..., Lanes]] = {
    "tanh": tanh,
    "sigmoid": sigmoid,
    "relu": relu,
    "exp": exp,
    "log": log,
    "softplus": softplus,
    "sqrt": sqrt,
    "absolute": absolute,
    "maximum": maximum,
    "minimum": minimum,
    "compare": compare,
}
