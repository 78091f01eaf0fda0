"""Every answer derived a second time: a plain function reads one sequence, sees that it is well formed, and answers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostinato.tasks import IGNORED, TASKS


def digit_sum(sequence, length):
    assert len(sequence) == length
    assert all(0 <= digit <= 9 for digit in sequence)
    assert sum(digit != 0 for digit in sequence[2:]) <= 1
    return sequence[0] + sequence[1]


def copy(sequence, length):
    symbols = sequence[:10]
    assert all(0 <= symbol <= 7 for symbol in symbols)
    assert sequence[10:] == [8] * (length - 1) + [9] + [8] * 10
    assert len(sequence) == length + 20
    return [IGNORED] * (length + 10) + symbols


def adding(sequence, length):
    assert len(sequence) == length
    assert {mark for _, mark in sequence} <= {0, 1}
    first, second = (step for step, (_, mark) in enumerate(sequence) if mark)
    assert first < length // 2 <= second
    assert all(0 <= number < 1 for number, _ in sequence)
    return pytest.approx(sum(number for number, mark in sequence if mark), rel=1e-6)


def recall(sequence, length):
    assert len(sequence) == length
    first, *between, last = sequence
    assert 0 <= first <= 7
    assert all(8 <= distractor <= 15 for distractor in between)
    assert last == 16
    return first


def parity(sequence, length):
    assert len(sequence) == length
    odd = 0
    for bit in sequence:
        odd ^= bit
    return odd


def dyck2(sequence, length):
    assert len(sequence) == length
    opened, answers = [], []
    for bracket in sequence:
        if bracket in (0, 1):
            opened.append(bracket)
        else:
            assert opened.pop() == {2: 0, 3: 1}[bracket]
        answers.append(opened[-1] if opened else 2)
    assert not opened
    return answers


def mqar(sequence, length):
    assert len(sequence) == length
    pairs, rest = sequence[:8], sequence[8:]
    values = dict(zip(pairs[::2], pairs[1::2], strict=True))
    assert all(8 <= key <= 15 and 0 <= value <= 7 for key, value in values.items())
    assert sorted(step for step in rest if step != 16) == sorted(values)
    return [IGNORED] * 8 + [values.get(step, IGNORED) for step in rest]


def selective_copy(sequence, length):
    assert sequence[length:] == [9] * 4
    symbols = [step for step in sequence[:length] if step != 8]
    assert all(0 <= symbol <= 7 for symbol in symbols)
    assert len(symbols) == 4
    return [IGNORED] * length + symbols


ANSWERS = {
    "digit-sum": digit_sum,
    "digit-sum-fresh": digit_sum,
    "copy": copy,
    "adding": adding,
    "recall": recall,
    "parity": parity,
    "dyck2": dyck2,
    "mqar": mqar,
    "selective-copy": selective_copy,
}


def test_every_task_has_its_answer():
    assert TASKS.keys() - ANSWERS.keys() == {"digits"}  # where nobody can derive it


@pytest.mark.parametrize("name", ANSWERS)
@given(st.data())
def test_the_answer(name, data):
    task = TASKS[name]
    length = data.draw(st.integers(task.shortest, 60).map(lambda n: n + n % 2 if name == "dyck2" else n))
    inputs, targets = task.sample(length, 5, (data.draw(st.integers(0, 2**40)), length))
    for sequence, target in zip(inputs.tolist(), targets.tolist(), strict=True):
        assert target == ANSWERS[name](sequence, length)


@pytest.mark.parametrize("name", ANSWERS)
def test_the_answers_of_the_data(name):
    length = TASKS[name].lengths[1]
    for split in TASKS[name].data(length, seed=3):
        for sequence, target in zip(*(tensor[:50].tolist() for tensor in split or ()), strict=True):
            assert target == ANSWERS[name](sequence, length)
