"""python3 shuffle.py SEASON OUT --seed N

The same season told in another order: every line gets a `told` after the season's end, in a random order in which
only what rests on something comes after it, and now and then a line is told twice. A retraction rests on nothing: it may
come before its fact (`retract.py` makes them), but for what is `again`: that is sent last. The law says that the order of
arrival decides nothing, so the scores must be those of SEASON; its refusals need not be (what is refused for a
date stays refused, but a line that came before what it rests on may now be taken)."""
from __future__ import annotations

import argparse
import heapq
import json
import random
import shutil
from collections import defaultdict
from datetime import date, datetime, timedelta
from pathlib import Path

import law_roster
from law_scheme import Scheme, instant

Event = dict
AGAIN = 0.05  # how many lines are told twice


def counties_of(person: law_roster.Person | None, moved: dict[str, set[str]]) -> set[str]:
    """Every county in which somebody ever stood, and those that these were merged into, which `moved` has by their codes."""
    if person is None:
        return {""}
    own = {person.county} | moved.get(person.id, set())
    return own | {into for code in own for into in moved.get(code, ())}


def roots(event: Event, people: dict[str, law_roster.Person], moved: dict[str, set[str]]) -> list[tuple]:
    """What a line rests on: it comes after every line that makes one of these."""
    kind = event["type"]
    if kind in ("remittance.confirmed", "invoice.issued"):
        return [("remittance", event["county"], event["ref"])] + (
            [("confirmed", event["county"], event["ref"])] if kind == "invoice.issued" else [])
    if kind == "learning.opened":
        return [("reported", event["county"]), ("money", event["county"])]
    if kind == "study.session":
        person = people.get(event["person"])
        return [("login", event["person"]), *(("opened", county) for county in counties_of(person, moved)),
                ("selected", event["person"], event["course"]), ("courses",), ("extended",)]
    if kind == "course.selected":
        return [("courses",)]
    if kind == "time.granted":
        return [("studied", event["person"]), ("courses",), ("extended",)]
    if kind in ("assignment.reviewed", "assignment.returned"):
        return [("submission", event["submission"])]
    if kind == "session.voided":
        return [("studied", event["person"])]
    if kind in ("seminar.posted", "seminar.summarised"):
        return [("seminar", event["seminar"])]
    if kind == "offline.attended":
        return [("activity", event["activity"])]
    if kind == "roster.compiled":
        return [("rosters",)]
    if kind == "evidence.submitted":
        return [("determined",)] if event["duty"] == SELECTION else []
    if kind == "evidence.sent_back":
        return [("evidence", event["evidence"])]
    if kind == "offline.scored":
        return [("activity", event["activity"]), ("attended", event["activity"], event["person"])]
    return []


SELECTION, DETERMINED = "TRAIN-TRAINEE-OFFLINE-SELECT", "TRAIN-COUNSELOR-OFFLINE-COURSE"
MARKS = ("assignment.reviewed", "assignment.returned")
# What is told before a merge of its day or behind it, and means the same.
FREE_OF_MERGES = (*MARKS, "place.merged", "place.renamed", "fact.retracted", "person.removed", "session.voided", "time.granted",
                  "item.adjusted", "course.corrected", "course.retired", "extension.granted", "trainee.withdrawn", "trainee.returned")
TURNS = ("trainee.transferred", "trainee.withdrawn", "trainee.returned")


def about(event: Event, author: dict[str, str]) -> list[str]:
    """The trainees of whom a line tells something."""
    if event["type"] in ("person.removed", "persons.merged"):
        return []  # for scores as of any time: it may come whenever
    if event["type"] in ("assignment.reviewed", "assignment.returned"):
        return [who for who in (author.get(event["submission"]),) if who]
    return [*event.get("persons", ()), *([event["person"]] if "person" in event else [])]


def classes_about(events: list[Event]) -> dict[int, set[str]]:
    """The classes whose tutor each line asks for. A mark is none of them: it is judged anew."""
    of_seminar = {e["seminar"]: e["class"] for e in events if e["type"] == "seminar.opened"}
    out = {}
    for number, event in enumerate(events):
        if event["type"] in ("seminar.opened", "bulletin.published", "tutor.replaced"):
            out[number] = {event["class"]}
        elif event["type"] == "seminar.summarised":
            out[number] = {of_seminar.get(event["seminar"], "")}
    return out


