"""DigitSum: its structure, the promise that a seed gives the same data for ever, and its files."""

import doctest
from collections import Counter

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ostinato.errors import DataError
from ostinato.tasks import DigitSum, digit_sum

SPLITS = ("train", "dev", "test")


def test_worked_example():
    assert doctest.testmod(digit_sum).failed == 0


@pytest.mark.parametrize("length", [3, 4, 5, 10, 35])
@pytest.mark.parametrize("copies", [1, 3])
def test_structure(length, copies):
    data = DigitSum.generate(length, copies, seed=5)
    assert data.length == length
    for name, count in zip(SPLITS, (copies, 1, 1), strict=True):
        inputs, targets = getattr(data, name)
        assert inputs.dtype == targets.dtype == torch.int64
        assert inputs.shape == (100 * count, length)
        assert targets.shape == (100 * count,)
        pairs = Counter((a, b) for a, b in inputs[:, :2].tolist())
        assert pairs == {(a, b): count for a in range(10) for b in range(10)}
        assert torch.equal(targets, inputs[:, 0] + inputs[:, 1])
        assert ((inputs >= 0) & (inputs <= 9)).all()
        assert ((inputs[:, 2:] != 0).sum(dim=1) <= 1).all()


def test_position_and_digit_are_uniform():
    tail = DigitSum.generate(7, copies=200).train.inputs[:, 2:]
    shares = torch.tensor([(tail == digit).sum(dim=0).tolist() for digit in range(1, 10)]) / len(tail)
    assert (shares - 1 / 50).abs().max() < 0.006  # 5 positions, 10 digits; five standard deviations of 20,000 draws


def test_the_same_seed_gives_the_same_data_for_ever():
    data = DigitSum.generate(5)
    assert [getattr(data, name).inputs[67].tolist() for name in SPLITS] == [
        [2, 2, 7, 0, 0],
        [6, 7, 0, 0, 4],
        [6, 7, 0, 9, 0],
    ]
    data = DigitSum.generate(8, copies=2, seed=12345)
    assert [getattr(data, name).inputs[99].tolist() for name in SPLITS] == [
        [4, 9, 0, 9, 0, 0, 0, 0],
        [9, 9, 0, 0, 0, 0, 5, 0],
        [9, 9, 0, 0, 0, 0, 2, 0],
    ]


def test_streams_are_independent():
    tails = {}
    for length, seed in ((20, 0), (20, 1), (21, 0)):
        data = DigitSum.generate(length, copies=1, seed=seed)
        for name in SPLITS:
            tails[length, seed, name] = getattr(data, name).inputs[:, 2:20]
    for key, tail in tails.items():
        for other, second in tails.items():
            assert key == other or (tail == second).all(dim=1).float().mean() < 0.3, (key, other)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"length": 2}, "length 2 .* at least 3"),
        ({"length": 5, "copies": 0}, "copies is 0"),
        ({"length": 5, "seed": -1}, "seed is -1"),
    ],
)
def test_what_cannot_be_generated(arguments, message):
    with pytest.raises(DataError, match=message):
        DigitSum.generate(**arguments)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(length=st.integers(3, 40), copies=st.integers(1, 4), seed=st.integers(0, 2**64))
def test_what_is_written_is_read(tmp_path, length, copies, seed):
    data = DigitSum.generate(length, copies, seed)
    data.write(tmp_path)
    back = DigitSum.read(tmp_path)
    for name in SPLITS:
        for ours, theirs in zip(getattr(data, name), getattr(back, name), strict=True):
            assert ours.dtype == theirs.dtype
            assert torch.equal(ours, theirs)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dev.txt", "test.txt", "train.txt"]


def test_the_form_of_the_course(tmp_path):
    DigitSum.generate(5).write(tmp_path / "new" / "folder")
    lines = (tmp_path / "new" / "folder" / "dev.txt").read_bytes().split(b"\n")
    assert len(lines) == 101
    assert lines[-1] == b""
    digits, label = lines[67].split(b"\t")
    assert digits.startswith(b"6 7 ")
    assert (len(digits), label) == (9, b"13")


def test_windows_line_ends_are_read(tmp_path):
    data = DigitSum.generate(5)
    data.write(tmp_path)
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert torch.equal(DigitSum.read(tmp_path).train.inputs, data.train.inputs)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"1 2 0\t3\n1 x 0\t1\n", "line 2: 'x' is not a digit"),
        (b"1 2 0\t3\n1 12 0\t13\n", "line 2: '12' is not a digit"),
        (b"1  2 0\t3\n", "line 1: '' is not a digit"),
        ("1 \N{SUPERSCRIPT TWO} 0\t3\n".encode(), "line 1: '\N{SUPERSCRIPT TWO}' is not a digit"),
        (b"1 2 0\t3\n1 2 0\t4\n", "line 2: the label is '4'; .* 1 and 2, make 3"),
        (b"1 2 0\tthree\n", "line 1: the label is 'three'"),
        (b"1 2 0\t 3\n", "line 1: the label is ' 3'"),
        (b"1 2 0\t3\t3\n", "line 1: the label is"),
        (b"1 2 0\t3\n1 2 0 3\n", "line 2: no tab in '1 2 0 3'"),
        (b"1 2 0\t3\n\n1 2 0\t3\n", "line 2: no tab in ''"),
        (b"1 2 0\t3\n1 2 0 0\t3\n", "line 2: 4 digits, but the first line has 3"),
        (b"1 2\t3\n", "line 1: 2 digit"),
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"1 2 0\t3\n1 \xff 0\t3\n", "line 2: byte 0xff is not UTF-8"),
    ],
)
def test_a_wrong_file_is_refused_by_name_and_line(tmp_path, content, message):
    DigitSum.generate(3).write(tmp_path)
    (tmp_path / "dev.txt").write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        DigitSum.read(tmp_path)
    assert str(caught.value).startswith(str(tmp_path / "dev.txt"))
    assert "\n" not in str(caught.value)


def test_a_folder_of_two_lengths_is_refused(tmp_path):
    DigitSum.generate(4).write(tmp_path)
    (tmp_path / "test.txt").write_bytes(b"1 2 0\t3\n")
    with pytest.raises(DataError, match=r"test\.txt holds sequences of 3 digits, but .*train\.txt of 4"):
        DigitSum.read(tmp_path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"train\.txt: No such file .* holds train\.txt, dev\.txt and test\.txt"):
        DigitSum.read(tmp_path)


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    DigitSum.generate(5).write(tmp_path)
    before = (tmp_path / "train.txt").read_bytes()

    def fail(self, target):
        raise OSError("disk full")

    monkeypatch.setattr("pathlib.Path.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        DigitSum.generate(6).write(tmp_path)
    assert (tmp_path / "train.txt").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 3
