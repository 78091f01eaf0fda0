"""Jobs in worker processes: what they say and give, how they end."""

import multiprocessing
import os
import signal
import time
from contextlib import closing

import pytest
import torch

from ostinato.errors import DataError, OstinatoError
from ostinato.lab.workers import cores, run


class Job:
    """What a worker does: here, so that a worker can import it."""

    def __init__(self, seconds=0.0, says=(), end=None):
        self.seconds, self.says, self.end = seconds, says, end

    def __call__(self, tell):
        for said in self.says:
            tell(said)
        time.sleep(self.seconds)
        if self.end is signal.SIGKILL:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.end is not None:
            raise self.end
        return os.getpid(), torch.get_num_threads(), signal.getsignal(signal.SIGINT)


def work(job, tell):
    return job(tell)


def collect(jobs, workers, heard=None):
    return list(run(work, jobs, workers, lambda index, said: None if heard is None else heard.append((index, said))))


def test_one_worker_is_this_process():
    heard = []
    done = collect([Job(says="ab"), Job(says="c")], 1, heard)
    assert [(each.index, each.outcome[0]) for each in done] == [(0, os.getpid()), (1, os.getpid())]
    assert heard == [(0, "a"), (0, "b"), (1, "c")]
    assert [each.outcome[0] for each in collect([Job()], 8)] == [os.getpid()]  # nor does one job need another
    assert collect([], 8) == []
    with pytest.raises(DataError, match="too short"):
        collect([Job(), Job(end=DataError("too short"))], 1)


def test_what_is_heard_can_end_the_work_of_this_process():
    def hear(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), closing(run(work, [Job(says="a")], 1, hear)) as outcomes:
        next(outcomes)


@pytest.mark.slow
def test_outcomes_come_as_they_are_ready_and_workers_end_with_the_generator():
    heard = []
    jobs = [Job(600, says="a"), Job(0.5, says="bcd"), Job(says="e"), Job()]
    with closing(run(work, jobs, 2, lambda index, said: heard.append((index, said)))) as outcomes:
        done = [next(outcomes) for _ in range(3)]
        assert sorted(each.index for each in done) == [1, 2, 3]
        for index, said in enumerate(("a", "bcd", "e")):
            assert [what for who, what in heard if who == index] == list(said)
        (pid,) = {each.outcome[0] for each in done}  # the other one has the first job still
        assert pid != os.getpid()
        assert {each.outcome[1:] for each in done} == {(1, signal.SIG_IGN)}
        begin = time.monotonic()
    assert multiprocessing.active_children() == []
    assert time.monotonic() - begin < 10


@pytest.mark.slow
@pytest.mark.parametrize(
    ("end", "error", "sentence"),
    [
        (DataError("too short"), DataError, "^too short$"),
        (
            signal.SIGKILL,
            OstinatoError,
            "^a worker process has died, perhaps for want of memory: the same command goes",
        ),
    ],
    ids=["refused", "killed"],
)
def test_a_job_that_fails_ends_them_all(end, error, sentence):
    with pytest.raises(error, match=sentence):
        collect([Job(600), Job(end=end), Job(600)], 2)
    assert multiprocessing.active_children() == []


def test_there_is_a_core():
    assert 1 <= cores() <= os.cpu_count()
