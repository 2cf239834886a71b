"""python3 amend.py SEASON OUT --seed N

A season as years go: some classes and schools, and now and then a county, are merged into others, some by mistake; some trainees move to
another class, or to another county; some leave and most of them come back (产假); some had been enrolled by mistake and are removed; some
teach more than one subject, and some are enrolled twice and merged, tutors and counselors too; some classes get another tutor; some sessions turn out to be no study and are voided when all was
told, and of those some by mistake. Windows are extended, courses change, time is granted and items are decided otherwise (`decide.py`); what duties rest on is told (`tell.py`). What then is theirs of the season's other lines is for the law to say: reviews by the tutor of
before are refused, half of them are made by the tutor of the new class instead. Each of these lines has an instant of its own, since
the law says nothing of a move and a fact at one instant but that the order of their numbers decides."""
from __future__ import annotations

import argparse
import csv
import json
import random
import shutil
from datetime import datetime, timedelta
from pathlib import Path

from decide import Decisions
from tell import Duties
from law_scheme import instant

Event = dict
MOVES, LEAVES, REMOVED = 0.15, 0.10, 0.04  # of the trainees
REPLACED = 0.6  # of the classes
SEVERAL = 0.15  # of the trainees: who teach more than one subject
MERGED, UNMERGED = 0.25, 0.25  # of the trainees in pairs, and of those by mistake
STAFF_MERGED = 0.5  # of the tutors and of the counselors in pairs
AT_ONCE = 0.5  # of the sessions of the id that is merged, told beside one of the other id
PLACES_MERGED, PLACES_UNMERGED = 0.35, 0.3  # of the classes and schools that may be, and of those by mistake
COUNTIES_MERGED = 0.4  # of the seasons have one
VOIDED, UNVOIDED = 0.03, 0.4  # of the sessions, and of those by mistake
ABOUT_WORK = ("assignment.reviewed", "assignment.returned")


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


