"""Help whose options stand under headings, where there are too many for one list."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand

_OTHER = "Options"


class PanelledCommand(TyperCommand):
    """Lists options below the ``rich_help_panel`` of each, in plain text; the rest comes last."""

    def format_options(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - click's, wherever typer has it
        """See click."""
        panels: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                default = "Arguments" if parameter.param_type_name == "argument" else _OTHER
                heading = getattr(parameter, "rich_help_panel", None) or default
                panels.setdefault(heading, []).append(record)
        for heading in sorted(panels, key=lambda each: each == _OTHER):
            with formatter.section(heading):
                formatter.write_dl(panels[heading])
