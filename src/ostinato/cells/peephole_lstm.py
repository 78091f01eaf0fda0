from ..cell import cell
from ..expr import sigmoid, tanh


@cell(gates="i f g o", state="h c", vectors="w_ci w_cf w_co")
def peephole_lstm(i, f, g, o, h, c, w_ci, w_cf, w_co):
    """LSTM whose gates see the cell state. Gers & Schmidhuber 2000; in this form Graves, arXiv:1308.0850, 2013."""
    next_c = sigmoid(f + w_cf * c) * c + sigmoid(i + w_ci * c) * tanh(g)
    return sigmoid(o + w_co * next_c) * tanh(next_c), next_c
