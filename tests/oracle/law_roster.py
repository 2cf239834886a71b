"""The roster: regions, classes, courses, people."""
from __future__ import annotations

import csv
import re
from dataclasses import dataclass, field, replace
from pathlib import Path

from law_scheme import FAR

TRAINEE, TUTOR, COUNSELOR, EXPERT = "trainee", "class_tutor", "county_counselor", "subject_expert"
LEAD = "municipal_lead"


def subjects(text: str) -> frozenset[str]:
    """Several subjects in one text, as people write them."""
    return frozenset(part.strip() for part in re.split("[、/／;；,，]", text) if part.strip())


@dataclass
class Person:
    id: str
    role: str
    county: str
    stage: str
    subject: str
    class_id: str
    school: str = ""
    development: str = ""
    # Where they stood before each transfer: until when, county, class. `county` and `class_id` are those of now.
    before: list[tuple[int, str, str]] = field(default_factory=list)

    def moves(self, at: int, county: str, class_id: str) -> None:
        self.before.append((at, self.county, self.class_id))
        self.county, self.class_id = county, class_id

    def places(self) -> list[tuple[int, int, str, str]]:
        """From when until when they stood in which county and class."""
        out, since = [], -FAR
        for until, county, class_id in [*self.before, (FAR, self.county, self.class_id)]:
            out.append((since, until, county, class_id))
            since = until
        return out

    def class_before(self, deadline: int) -> str:
        """The class in which they stood just before a deadline."""
        return self.place_before(deadline)[1]

    def place_before(self, deadline: int) -> tuple[str, str]:
        """The county and the class in which they stood just before a deadline."""
        return next((county, class_id) for since, _, county, class_id in reversed(self.places()) if since < deadline)


@dataclass(frozen=True)
class Terms:
    """What a course is at a time."""
    category: str
    main_line: bool
    seconds: int
    subject: str
    stage: str
    retired: bool = False

    def applies_to(self, person: Person) -> bool:
        """Its stage is empty or theirs; of its subjects one is theirs, or it has none."""
        of = subjects(self.subject)
        return (not of or bool(of & subjects(person.subject))) and self.stage in ("", person.stage)


@dataclass
class Course:
    id: str
    first: Terms
    # What changed: since when (-FAR for always), the number of the change, what is so from then on.
    changes: list[tuple[int, int, dict[str, object]]] = field(default_factory=list)

    def spans(self) -> list[tuple[int, int, Terms]]:
        """From when until when it was what."""
        out, since, terms = [], -FAR, self.first
        for at, _, new in sorted(self.changes, key=lambda change: change[:2]):
            if at > since:
                out.append((since, at, terms))
                since = at
            terms = replace(terms, **new)
        return [*out, (since, FAR, terms)]

    def at(self, at: int) -> Terms:
        if not self.changes:
            return self.first
        return next(terms for since, until, terms in self.spans() if since <= at < until)


@dataclass
class Roster:
    # By id and role; and by id alone, as a trainee whoever is one.
    roles: dict[tuple[str, str], Person] = field(default_factory=dict)
    people: dict[str, Person] = field(default_factory=dict)
    courses: dict[str, Course] = field(default_factory=dict)
    counties: set[str] = field(default_factory=set)
    above: dict[str, str] = field(default_factory=dict)  # the region in which a region lies
    tutor_of: dict[str, str] = field(default_factory=dict)
    region_of: dict[str, str] = field(default_factory=dict)  # the region in which a class is
    # In which it was before that was merged into another: until when, region.
    regions_before: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    # Who was a class's tutor before each replacement: until when, who. `tutor_of` says who is it now.
    tutors_before: dict[str, list[tuple[int, str]]] = field(default_factory=dict)

    # What was merged into what, and since when: counties and classes by code, until what (of who stands there now).
    merged: dict[tuple[str, str], str] = field(default_factory=dict)

    def stands_for(self, kind: str, code: str) -> str:
        """What stands for a place now: itself, or what it was merged into."""
        while (kind, code) in self.merged:
            code = self.merged[kind, code]
        return code

    def merges(self, at: int, kind: str, code: str, into: str) -> None:
        """Who stands there stands in the other from now on; a class has no tutor any more."""
        self.merged[kind, code] = into
        for person in self.roles.values():
            if kind == "class" and person.class_id == code:
                person.moves(at, person.county, into)
            if kind == "region" and person.county == code:
                person.moves(at, into, person.class_id)
        if kind == "class":
            self.replaces(at, code, "")
        for class_id in [c for c, region in self.region_of.items() if kind == "region" and region == code]:
            self.regions_before.setdefault(class_id, []).append((at, code))
            self.region_of[class_id] = into

    def merges_school(self, code: str, into: str) -> None:
        """Who is at a school is at the other one; nothing but statistics asks for it."""
        for person in self.roles.values():
            if person.school == code:
                person.school = into

    def role(self, role: str) -> list[Person]:
        return sorted((p for p in self.roles.values() if p.role == role), key=lambda p: p.id)

    def add(self, person: Person) -> None:
        self.roles[person.id, person.role] = person
        if person.role == TRAINEE or person.id not in self.people:
            self.people[person.id] = person

    def remove(self, who: str, role: str) -> None:
        """They had never been there in that role."""
        self.roles.pop((who, role), None)
        self.people.pop(who, None)
        for person in [p for (other, _), p in self.roles.items() if other == who]:
            self.add(person)

    def replaces(self, at: int, class_id: str, tutor: str) -> None:
        self.tutors_before.setdefault(class_id, []).append((at, self.tutor_of[class_id]))
        self.tutor_of[class_id] = tutor

    def tutor_before(self, class_id: str, deadline: int) -> str:
        """Who was a class's tutor just before a deadline."""
        before = self.tutors_before.get(class_id, ())
        return next((tutor for until, tutor in before if deadline <= until), self.tutor_of.get(class_id, ""))


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def load(folder: Path) -> Roster:
    roster = Roster()
    roster.counties = {r["code"] for r in _rows(folder / "regions.csv") if r["level"] == "county"}
    roster.above = {r["code"]: r["parent_code"] for r in _rows(folder / "regions.csv")}
    roster.tutor_of = {r["class_id"]: r["tutor_id"] for r in _rows(folder / "classes.csv")}
    roster.region_of = {r["class_id"]: r["region_code"] for r in _rows(folder / "classes.csv")}
    for r in _rows(folder / "courses.csv"):
        roster.courses[r["course_id"]] = Course(r["course_id"], Terms(
            r["category"], r["main_line"] == "true", int(r["minutes"]) * 60, r["subject"], r["education_stage"]))
    for r in _rows(folder / "people.csv"):
        roster.add(Person(r["person_id"], r["role"], r["county_code"], r["education_stage"], r["subject"], r["class_id"],
                          r["school_code"], r["development_stage"]))
    return roster
