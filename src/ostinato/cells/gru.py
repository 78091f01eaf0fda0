from ..cell import cell
from ..expr import sigmoid, tanh


@cell(gates="r z n", state="h", split="n")
def gru(r, z, n, h):
    """Gated recurrent unit. Cho et al., EMNLP 2014; the reset gate after the product, as in cuDNN and torch."""
    z = sigmoid(z)
    n = tanh(n.x + sigmoid(r) * n.h)
    return (1 - z) * n + z * h
