"""Options that take several values after one flag."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand


class SeveralValues(TyperCommand):
    """A command whose list options take several values after one flag: `--cells srn lstm`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        flags = {flag for param in self.params if getattr(param, "multiple", False) for flag in param.opts}
        repeated, flag = [], None
        for before, arg in zip([None, *args], [*args, "-"], strict=True):
            if before in flags and arg.startswith("-"):
                ctx.fail(f"{before} takes one value or more.")
            if arg.startswith("-"):
                name = arg.partition("=")[0]
                flag = name if name in flags else None
            elif flag and before != flag:
                repeated.append(flag)
            repeated.append(arg)
        return super().parse_args(ctx, repeated[:-1])