def turned(events: list[Event]) -> dict[int, list[int]]:
    """The moves, withdrawals and returns that each line comes after: those of whom it tells something, by its time; and so of a class
    that gets another tutor. Who has not been told of them can't answer by them; what is dated before them comes on either side. A mark
    comes before a move and before another tutor, too. So it is with places that are merged, of everybody."""
    author = {e["submission"]: e["person"] for e in events if e["type"] == "assignment.submitted"}
    back = {e["person"] for e in events if e["type"] in ("trainee.returned", "trainee.transferred")}
    turns: dict[str, list[tuple[int, int, str]]] = defaultdict(list)
    for number, event in enumerate(events):
        if event["type"] in TURNS and event["person"] in back:
            turns[event["person"]].append((instant(event["at"]), number, event["type"]))
    classes = classes_about(events)
    tutors = [(instant(e["at"]), n, e["class"]) for n, e in enumerate(events) if e["type"] == "tutor.replaced"]
    merges = [(instant(e["at"]), n) for n, e in enumerate(events) if e["type"] == "place.merged"]
    after: dict[int, list[int]] = {}
    for number, event in enumerate(events):
        until, is_mark = instant(event.get("end", event["at"])), event["type"] in MARKS
        after[number] = [turn for who in about(event, author) for at, turn, kind in turns.get(who, ())
                         if at <= until and turn != number and not (is_mark and kind == "trainee.transferred")]
        if event["type"] not in FREE_OF_MERGES:
            after[number] += [turn for at, turn in merges if at <= until and turn != number]
        after[number] += [turn for at, turn, of in tutors if at <= until and turn != number and of in classes.get(number, ())]
    return after


def makes(event: Event) -> list[tuple]:
    """What may rest on a line."""
    kind = event["type"]
    if kind in ("course.corrected", "course.retired"):
        return [] if event.get("free") else [("courses",)]  # one that nobody's credit rests on may come whenever
    if kind == "extension.granted":
        return [("extended",)]
    if kind == "evidence.submitted":
        return [("evidence", event["fact"]), *([("determined",)] if event["duty"] == DETERMINED else [])]
    if kind == "roster.reported":
        return [("reported", event["county"]), ("rosters",)]
    if kind == "remittance.sent":
        return [("remittance", event["county"], event["ref"])]
    if kind == "remittance.confirmed":
        return [("confirmed", event["county"], event["ref"]), ("money", event["county"])]
    if kind == "offline.attended":
        return [("attended", event["activity"], who) for who in event["persons"]]
    named = {"person.logged_in": ("login", "person"),
             "learning.opened": ("opened", "county"), "assignment.submitted": ("submission", "submission"),
             "seminar.opened": ("seminar", "seminar"), "offline.activity_held": ("activity", "activity")}
    if kind == "study.session":
        return [("studied", event["person"])]
    if kind == "course.selected":
        return [("selected", event["person"], event["course"])]
    return [(named[kind][0], event[named[kind][1]])] if kind in named else []


def only_once(event: Event) -> tuple | None:
    """What there is one of: of two lines the one that is told first is it, whenever they happened."""
    named = {"assignment.submitted": ("submission",), "seminar.opened": ("seminar",), "offline.activity_held": ("activity",),
             "bulletin.published": ("class", "number")}.get(event["type"])
    return (event["type"], *(event[name] for name in named)) if named else None


def in_one_order(sessions: list[tuple[int, Event]], scheme: Scheme) -> list[list[int]]:
    """Sessions of one learner whose order the law lets decide who has the common time: those that overlap, and those of
    one course that one of them shares, since its length is shared out in the order in which they are recorded; with a daily
    cap also those of one day, since of the day's rest that is as true."""
    groups: list[tuple[list[int], list[Event]]] = []
    for number, event in sessions:
        apart, numbers, events = [], [number], [event]
        for group in groups:
            if any(meets(event, other, scheme) for other in group[1]):
                numbers, events = group[0] + numbers, group[1] + events
            else:
                apart.append(group)
        groups = [*apart, (numbers, events)]
    return [sorted(numbers) for numbers, _ in groups]


