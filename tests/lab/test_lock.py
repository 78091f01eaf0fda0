"""The lock of a folder, between real processes."""

import os
import signal
import subprocess
import sys
import threading
from contextlib import ExitStack, contextmanager

import pytest

from ostinato.errors import DataError
from ostinato.lab.lock import lock
from ostinato.lab.results import Run
from ostinato.lab.store import create, open_store

HOLD = f"""
import sys
sys.path[:0] = {sys.path!r}
from ostinato.errors import DataError
from ostinato.lab.lock import lock
try:
    with lock(sys.argv[1]):
        print("locked", flush=True)
        sys.stdin.read()
except DataError as error:
    print(error)
"""


@contextmanager
def another_process(folder):
    """A process that holds the lock, or says why not, until its standard input is closed; and what it says."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([sys.executable, "-c", HOLD, folder], **pipes, text=True) as process:
        yield process, process.stdout.readline().strip()


def test_one_process_at_a_time(tmp_path):
    folder = tmp_path / "new folder"
    with another_process(folder) as (process, said):
        assert said == "locked"
        refusal = rf"^{folder} is in use by process {process.pid} on .+: wait for it to end, or choose another folder$"
        with pytest.raises(DataError, match=refusal), lock(folder):
            pass
        with another_process(folder) as (_, said):
            assert f"is in use by process {process.pid} on " in said
        with pytest.raises(DataError, match=refusal), lock(folder):  # who asks in vain changes nothing
            pass
    with lock(folder), another_process(folder) as (_, said):
        assert f"is in use by process {os.getpid()} on " in said


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_process_that_is_killed_holds_nothing(tmp_path, end):
    with another_process(tmp_path) as (process, said):
        assert said == "locked"
        process.send_signal(end)
    with lock(tmp_path), another_process(tmp_path) as (_, said):
        assert f"is in use by process {os.getpid()} on " in said  # not by the one that was killed


def test_two_blocks_of_one_process(tmp_path):
    with lock(tmp_path):
        with pytest.raises(DataError, match=f"in use by process {os.getpid()}"), lock(tmp_path):
            pass
        refused = []

        def try_it():
            with pytest.raises(DataError, match="in use"), lock(tmp_path):
                pass
            refused.append(True)

        thread = threading.Thread(target=try_it)
        thread.start()
        thread.join()
        assert refused == [True]
        with another_process(tmp_path) as (_, said):
            assert "is in use" in said


def test_folders_do_not_hinder_each_other(tmp_path):
    with lock(tmp_path / "a"), lock(tmp_path / "b"), another_process(tmp_path / "c") as (_, said):
        assert said == "locked"


def test_an_error_in_the_block_lets_go(tmp_path):
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), lock(tmp_path):
            raise ZeroDivisionError
    assert "run.holder" not in [path.name for path in tmp_path.iterdir()]


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("leave", [lambda stack: None, lambda stack: stack.close()], ids=["stays in", "leaves"])
def test_a_fork_that_ends_takes_no_lock_with_it(tmp_path, leave):
    with ExitStack() as stack:
        stack.enter_context(lock(tmp_path))
        child = os.fork()
        if not child:
            leave(stack)
            os._exit(0)
        os.waitpid(child, 0)
        with another_process(tmp_path) as (_, said):
            assert f"is in use by process {os.getpid()} on " in said
    with another_process(tmp_path) as (_, said):
        assert said == "locked"


def test_what_is_locked_can_be_read(tmp_path):
    with lock(tmp_path):
        create(tmp_path, Run("memory", "", {}, {}, {}, "")).close()
        with open_store(tmp_path, read_only=True) as store:
            assert store.count() == 0


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"file"), lock(tmp_path / "file"):
        pass
