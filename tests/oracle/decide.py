"""What is decided by hand in an amended season (`amend.py`), and what courses turn out to be: windows that end later, with study and work
that only counts by that; courses changed from a date on and retired, told then or when all was over; time granted when all study
was told; items of scores decided otherwise. Some of it falls again.

What had been credited stays credited, so a change that is told late is one of a course that nobody studies from its date on."""
from __future__ import annotations

import csv
import random
from datetime import date, timedelta
from pathlib import Path

from law_roster import subjects
from law_scheme import Scheme, instant

Event = dict
DAY, MINUTE = 86_400_000_000, 60_000_000
EXTENSIONS, CHANGES = 6, 4
GRANTED, UNGRANTED = 0.12, 0.3  # of the trainees, and of those by mistake
ADJUSTED, UNADJUSTED, EXPIRING = 0.12, 0.25, 0.2
CATEGORIES = ("public", "professional", "it_integration")


class Decisions:
    """`season` is amend.py's: it has the events, who there is, and how instants are had and written."""

    def __init__(self, season, folder: Path, dice: random.Random) -> None:
        self.season, self.dice = season, dice
        self.scheme = Scheme(folder / "scheme.toml")
        with (folder / "roster" / "courses.csv").open(encoding="utf-8", newline="") as file:
            self.courses = {row["course_id"]: row for row in csv.DictReader(file)}
        self.changed: set[str] = set()
        self.extra: list[tuple[str, int, int]] = []  # who studies behind the end of a window, and when
        self.after: list[Event] = []  # told when all was over

    def applies(self, course: dict[str, str], who: dict[str, str]) -> bool:
        of = subjects(course["subject"])
        return (not of or bool(of & subjects(who["subject"]))) and course["education_stage"] in ("", who["education_stage"])

    # -- windows

    def extensions(self) -> list[tuple[int, Event]]:
        scheme, dice, season = self.scheme, self.dice, self.season
        own = [entry.name for entry in scheme.online] + [scheme.trainee["assignment"]["window"], scheme.trainee["seminar"]["window"],
                                                         scheme.trainee["assignment"]["review_until"]]
        tutors = {rule["window"] for rule in scheme.tutor.get("bulletin", ())} | {
            scheme.tutor["seminar"]["window"], scheme.trainee["assignment"]["review_until"], "login", "reporting",
            scheme.counselor["offline"]["window"], scheme.trainee["offline"]["window"]}
        added: list[tuple[int, Event]] = []
        for number in range(EXTENSIONS):
            window = dice.choice(own)
            end = scheme.calendar[window].end
            until = end + dice.randint(1, 5) * DAY
            if until >= scheme.as_of - DAY or end <= season.first + DAY:
                continue
            # Its last day, in local time; a season's windows end at midnight.
            last = scheme.local_day(until - 1)
            event = {"type": "extension.granted", "extension": f"E{number}", "window": window, "last_day": last.isoformat(),
                     "reason": "停电"}
            people = [dice.choice(season.trainees)]
            to = dice.choice(("person", "class", "region", "all")) if window not in tutors else "person"
            if to == "person":
                event["person"] = people[0]["person_id"]
            elif to == "class":
                event["class"] = people[0]["class_id"]
                people = [who for who in season.trainees if who["class_id"] == people[0]["class_id"]][:4]
            elif to == "region":
                event["region"] = people[0]["county_code"]
                people = [who for who in season.trainees if who["county_code"] == people[0]["county_code"]][:4]
            if "class" in event and not event["class"]:
                continue
            at = season.moment(season.first, end)
            added.append((at, {"at": season.text(at), **event}))
            for who in [*people, dice.choice(season.trainees)]:
                added += self.late_work(who, window, end, until, number)
        return added

    def late_work(self, who: dict[str, str], window: str, end: int, until: int, number: int) -> list[tuple[int, Event]]:
        """What somebody does behind the end of a window."""
        scheme, dice, season, out = self.scheme, self.dice, self.season, []

        def tell(event: Event, low: int = end, high: int = until) -> int:
            at = season.moment(low, high)
            out.append((at, {"at": season.text(at), **event}))
            return at

        person, tutor = who["person_id"], season.classes.get(who["class_id"], {}).get("tutor_id", "")
        for entry in scheme.online:
            courses = [c for c in self.courses.values() if c["category"] in entry.categories and self.applies(c, who)
                       and c["course_id"] not in self.changed]
            if entry.name != window or not courses:
                continue
            course = dice.choice(courses)["course_id"]
            tell({"type": "course.selected", "person": person, "course": course}, season.first, end)
            start = season.moment(end - 30 * MINUTE, until - 10 * MINUTE)
            stop = start + dice.randint(20, 150) * MINUTE
            # Beats of sessions that meet share their time in the order in which they arrive.
            if any(begun <= stop and start <= over for begun, over in self.studied(person)):
                continue
            self.extra.append((person, start, stop))
            out.append((start, {"at": season.text(start), "type": "study.session", "person": person, "course": course,
                                "session": f"{person}-x{start}", "start": season.text(start), "end": season.text(stop), "every_s": 60}))
        if window == scheme.trainee["assignment"]["window"]:
            work = f"{person}-x{len(season.used)}"  # of several extensions each has its own
            at = tell({"type": "assignment.submitted", "person": person, "submission": work,
                       "kind": scheme.trainee["assignment"]["kinds"][0], "title": "补交"})
            if tutor:
                tell({"type": "assignment.reviewed", "tutor": tutor, "submission": work, "grade": dice.choice(("pass", "excellent")),
                      "comment": "完整"}, at + 1, at + 3 * DAY)
        if window == scheme.trainee["seminar"]["window"]:
            seminars = [e for e in season.events if e["type"] == "seminar.opened" and e["class"] == who["class_id"]]
            texts = [e["text"] for e in season.events if e["type"] == "seminar.posted" and len(e["text"]) > 200]
            if seminars and texts:
                tell({"type": "seminar.posted", "person": person, "seminar": dice.choice(seminars)["seminar"], "text": dice.choice(texts)})
        if window == scheme.trainee["assignment"]["review_until"] and tutor:
            own = [e["submission"] for e in season.events if e["type"] == "assignment.submitted" and e["person"] == person]
            if own:
                tell({"type": "assignment.reviewed", "tutor": tutor, "submission": own[-1], "grade": "pass", "comment": "补评"})
        return out

    def studied(self, person: str) -> list[tuple[int, int]]:
        """When somebody studies."""
        own = [e for e in self.season.events if e["type"] == "study.session" and e["person"] == person]
        return [(instant(e["start"]), instant(e["end"])) for e in own] + [(a, b) for who, a, b in self.extra if who == person]

    # -- courses

    def change_courses(self) -> list[tuple[int, Event]]:
        """Before anything else: study that a change told late would have turned is left out of the season."""
        dice, season, added = self.dice, self.season, []
        studied = sorted({e["course"] for e in season.events if e["type"] == "study.session"} & set(self.courses))
        for number, course_id in enumerate(dice.sample(studied, min(CHANGES, len(studied)))):
            course, at = self.courses[course_id], season.moment()
            kind = dice.choice(("retire", "length", "category", "main_line", "subject", "late retire", "late length"))
            event: Event = {"type": "course.corrected", "course": course_id, "reason": "方案调整"}
            seconds = int(course["minutes"]) * 60
            if kind.endswith("retire"):
                event["type"] = "course.retired"
            elif kind == "late length":
                event["seconds"] = max(seconds // 2, 60) + 7
            elif kind == "length":
                event["seconds"] = dice.choice((seconds // 2 + 7, seconds * 3 // 2))
            elif kind == "category":
                event["category"] = dice.choice([word for word in CATEGORIES if word != course["category"]])
            elif kind == "main_line":
                event["main_line"] = course["main_line"] != "true"
            else:
                event["subject"] = "" if course["subject"] else dice.choice(sorted({w["subject"] for w in season.trainees if w["subject"]}))
            event["since"] = season.text(at)
            self.changed.add(course_id)
            if not kind.startswith("late"):
                added.append((at, {"at": season.text(at), **event}))
                continue
            season.events = [e for e in season.events if not self.is_turned(e, course_id, at)]
            name = f"c{number}"
            self.after.append({**event, "fact": name, "free": True})
            if dice.random() < 0.4:
                self.after.append({"type": "fact.retracted", "source": "learning-progress", "retracts": name, "reason": "通知有误"})
        return added

    def is_turned(self, event: Event, course_id: str, at: int) -> bool:
        if event.get("course") != course_id:
            return False
        return instant(event.get("end", event["at"])) >= at or instant(event.get("told", event["at"])) >= at

    # -- study and scores

    def grants(self, without: set[str]) -> list[Event]:
        """One for each, of a course that has not changed, when all study was told."""
        dice, season, out = self.dice, self.season, []
        for who in season.trainees:
            entry = dice.choice(self.scheme.online)
            courses = [c["course_id"] for c in self.courses.values() if c["category"] in entry.categories
                       and self.applies(c, who) and c["course_id"] not in self.changed]
            if who["person_id"] in without or not courses or dice.random() >= GRANTED:
                continue
            at = season.moment(entry.window.first, min(entry.window.end, season.end))
            name = f"g{len(out)}"
            out.append({"happened": season.text(at), "type": "time.granted", "person": who["person_id"], "course": dice.choice(courses),
                        "grant": name, "seconds": dice.randint(60, 7_200), "reason": "播放器故障", "evidence": "工单", "fact": name})
            if dice.random() < UNGRANTED:
                out.append({"type": "fact.retracted", "source": "learning-progress", "retracts": name, "reason": "重复补时"})
        return out

    def adjustments(self, without: set[str]) -> list[tuple[int, Event]]:
        dice, season, added = self.dice, self.season, []
        rules = self.scheme.trainee
        most = {f"phase_{n}": entry.points for n, entry in enumerate(self.scheme.online, 1)}
        most |= {"assignment": max(rules["assignment"]["points"].values()), "seminar": int(rules["seminar"]["points"]),
                 "offline": int(rules["offline"]["max_score"])}
        for who in season.trainees:
            while who["person_id"] not in without and dice.random() < ADJUSTED:
                item, at = dice.choice(sorted(most)), season.moment()
                event: Event = {"at": season.text(at), "type": "item.adjusted", "person": who["person_id"], "item": item,
                                "points": dice.randint(item == "offline", max(most[item], item == "offline")),
                                "kind": dice.choice(("excuse", "appeal", "late_medical_leave")), "reason": "核准"}
                if most[item] == 0:
                    continue
                if dice.random() < EXPIRING:
                    event["expires"] = season.text(season.moment(at + DAY, self.scheme.as_of + 30 * DAY))
                if dice.random() < UNADJUSTED:
                    event["fact"] = name = f"a{at}"
                    told = season.moment(at)
                    added.append((told, {"at": season.text(told), "type": "fact.retracted", "source": "assessment-decisions",
                                         "retracts": name, "reason": "核准有误"}))
                added.append((at, event))
        return added
