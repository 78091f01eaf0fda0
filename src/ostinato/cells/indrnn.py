from ..cell import cell
from ..expr import relu


@cell(gates="a", state="h", recurrence="diagonal")
def indrnn(a, h):
    """Independently recurrent network: every unit sees itself alone. Li et al., CVPR 2018."""
    return relu(a)
