"""Plots as SVG: axes with round ticks, and the few shapes that our plots are made of."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True)
class Axis:
    """Values from ``low`` to ``high`` on pixels from ``start`` to ``end``, in a straight or logarithmic scale."""

    low: float
    high: float
    start: float
    end: float
    is_log: bool = False

    def at(self, value: float) -> float:
        """Return the pixel of a value; what lies outside is drawn at the edge."""
        value = min(max(value, self.low), self.high)
        if self.is_log:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self, most: int = 6) -> list[float]:
        """Return round values on the axis; on a logarithmic one the powers of ten, and 2 and 5 where there is room.

        Where it is too short for two of those, they are as on a straight one.
        """
        if self.is_log and len(found := self._log_ticks(most)) > 1:
            return found
        step = round_up((self.high - self.low) / most)
        first = math.ceil(self.low / step - 1e-9)
        return [index * step for index in range(first, math.floor(self.high / step + 1e-9) + 1)]

    def _log_ticks(self, most: int) -> list[float]:
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        for digits in ((1, 2, 5), (1, 3), (1,)):
            found = [digit * 10.0**power for power in powers for digit in digits]
            inside = [value for value in found if self.low * 0.999 <= value <= self.high * 1.001]
            if len(inside) <= most:
                return inside
        return inside


def round_up(value: float, digits: tuple[int, ...] = (1, 2, 5)) -> float:
    """Return the next value that is one of ``digits`` times a power of ten; 1 of nothing."""
    power = 10.0 ** math.floor(math.log10(value)) if value > 0 else 1.0
    return next((digit * power for digit in digits if digit * power >= value * (1 - 1e-9)), 10 * power)


def element(name: str, content: str = "", /, **attributes: object) -> str:
    """Return an element; ``_`` in an attribute's name is ``-``, and ``class_`` is ``class``. Content is not escaped."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_number(value))}"'
        for key, value in attributes.items()
    )
    return f"<{name}{given}>{content}</{name}>" if content else f"<{name}{given}/>"


def text(x: float, y: float, words: str, **attributes: object) -> str:
    """Return a text."""
    return element("text", escape(words), x=x, y=y, **attributes)


def line(x1: float, y1: float, x2: float, y2: float, **attributes: object) -> str:
    """Return a straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, **attributes)


def rect(x: float, y: float, width: float, height: float, tip: str = "", **attributes: object) -> str:
    """Return a rectangle, with what a pointer on it is told."""
    return element("rect", title(tip), x=x, y=y, width=max(width, 0.0), height=max(height, 0.0), **attributes)


def circle(x: float, y: float, radius: float, tip: str = "", **attributes: object) -> str:
    """Return a circle, with what a pointer on it is told."""
    return element("circle", title(tip), cx=x, cy=y, r=radius, **attributes)


def path(points: Iterable[tuple[float, float] | None], **attributes: object) -> str:
    """Return lines from point to point, interrupted where there is None."""
    commands, pen = [], "M"
    for point in points:
        if point is not None:
            commands.append(f"{pen}{_number(point[0])} {_number(point[1])}")
        pen = "M" if point is None else "L"
    return element("path", d="".join(commands), **{"fill": "none", **attributes})


def title(words: str) -> str:
    """Return what a pointer on the element around it is told."""
    return f"<title>{escape(words)}</title>" if words else ""


def _number(value: object) -> str:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)
