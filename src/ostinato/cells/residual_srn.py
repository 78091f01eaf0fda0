from ..cell import cell
from ..expr import tanh


@cell(gates="a", state="h")
def residual_srn(a, h):
    """SRN with a residual connection: h_t = h_{t-1} + f(x_t, h_{t-1}).

    The skip connection of He et al., CVPR 2016, laid through time; a discretised ODE, Chang et al., ICLR 2019.
    """
    return h + tanh(a)
