"""The scheme as data, and time: windows, days and weeks in the scheme's zone.
Every instant is an integer number of microseconds since 1970 (UTC)."""
from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

SECOND = 1_000_000
HOUR = 3600 * SECOND
FAR = 1 << 62


def instant(text: str) -> int:
    """ISO 8601 with offset -> microseconds, without floating point."""
    moment = datetime.fromisoformat(text)
    offset = moment.utcoffset()
    if offset is None:
        raise ValueError(f"no offset: {text}")
    day = moment.toordinal() - 719163
    seconds = day * 86400 + moment.hour * 3600 + moment.minute * 60 + moment.second
    shift = offset.days * 86400 + offset.seconds
    return (seconds - shift) * SECOND + moment.microsecond


@dataclass(frozen=True)
class Window:
    """[first 00:00, the midnight after last), scoring.md "Time"."""
    first: int
    end: int

    def holds(self, at: int) -> bool:
        return self.first <= at < self.end


@dataclass(frozen=True)
class Online:
    name: str  # of its window
    window: Window
    categories: frozenset[str]
    seconds: int
    points: int
    requires_previous: bool


class Scheme:
    """scheme.toml with its windows resolved."""

    def __init__(self, path: Path) -> None:
        self.raw = tomllib.loads(path.read_text(encoding="utf-8"))
        self.zone = ZoneInfo(self.raw["time_zone"])
        self.calendar = {name: self._window(pair) for name, pair in self.raw["calendar"].items()}
        study = self.raw["study"]
        self.max_gap = int(study["heartbeat_max_gap_seconds"]) * SECOND
        self.cap_course = bool(study.get("cap_course_at_duration", True))
        self.daily_cap = int(study.get("daily_cap_minutes", 0)) * 60
        self.trainee = self.raw["trainee"]
        self.tutor = self.raw["tutor"]
        self.counselor = self.raw["counselor"]
        self.online = [self._online(entry) for entry in self.trainee.get("online", ())]
        self.as_of = self.calendar["summary"].end

    def _window(self, pair: list[object]) -> Window:
        first, last = (d if isinstance(d, date) else date.fromisoformat(str(d)) for d in pair)
        return Window(self.midnight(first), self.midnight(last + timedelta(days=1)))

    def _online(self, entry: dict) -> Online:
        return Online(entry["window"], self.calendar[entry["window"]], frozenset(entry["categories"]), int(entry["minutes"]) * 60,
                      int(entry["points"]), bool(entry.get("requires_previous", False)))

    def midnight(self, day: date) -> int:
        return int(datetime.combine(day, time(0), self.zone).timestamp()) * SECOND

    def local_day(self, at: int) -> date:
        return datetime.fromtimestamp(at // SECOND, self.zone).date()

    def day_bounds(self, at: int) -> tuple[int, int]:
        day = self.local_day(at)
        return self.midnight(day), self.midnight(day + timedelta(days=1))

    def week_of(self, at: int) -> date:
        """The Monday of the local week that holds `at`."""
        day = self.local_day(at)
        return day - timedelta(days=day.weekday())