def days_of(event: Event, scheme: Scheme) -> set[date]:
    first, last = scheme.local_day(instant(event["start"])), scheme.local_day(instant(event["end"]))
    return {first + timedelta(days=number) for number in range((last - first).days + 1)}


def meets(one: Event, other: Event, scheme: Scheme) -> bool:
    if one["course"] == other["course"] or one["session"] == other["session"]:
        return True
    if scheme.daily_cap and days_of(one, scheme) & days_of(other, scheme):
        return True
    first, last = max(instant(one["start"]), instant(other["start"])), min(instant(one["end"]), instant(other["end"]))
    return first <= last


def order(events: list[Event], people: dict[str, law_roster.Person], scheme: Scheme, dice: random.Random) -> list[int]:
    """A random order of the lines in which everything comes after what it rests on."""
    made: dict[tuple, list[int]] = defaultdict(list)
    moved: dict[str, set[str]] = defaultdict(set)
    for event in events:
        if event["type"] == "trainee.transferred":
            moved[event["person"]].add(event["county"])
        if event["type"] == "place.merged" and event["kind"] == "region":
            moved[event["code"]].add(event["into"])
    study: dict[str, list[tuple[int, Event]]] = defaultdict(list)
    for number, event in enumerate(events):
        for thing in makes(event) if not event.get("again") else ():
            made[thing].append(number)
        if event["type"] == "study.session":
            study[event["person"]].append((number, event))
    after: dict[int, set[int]] = {number: set() for number in range(len(events))}
    again = [number for number, event in enumerate(events) if event.get("again")]
    first = set(range(len(events))) - set(again)
    for place, number in enumerate(again):  # what is sent again once everything was told, in its own order
        after[number] |= first | set(again[:place])
    for number, event in enumerate(events):
        for thing in roots(event, people, moved):
            after[number] |= set(made[thing]) - {number}
    for number, turns in turned(events).items():
        after[number] |= set(turns)
    taken: dict[tuple, int] = {}
    for number, event in enumerate(events):
        named = only_once(event) if not event.get("again") else None
        if named in taken:
            after[number].add(taken[named])
        if named is not None:
            taken[named] = number
    for sessions in study.values():
        for group in in_one_order(sessions, scheme):
            for one, other in zip(group, group[1:]):
                after[other].add(one)
    waiting: dict[int, set[int]] = defaultdict(set)
    for number, before in after.items():
        for one in before:
            waiting[one].add(number)
    ready = [(dice.random(), number) for number, before in after.items() if not before]
    heapq.heapify(ready)
    out = []
    while ready:
        _, number = heapq.heappop(ready)
        out.append(number)
        for other in waiting[number]:
            after[other].discard(number)
            if not after[other]:
                heapq.heappush(ready, (dice.random(), other))
    assert len(out) == len(events), "what rests on each other"
    return out


def shuffle(season: Path, out: Path, seed: int) -> None:
    dice = random.Random(seed)
    out.mkdir(parents=True)
    shutil.copy(season / "scheme.toml", out)
    shutil.copytree(season / "roster", out / "roster")
    lines = (season / "season.ndjson").read_text(encoding="utf-8").splitlines()
    # In the order in which the season's own lines are told; a learner's sessions that meet keep it.
    events = [json.loads(line) for line in lines if line.strip()]
    people = law_roster.load(season / "roster").people
    told = datetime.fromisoformat(max((event.get("end", event["at"]) for event in events), key=instant)) + timedelta(days=30)
    with (out / "season.ndjson").open("w", encoding="utf-8", newline="\n") as file:
        numbers = order(events, people, Scheme(season / "scheme.toml"), dice)
        again = [number for number in numbers if dice.random() < AGAIN and not events[number].get("again")]
        for number in numbers + dice.sample(again, len(again)):
            told += timedelta(seconds=1)
            event = {**events[number], "told": told.isoformat()}
            file.write(json.dumps(event, ensure_ascii=False, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("season", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, required=True)
    args = parser.parse_args()
    shuffle(args.season, args.out, args.seed)
