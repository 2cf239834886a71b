"""Characters as Chinese word processors count them (字数), scoring.md "Seminar"."""
from __future__ import annotations

from unicodedata import category, east_asian_width

from law_readings import Readings

# Unicode's Default_Ignorable_Code_Point without what is a format character (Cf) anyway.
IGNORABLE = [
    (0x034F, 0x034F), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x2065, 0x2065), (0x3164, 0x3164),
    (0xFE00, 0xFE0F), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFF8), (0xE0000, 0xE0FFF),
]
# Drawn as a blank, so that it ends a run like one.
FILLERS = "\u115f\u1160\u2800\u3164\uffa0"


def unseen(char: str) -> bool:
    """Control and format characters, default-ignorable ones, and fillers; white space is apart."""
    if char in FILLERS or category(char) in ("Cc", "Cf"):
        return True
    return any(first <= ord(char) <= last for first, last in IGNORABLE)


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
        elif unseen(char):
            in_run = in_run and char not in FILLERS
        elif east_asian_width(char) in single:
            in_run = False
            total += 1
        elif not in_run:
            in_run = True
            total += 1
    return total


def blank(text: str) -> bool:
    return all(char.isspace() or unseen(char) for char in text)
