from ..cell import cell
from ..expr import relu, tanh


@cell(gates="a", state="h")
def srn(a, h):
    """Simple recurrent network. Elman, Finding structure in time, Cognitive Science 14, 1990."""
    return tanh(a)


@cell(gates="a", state="h")
def srn_relu(a, h):
    """Simple recurrent network with a rectifier. Le, Jaitly & Hinton, arXiv:1504.00941, 2015."""
    return relu(a)
