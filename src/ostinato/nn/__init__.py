"""Layers and models: torch.nn's recurrent layers for any cell, embeddings, pooling, whole patterns."""

from .embedding import Embedding, OneHotEmbedding
from .initialisation import xavier_initialise
from .layers import GRU, LSTM, RNN, SRN
from .patterns import SequenceClassifier, SequenceTagger
from .pooling import last_state, masked_mean
from .population import Population
from .recurrent import Recurrent

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "SRN",
    "Embedding",
    "OneHotEmbedding",
    "Population",
    "Recurrent",
    "SequenceClassifier",
    "SequenceTagger",
    "last_state",
    "masked_mean",
    "xavier_initialise",
]