class Season:
    def __init__(self, folder: Path, dice: random.Random) -> None:
        self.dice = dice
        lines = (folder / "season.ndjson").read_text(encoding="utf-8").splitlines()
        self.events: list[Event] = [json.loads(line) for line in lines if line.strip()]
        self.roster = roster = folder / "roster"
        self.trainees = [r for r in rows(roster / "people.csv") if r["role"] == "trainee"]
        self.staff: dict[str, list[str]] = {"class_tutor": [], "county_counselor": []}
        for r in rows(roster / "people.csv"):
            self.staff.get(r["role"], []).append(r["person_id"])
        self.county_of = {r["person_id"]: r["county_code"] for r in rows(roster / "people.csv") if r["role"] == "county_counselor"}
        self.classes = {r["class_id"]: r for r in rows(roster / "classes.csv")}
        regions = {r["code"]: r for r in rows(roster / "regions.csv")}
        self.above = {code: {code, r["parent_code"], regions.get(r["parent_code"], {}).get("parent_code", "")}
                      for code, r in regions.items() if r["level"] == "county"}
        self.schools: dict[str, list[str]] = {}
        for r in rows(roster / "schools.csv"):
            self.schools.setdefault(r["county_code"], []).append(r["school_code"])
        self.author = {e["submission"]: e["person"] for e in self.events if e["type"] == "assignment.submitted"}
        self.left = {e["person"] for e in self.events if e["type"] == "trainee.withdrawn"}
        times = sorted(instant(e["at"]) for e in self.events)
        self.first, self.last = times[len(times) // 20], times[-len(times) // 50]
        self.end = times[-1]
        self.zone = datetime.fromisoformat(self.events[0]["at"]).tzinfo
        self.used: set[int] = set()
        self.decisions = Decisions(self, folder, dice)
        self.ended: dict[tuple[str, str], int] = {}  # since when nobody is moved to it, by kind and code

    def moment(self, first: int | None = None, last: int | None = None) -> int:
        """An instant of its own: with microseconds that nothing else has."""
        low, high = first or self.first, last or self.last
        while True:
            at = self.dice.randrange(low, high) // 1_000 * 1_000 + 457
            if at not in self.used:
                self.used.add(at)
                return at

    def text(self, at: int) -> str:
        return (datetime(1970, 1, 1, tzinfo=self.zone) + timedelta(microseconds=at)
                + (datetime(1970, 1, 1, tzinfo=self.zone).utcoffset() or timedelta())).isoformat()

    def move(self, who: dict[str, str], at: int, county: str) -> Event | None:
        """A move to a county, and to a class that may be there."""
        there = lambda kind, code: self.ended.get((kind, code), at + 1) > at  # noqa: E731
        classes = [c for c, r in self.classes.items() if r["region_code"] in self.above.get(county, ()) and there("class", c)]
        schools = [s for s in self.schools.get(county, ()) if there("school", s)]
        if not schools or not classes or not there("region", county):
            return None
        school = who["school_code"] if county == who["county_code"] and who["school_code"] in schools \
            else self.dice.choice(schools)
        return {"at": self.text(at), "type": "trainee.transferred", "person": who["person_id"], "county": county,
                "school": school, "class": self.dice.choice(classes)}

    def amend(self) -> list[Event]:
        merged = self.merges()
        added = self.decisions.change_courses()
        added += merged
        added += self.decisions.extensions()
        added += self.merged_places()
        added += self.replacements()
        for who in self.trainees:
            fate = self.dice.random()
            if fate < MOVES:
                self.moves(who, added)
            elif fate < MOVES + LEAVES and who["person_id"] not in self.left:
                away = self.moment()
                back = self.moment(away + 3_600_000_000, away + 40 * 86_400_000_000)
                turns = ((away, "trainee.withdrawn", "产假"), (back, "trainee.returned", "产假结束"))
                for at, kind, reason in (turn for turn in turns if turn[0] < self.end):
                    added.append((at, {"at": self.text(at), "type": kind, "person": who["person_id"], "reason": reason}))
            elif fate > 1 - REMOVED:
                at = self.moment()
                added.append((at, {"at": self.text(at), "type": "person.removed", "person": who["person_id"], "reason": "误报",
                                   "role": "trainee"}))
        removed = {e["person"] for _, e in added if e["type"] == "person.removed"}
        gone = removed | self.left | {e["person"] for _, e in added if e["type"] == "trainee.withdrawn"}
        added += self.decisions.adjustments(gone)
        added += self.staff_merges()
        added += Duties(self, self.roster, self.dice).tell(added, gone)
        self.untie()
        events = [part for event in self.events for part in apart(event, removed)]
        order = [(instant(e.get("told", e["at"])), number, e) for number, e in enumerate(events)]
        order += [(at, len(events) + number, e) for number, (at, e) in enumerate(added)]
        told = [event for _, _, event in sorted(order, key=lambda row: row[:2])]
        return told + self.behind(removed)

    def several_subjects(self) -> dict[str, str]:
        """Who teaches more than one subject, written as people write that."""
        taught = sorted({who["subject"] for who in self.trainees if who["subject"]})
        several = {}
        for who in self.trainees:
            if who["subject"] and len(taught) > 1 and self.dice.random() < SEVERAL:
                other = self.dice.choice([subject for subject in taught if subject != who["subject"]])
                both = self.dice.sample([who["subject"], other], 2)
                who["subject"] = several[who["person_id"]] = self.dice.choice(("、", "/", "；", ", ", "，")).join(both)
        return several

    def merges(self) -> list[tuple[int, Event]]:
        """Pairs of trainees who turn out to be one person enrolled twice, who had two players open now and then; some of them are two
        persons after all."""
        added: list[tuple[int, Event]] = []
        people = self.dice.sample(self.trainees, int(len(self.trainees) * MERGED) // 2 * 2)
        for number, (kept, merged) in enumerate(zip(people[::2], people[1::2])):
            self.study_at_once(kept["person_id"], merged["person_id"])
            at, name = self.moment(), f"m{number}"
            added.append((at, {"at": self.text(at), "type": "persons.merged", "person": kept["person_id"],
                               "merged": merged["person_id"], "reason": "同一人两次报名", "fact": name}))
            if self.dice.random() < UNMERGED:
                told = self.moment()
                added.append((told, {"at": self.text(told), "type": "fact.retracted", "source": "enrollment", "retracts": name,
                                     "reason": "并非同一人"}))
        return added

    def staff_merges(self) -> list[tuple[int, Event]]:
        """Pairs of tutors, and of counselors, who turn out to be one person; some of them are two after all."""
        added: list[tuple[int, Event]] = []
        for role in ("class_tutor", "county_counselor"):
            people = self.staff[role]
            people = self.dice.sample(people, int(len(people) * STAFF_MERGED) // 2 * 2)
            for kept, merged in zip(people[::2], people[1::2]):
                at, name = self.moment(), f"staff{len(added)}"
                added.append((at, {"at": self.text(at), "type": "persons.merged", "person": kept, "merged": merged,
                                   "reason": "同一人两次登记", "fact": name}))
                if self.dice.random() < UNMERGED:
                    told = self.moment()
                    added.append((told, {"at": self.text(told), "type": "fact.retracted", "source": "enrollment",
                                         "retracts": name, "reason": "并非同一人"}))
        return added

    def study_at_once(self, kept: str, merged: str) -> None:
        """Moves sessions of one id beside sessions of the other, where they meet none of their own: whose the common time of those is
        depends on the order in which they are told."""
        of = {who: [e for e in self.events if e["type"] == "study.session" and e["person"] == who] for who in (kept, merged)}
        for event in of[merged]:
            if not of[kept] or self.dice.random() >= AT_ONCE:
                continue
            start, end = instant(event["start"]), instant(event["end"])
            begin = instant(self.dice.choice(of[kept])["start"]) + self.dice.randint(-900, 900) * 1_000_000
            if any(instant(own["start"]) <= begin + end - start and begin <= instant(own["end"])
                   for own in of[merged] if own is not event):
                continue
            if "told" in event:
                event["told"] = self.text(begin + instant(event["told"]) - start)
            event["at"] = event["start"] = self.text(begin)
            event["end"] = self.text(begin + end - start)

    def untie(self) -> None:
        """Work that is handed in at the instant of a mark comes behind it: who was tutor decides whether that mark was, and of a tie the
        order of the lines would decide about the work."""
        marks = {(self.author.get(e["submission"]), instant(e["at"])) for e in self.events if e["type"] in ABOUT_WORK}
        for event in self.events:
            if event["type"] == "assignment.submitted" and (event["person"], instant(event["at"])) in marks:
                event["at"] = self.text(instant(event["at"]) + 1_000)

    def merged_places(self) -> list[tuple[int, Event]]:
        """Classes, schools and a county that become part of others; of the classes half of what their members would have done in
        them is done in the other."""
        added: list[tuple[int, Event]] = []
        taken: set[tuple[str, str]] = set()
        classes = [(c, [o for o, r in self.classes.items() if r["region_code"] == k["region_code"] and o != c])
                   for c, k in self.classes.items()]
        schools = [(s, [o for o in others if o != s]) for others in self.schools.values() for s in others]
        counties = [(c, sorted(set(self.above) & set(self.schools) - {c})) for c in sorted(set(self.above) & set(self.schools))]
        some = self.dice.sample(counties, 1) if counties and self.dice.random() < COUNTIES_MERGED else []
        for kind, of, share in (("class", classes, PLACES_MERGED), ("school", schools, PLACES_MERGED / 4), ("region", some, 1)):
            for code, others in of:
                others = [o for o in others if (kind, o) not in self.ended]
                if not others or (kind, code) in taken or self.dice.random() >= share:
                    continue
                at, into = self.moment(), self.dice.choice(others)
                taken.add((kind, into))  # it stays, whenever the other is merged into it
                self.ended[kind, code] = at
                event = {"at": self.text(at), "type": "place.merged", "kind": kind, "code": code, "into": into, "reason": "合并"}
                added.append((at, event))
                if self.dice.random() < PLACES_UNMERGED and not self.begins_with_window(kind, code, at):
                    event["fact"] = name = f"place{len(added)}"
                    told = self.moment(at)
                    added.append((told, {"at": self.text(told), "type": "fact.retracted", "source": "enrollment", "retracts": name,
                                         "reason": "通知有误"}))
                elif kind == "class":
                    self.go_along(code, into, at)
        for code, name in self.dice.sample(sorted((s, s) for others in self.schools.values() for s in others), 1):
            at = self.moment(self.first, min(self.ended.get(("school", code), self.last), self.last))
            added.append((at, {"at": self.text(at), "type": "place.renamed", "kind": "school", "code": code, "name": f"新{name}",
                               "reason": "更名"}))
        return added

    def begins_with_window(self, kind: str, code: str, at: int) -> bool:
        """Whether a class or a county does something at a window's first instant once it was merged: what was refused at such an
        instant is not taken when the merge falls, since the same request is judged anew as of the instant before."""
        def is_own(event: Event) -> bool:
            if kind == "class":
                return event.get("class") == code
            return kind == "region" and code in (event.get("county"), self.county_of.get(event.get("counselor", "")))
        return any(is_own(e) and instant(e["at"]) > at and "T00:00:00" in e["at"] for e in self.events)

    def go_along(self, code: str, into: str, at: int) -> None:
        """Half of what members of a class do once it was merged they do in the other one."""
        members = {r["person_id"] for r in self.trainees if r["class_id"] == code}
        open_at = {e["seminar"]: instant(e["at"]) for e in self.events if e["type"] == "seminar.opened" and e["class"] == into}
        for event in self.events:
            then = instant(event["at"])
            if then <= at or self.dice.random() < 0.5:
                continue
            if event["type"] in ABOUT_WORK and self.author.get(event["submission"]) in members and self.classes[into]["tutor_id"]:
                event["tutor"] = self.classes[into]["tutor_id"]
            if event["type"] == "seminar.posted" and event["person"] in members:
                seminars = sorted(s for s, since in open_at.items() if since < then)
                if seminars:
                    event["seminar"] = self.dice.choice(seminars)

    def replacements(self) -> list[tuple[int, Event]]:
        """Tutors who are replaced; half of what the one of before would have done is done by the new one."""
        added: list[tuple[int, Event]] = []
        tutors = sorted({r["tutor_id"] for r in self.classes.values() if r["tutor_id"]})
        for class_id, klass in self.classes.items():
            others = [tutor for tutor in tutors if tutor != klass["tutor_id"]]
            if not others or not klass["tutor_id"] or self.dice.random() >= REPLACED:
                continue
            at, tutor = self.moment(), self.dice.choice(others)
            if self.ended.get(("class", class_id), at + 1) <= at:
                continue
            added.append((at, {"at": self.text(at), "type": "tutor.replaced", "class": class_id, "tutor": tutor, "reason": "调离"}))
            members = {r["person_id"] for r in self.trainees if r["class_id"] == class_id}
            seminars = {e["seminar"] for e in self.events if e["type"] == "seminar.opened" and e["class"] == class_id}
            for event in self.events:
                own = (event["type"] in ABOUT_WORK and self.author.get(event["submission"]) in members
                       or event["type"] == "seminar.summarised" and event["seminar"] in seminars
                       or event["type"] in ("seminar.opened", "bulletin.published") and event["class"] == class_id)
                if own and event["tutor"] == klass["tutor_id"] and instant(event["at"]) > at and self.dice.random() < 0.5:
                    event["tutor"] = tutor
        return added

    def behind(self, removed: set[str]) -> list[Event]:
        """What is told when all study was: sessions that are voided, time that is granted, courses that turn out to be others."""
        at = max(instant(e.get("told", e.get("end", e["at"]))) for e in self.events) + 7 * 86_400_000_000
        voids = self.voids(removed)
        voided = {e["person"] for e in voids if "person" in e}
        out: list[Event] = []
        for event in [*voids, *self.decisions.after, *self.decisions.grants(removed | voided)]:
            at += 1_000_000
            happened = event.pop("happened", self.text(at))
            out.append({"at": happened, "told": self.text(at + 1), **event})
        return out

    def voids(self, removed: set[str]) -> list[Event]:
        """Sessions that are voided, and which of them had been study after all."""
        out: list[Event] = []
        sessions = sorted({(e["person"], e["session"]) for e in self.events if e["type"] == "study.session"})
        for who, session in sessions:
            if who in removed or self.dice.random() >= VOIDED:
                continue
            name = f"v{len(out)}"
            told = [{"type": "session.voided", "person": who, "session": session, "fact": name, "reason": "播放器无人观看"}]
            if self.dice.random() < UNVOIDED:
                told.append({"type": "fact.retracted", "source": "learning-progress", "retracts": name, "reason": "属正常学习"})
                self.dice.shuffle(told)
            out += told
        return out

    def moves(self, who: dict[str, str], added: list[tuple[int, Event]]) -> None:
        for _ in range(self.dice.choice((1, 1, 2))):
            at = self.moment()
            far = self.dice.random() < 0.4
            county = self.dice.choice(sorted(self.schools)) if far else who["county_code"]
            moved = self.move(who, at, county)
            if moved is None:
                continue
            added.append((at, moved))
            tutor = self.classes[moved["class"]]["tutor_id"]
            for event in self.events:
                about = event["type"] in ABOUT_WORK and self.author.get(event["submission"]) == who["person_id"]
                if about and tutor and instant(event["at"]) > at and self.dice.random() < 0.5:
                    event["tutor"] = tutor


def apart(event: Event, removed: set[str]) -> list[Event]:
    """A list of attendance with a line of its own for whoever is removed: a list is taken as a whole or refused, and whether they
    are told of before or after the removal must not decide about the others."""
    persons = event.get("persons", [])
    others = [who for who in persons if who not in removed]
    lists = [others] * bool(others or not persons) + [[who] for who in persons if who in removed]
    return [{**event, "persons": some} for some in lists] if "persons" in event else [event]


def amend(season: Path, out: Path, seed: int) -> None:
    out.mkdir(parents=True)
    shutil.copy(season / "scheme.toml", out)
    shutil.copytree(season / "roster", out / "roster")
    with (out / "season.ndjson").open("w", encoding="utf-8", newline="\n") as file:
        amended = Season(season, random.Random(seed))
        several = amended.several_subjects()
        for event in amended.amend():
            file.write(json.dumps(event, ensure_ascii=False, separators=(",", ":")) + "\n")
    people = rows(out / "roster" / "people.csv")
    with (out / "roster" / "people.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, people[0].keys(), lineterminator="\n")
        table.writeheader()
        for row in people:
            of = several if row["role"] == "trainee" else {}
            table.writerow({**row, "subject": of.get(row["person_id"], row["subject"])})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("season", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, required=True)
    args = parser.parse_args()
    amend(args.season, args.out, args.seed)
