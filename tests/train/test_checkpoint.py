"""Files: what is written comes back, half a file is never seen, and a wrong file is refused in a sentence."""

import pytest
import torch
from torch import nn

from ostinato.errors import DataError
from ostinato.files import write_atomically
from ostinato.train import Evaluation, History, load_weights, read_record, save_weights, write_record


def test_weights_come_back(tmp_path):
    first, second = nn.LSTM(3, 5), nn.LSTM(3, 5)
    save_weights(first, tmp_path / "w.safetensors")
    load_weights(second, tmp_path / "w.safetensors")
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)
    assert [path.name for path in tmp_path.iterdir()] == ["w.safetensors"]


def test_transposed_weights_are_saved(tmp_path):
    model, other = nn.Linear(3, 3), nn.Linear(3, 3)
    model.weight.data = model.weight.data.T
    save_weights(model, tmp_path / "w.safetensors")
    load_weights(other, tmp_path / "w.safetensors")
    assert torch.equal(model.weight, other.weight)


def test_wrong_weights_are_refused(tmp_path):
    path = tmp_path / "w.safetensors"
    with pytest.raises(DataError, match=r"w\.safetensors: No such file"):
        load_weights(nn.Linear(3, 3), path)
    path.write_bytes(b"not weights")
    with pytest.raises(DataError, match="is not a safetensors file"):
        load_weights(nn.Linear(3, 3), path)
    save_weights(nn.Linear(4, 3), path)
    with pytest.raises(DataError, match=r"another model: .*size mismatch"):
        load_weights(nn.Linear(3, 3), path)


def test_records_come_back(tmp_path):
    history = History([1.5, float("inf")], [Evaluation(2, 0.1, 0.9)], True, 3.25)
    write_record(history, tmp_path / "h.json")
    assert read_record(History, tmp_path / "h.json") == history


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not a History"),
        (b"{", "is not a History"),
        (b'{"train_loss": ["x"]}', r"train_loss\.0: Input should be a valid number"),
    ],
)
def test_wrong_records_are_refused(tmp_path, content, message):
    (tmp_path / "h.json").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_record(History, tmp_path / "h.json")


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def fail(self, target):
        raise OSError("disk full")

    monkeypatch.setattr("pathlib.Path.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1
