"""Characters as Chinese word processors count them (字数), scoring.md "Seminar"."""
from __future__ import annotations

from unicodedata import east_asian_width

from law_readings import Readings


def count(text: str, readings: Readings) -> int:
    """East Asian characters one by one, every run of other non-blank characters once."""
    if readings["count"] == "chars":
        return len(text)
    if readings["count"] == "nonblank":
        return sum(not c.isspace() for c in text)
    single = ("W", "F", "A") if readings["width_a"] == "one" else ("W", "F")
    total, in_run = 0, False
    for char in text:
        if char.isspace():
            in_run = False
            total += char == "\u3000" and readings["space3000"] == "1"
        elif east_asian_width(char) in single:
            in_run = False
            total += 1
        elif not in_run:
            in_run = True
            total += 1
    return total


def blank(text: str) -> bool:
    return not text.strip()
