"""What is told of: work, seminars, activities, evidence."""
from __future__ import annotations

from dataclasses import dataclass, field

from law_roster import Person
from law_scheme import FAR


@dataclass
class Submission:
    id: str
    author: Person
    at: int
    superseded_at: int | None = None
    marked_until: int = FAR
    counts_for: Person | None = None  # the id that counts, of a person with several
    disregarded: bool = False  # kept, and does not count: the one before it had been graded when it came
    marks: list[tuple[int, str]] = field(default_factory=list)  # (at, grade or "returned")

    def counted(self) -> list[tuple[int, str]]:
        """The marks that count: those by the end of reviews, as whoever handed it in has that."""
        return [(at, mark) for at, mark in self.marks if at < self.marked_until]

    def grades(self) -> list[str]:
        return [mark for _, mark in self.counted() if mark != "returned"]


@dataclass
class Seminar:
    class_id: str
    opened_at: int
    tutor: str = ""  # who opened it
    summarised_at: int | None = None
    posts: list[tuple[int, str]] = field(default_factory=list)  # (at, person)


@dataclass
class Activity:
    county: str
    stage: str
    held_at: int = 0
    attended_at: dict[str, int] = field(default_factory=dict)  # when first
    attended: set[str] = field(default_factory=set)
    scores: dict[str, int] = field(default_factory=dict)  # the last one of each attendee
    order: dict[str, int] = field(default_factory=dict)
    scored_at: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Evidence:
    """That a duty was done, as its bearer tells it: a person, a region, or with neither the training institution."""
    fact: str
    duty: str
    at: int
    person: str
    region: str
