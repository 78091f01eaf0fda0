import os
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def same_as_file() -> Callable[[Path, str], None]:
    """Compare a generated text with the file that keeps it; with OSTINATO_REWRITE=1 the file is written anew."""

    def check(path: Path, text: str) -> None:
        if os.environ.get("OSTINATO_REWRITE"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert path.is_file(), (
            f"{path} is missing: run OSTINATO_REWRITE=1 pytest tests/derive and look at the difference"
        )
        assert text == path.read_text(encoding="utf-8")

    return check
