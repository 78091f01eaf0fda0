from ..cell import cell
from ..expr import sigmoid


@cell(gates="z g", state="h", recurrence="none")
def mingru(z, g, h):
    """Minimal GRU whose gates see the input alone. Feng et al., Were RNNs all we needed?, arXiv:2410.01201, 2024."""
    z = sigmoid(z)
    return (1 - z) * h + z * g
