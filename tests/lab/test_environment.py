import getpass
import os
import platform
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

import torch

from ostinato.lab import environment


def test_versions():
    found = environment.versions()
    assert list(found)[:3] == ["python", "ostinato", "torch"]
    assert found["python"] == platform.python_version()
    assert found["numpy"] == version("numpy")


def test_a_package_that_is_not_installed_is_left_out(monkeypatch):
    monkeypatch.setattr(environment, "_PACKAGES", ("torch", "no-such-package"))
    assert list(environment.versions()) == ["python", "torch"]


def test_machine():
    torch.set_num_threads(2)
    found = environment.machine()
    assert list(found) == ["processor", "cores", "threads", "system"]
    assert 1 <= int(found["cores"]) <= os.cpu_count()
    assert found["threads"] == "2"
    assert found["system"].split()[0] == platform.system()
    assert found["processor"]


def test_a_system_without_proc_cpuinfo(monkeypatch):
    monkeypatch.setattr(environment, "Path", lambda _: Path("nowhere"))
    assert environment.machine()["processor"]


def test_nothing_private():
    said = " ".join([*environment.machine().values(), *environment.versions().values()]).lower().split()
    for private in (platform.node(), getpass.getuser(), str(Path.home()), Path.home().name):
        assert private.lower() not in said


def test_now():
    now = environment.now()
    assert now.endswith("+00:00")
    assert timedelta(0) <= datetime.now(UTC) - datetime.fromisoformat(now) < timedelta(seconds=5)
