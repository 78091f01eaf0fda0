from ..cell import cell
from ..expr import sigmoid, tanh


@cell(gates="i f g o", state="h c")
def lstm(i, f, g, o, h, c):
    """Long short-term memory. Hochreiter & Schmidhuber 1997; forget gate: Gers, Schmidhuber & Cummins 2000."""
    c = sigmoid(f) * c + sigmoid(i) * tanh(g)
    return sigmoid(o) * tanh(c), c
