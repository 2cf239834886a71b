"""What the generator knows while it invents a season: dice, clock, sink, people."""
from __future__ import annotations

import heapq
import json
import random
import tempfile
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Iterator
from zoneinfo import ZoneInfo

import gen_schemes

MINUTE, HOUR, DAY = 60, 3600, 86400
EPOCH = datetime(1970, 1, 1)


class Sink:
    """Event lines in time order; chunks are sorted and spilled, then merged."""

    def __init__(self, zone: str, year: int, dice: random.Random, chunk: int = 150_000) -> None:
        self.dice, self.chunk = dice, chunk
        offset = datetime(year, 9, 1, tzinfo=ZoneInfo(zone)).utcoffset()
        assert offset is not None
        self.shift = int(offset.total_seconds())
        self.suffix = f"+{self.shift // HOUR:02d}:{self.shift % HOUR // MINUTE:02d}"
        self.rows: list[tuple[int, int, str]] = []
        self.spills: list[Path] = []
        self.count = 0
        self.folder = Path(tempfile.mkdtemp(prefix="season"))

    def stamp(self, at: int, utc: bool = False) -> str:
        shown = EPOCH + timedelta(seconds=at - (self.shift if utc else 0))
        return shown.isoformat() + ("+00:00" if utc else self.suffix)

    def put(self, at: int, kind: str, /, told: int | None = None, **fields: object) -> None:
        """`at` is local seconds, `told` when it was told, if later; now and then a line is written in UTC: only the
        offset says so."""
        utc = self.dice.random() < 0.01
        if told is not None:
            fields = {"told": self.stamp(told, utc), **fields}
        if kind == "study.session":
            fields["start"], fields["end"] = (self.stamp(int(fields[k]), utc) for k in ("start", "end"))  # type: ignore[call-overload]
        text = json.dumps({"at": self.stamp(at, utc), "type": kind, **fields}, ensure_ascii=False, separators=(",", ":"))
        self.rows.append((at if told is None else told, self.count, text))
        self.count += 1
        if len(self.rows) >= self.chunk:
            self.spill()

    def spill(self) -> None:
        path = self.folder / f"{len(self.spills)}"
        with path.open("w", encoding="utf-8") as file:
            file.writelines(f"{at}\t{n}\t{text}\n" for at, n, text in sorted(self.rows))
        self.spills.append(path)
        self.rows = []

    @staticmethod
    def read(path: Path) -> Iterator[tuple[int, int, str]]:
        with path.open(encoding="utf-8", newline="\n") as file:
            for row in file:
                at, n, text = row.rstrip("\n").split("\t", 2)
                yield int(at), int(n), text

    def write(self, path: Path) -> int:
        """Merges everything into the season file; returns the number of lines."""
        with path.open("w", encoding="utf-8", newline="\n") as file:
            for _, _, text in heapq.merge(sorted(self.rows), *map(self.read, self.spills)):
                file.write(text + "\n")
        for spill in self.spills:
            spill.unlink()
        self.folder.rmdir()
        return self.count


@dataclass
class Class_:
    id: str
    tutor: str
    members: list["Trainee"] = field(default_factory=list)


@dataclass
class County:
    code: str
    name: str
    fate: str  # open | late | unreported | unremitted
    counselors: list[str] = field(default_factory=list)
    opened: int | None = None
    trainees: list["Trainee"] = field(default_factory=list)


@dataclass
class Trainee:
    id: str
    county: County
    stage: str
    subject: str
    class_: Class_
    login: int | None = None
    withdrawn: int | None = None

    def active(self, at: int) -> bool:
        return self.withdrawn is None or at < self.withdrawn


@dataclass
class Course:
    id: str
    title: str
    category: str
    main_line: bool
    minutes: int
    subject: str
    stage: str

    def fits(self, t: Trainee) -> bool:
        return self.subject in ("", t.subject) and self.stage in ("", t.stage)


class World:
    def __init__(self, scheme: dict, seed: int, doubtful: bool, punctual: bool) -> None:
        self.scheme, self.doubtful, self.punctual = scheme, doubtful, punctual
        self.dice, self.seed = random.Random(seed), seed
        self.sink = Sink(scheme["time_zone"], scheme["_year"], random.Random(seed + 1))
        self.counties: list[County] = []
        self.classes: list[Class_] = []
        self.trainees: list[Trainee] = []
        self.courses: list[Course] = []
        self.experts: list[str] = []
        self.tutors: list[str] = []
        self.leads: list[str] = []

    def chance(self, p: float) -> bool:
        return self.dice.random() < p

    def window(self, name: str) -> tuple[int, int]:
        """[first, end) in local seconds."""
        first, end = gen_schemes.span(self.scheme, name)
        return self.midnight(first), self.midnight(end)

    @staticmethod
    def midnight(day: date) -> int:
        return (day - date(1970, 1, 1)).days * DAY

    def moment(self, first: int, end: int, early: int = 8, late: int = 21) -> int:
        """A moment of a working day in [first, end)."""
        if end - first < DAY:
            return self.dice.randrange(first, max(first + 1, end))
        for _ in range(9):
            day = self.dice.randrange(first, end) // DAY * DAY
            at = day + self.dice.randrange(early * HOUR, late * HOUR)
            if first <= at < end:
                return at
        return self.dice.randrange(first, end)
