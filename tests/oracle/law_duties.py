"""Annex 1: where each duty of each bearer stands as of a time. Read from `duties.csv` (the notice's 63 cells, each with what shows that it was
done) and the product's `docs/duties.md`, which says by when, where the notice says otherwise than by the end of the stage's window.

A season says nothing of when its roster and its courses were brought in, nor of final scores and certificates, which are made behind
its end: what these show is not done as of any time of the season."""
from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from law_facts import Facts
from law_merged import Merged
from law_roster import COUNSELOR, EXPERT, LEAD, TRAINEE, TUTOR, Person
from law_scheme import FAR, Scheme, Window
from law_scores import Scores
from law_things import Submission
from law_windows import above

INSTITUTION = "training_institution"
ROLES = (TRAINEE, TUTOR, COUNSELOR, EXPERT, LEAD, INSTITUTION)
OWN = "*"  # by the fact itself, which a season doesn't name
# What no other service's facts show, so that its bearer tells it, beside what the file calls evidence.
TOLD = ("offline course", "subject topic", "subject bulletin", "lecture held", "institution bulletin", "city summary", "tutors recommended",
        "tutors and experts appointed", "excellent trainees recommended")
NEVER = ("person reported", "course catalogue published", "score finalised", "scores finalised", "county certificates printed")
Done = tuple[int, tuple[str, ...]]  # when, and by what: of one instant any of these


@dataclass(frozen=True)
class Duty:
    code: str
    stage: str
    role: str
    fact: str  # empty where its bearer tells it


def duties() -> list[Duty]:
    with (Path(__file__).parent / "duties.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    out = []
    for row in rows:
        fact = row["done_when"].removeprefix("fact:") if row["done_when"].startswith("fact:") else ""
        out.append(Duty(row["code"], row["stage"], row["role"], "" if fact.startswith(TOLD) else fact))
    return out


def first(times: list[tuple[int, str]]) -> Done | None:
    """The first of several."""
    if not times:
        return None
    at = min(at for at, _ in times)
    return at, tuple(sorted({by for when, by in times if when == at}))


def last(parts: list[tuple[int, str] | None]) -> Done | None:
    """Of parts all of which are to be done: when the last was."""
    if not parts or any(part is None for part in parts):
        return None
    at = max(part[0] for part in parts if part)
    return at, tuple(sorted({part[1] for part in parts if part and part[0] == at}))


@dataclass
class Bearer:
    """Whose duties: a person in a role, a region, or the institution."""
    role: str
    ids: tuple[str, ...]  # the one that is kept first; none for a region
    region: str
    person: Person | None = None


class Duties:
    def __init__(self, scores: Scores, adjusted: list[tuple[str, str, int, int, int]]) -> None:
        """`adjusted`: whose item was decided, from when until when, and as how much, in the order of the decisions."""
        self.scores, self.facts, self.merged, self.adjusted = scores, scores.facts, scores.merged, adjusted
        self.scheme, self.roster = scores.scheme, scores.facts.roster
        self.all = duties()
        self.windows = self.facts.windows

    # -- whose

    def bearers(self, at: int) -> list[Bearer]:
        """Everybody; of a counselor and a lead the duties are those of the region in which they are then."""
        out = []
        for role in ROLES:
            merged = self.merged.ids.get(role, {})
            kept_of = {other: kept for kept, others in merged.items() for other in others}
            for person in self.roster.role(role):
                if person.id not in kept_of:
                    region = person.place_before(at + 1)[0] if role in (COUNSELOR, LEAD) else ""
                    out.append(Bearer(role, (person.id, *merged.get(person.id, ())), region, person))
        cities = {self.roster.above[county] for county in self.roster.counties}
        out += [Bearer(COUNSELOR, (), county) for county in sorted(self.roster.counties)]
        out += [Bearer(LEAD, (), city) for city in sorted(cities)]
        return [*out, Bearer(INSTITUTION, (), "")]

    def table(self, at: int) -> list[list[object]]:
        rows: list[list[object]] = []
        for bearer in self.bearers(at):
            head = [bearer.role, bearer.ids[0] if bearer.ids else bearer.region]
            if bearer.role == TRAINEE and self.facts.was_away(bearer.ids[0], at + 1):
                rows.append([*head, "", "withdrawn", "", "", False])
                continue
            for duty in self.all:
                until = self.until(duty, bearer, at) if duty.role == bearer.role else None
                if until is not None:
                    rows.append([*head, *self.judged(duty, bearer, until, at)])
        return sorted(rows, key=lambda row: [str(cell) for cell in row[:3]])

    def judged(self, duty: Duty, bearer: Bearer, until: int, at: int) -> list[object]:
        sent_back = False
        if duty.fact:
            done = None if duty.fact in NEVER else self.shown(duty, bearer, at)
        else:
            done, sent_back = self.told(duty, bearer, at)
        if done is not None and done[0] > at:
            done = None
        if done is not None:
            return [duty.code, "on_time" if done[0] < until else "late", done[0], " ".join(done[1]), False]
        if self.is_excused(duty, bearer, at):
            return [duty.code, "excused", "", "", False]
        return [duty.code, "pending" if at < until else "missed", "", "", sent_back]

    def told(self, duty: Duty, bearer: Bearer, at: int) -> tuple[Done | None, bool]:
        """What its bearer told of it and nobody sent back by then; and whether all of it was."""
        own = [e for e in self.facts.evidence if e.duty == duty.code and e.at <= at and (
            e.person in bearer.ids if e.person else bearer.role in (COUNSELOR, LEAD, INSTITUTION) and e.region == bearer.region)]
        standing = [e for e in own if self.facts.sent_back.get(e.fact, FAR) > at]
        name = f"{self.scheme.raw['id']}:fact."
        return first([(e.at, name + e.fact) for e in standing]), bool(own) and not standing

    # -- by when

    def until(self, duty: Duty, bearer: Bearer, at: int) -> int | None:
        """The first moment that is too late; None where the scheme has no such duty."""
        if duty.stage not in self.scheme.calendar:
            return None
        number = int(duty.code[-1]) if "BULLETIN-" in duty.code else 0
        if number and number not in self.facts.bulletin_windows:
            return None
        if duty.fact.startswith("phase") and all(entry.name != duty.stage for entry in self.scheme.online):
            return None
        if duty.code == "TRAIN-COUNSELOR-OFFLINE-COURSE":
            return self.scheme.calendar["phase_1"].first
        days = int(self.scheme.raw.get("duties", {}).get("report_days", 7))
        if duty.code == "SUMMARY-MUNICIPAL":
            return self.days_after(self.end_of("assessment", bearer, at), days)
        if duty.fact in ("score finalised", "scores finalised", "county certificates printed"):
            return self.days_after(self.end_of("summary", bearer, at), days)
        if duty.code == "TRAIN-TUTOR-MARK":
            return self.end_of(self.facts.review_name, bearer, at)
        if number:
            rule = next(rule for rule in self.scheme.tutor["bulletin"] if int(rule["number"]) == number)
            return self.end_of(rule["window"], bearer, at)
        return self.end_of(duty.stage, bearer, at)

    def days_after(self, midnight: int, days: int) -> int:
        return self.scheme.midnight(self.scheme.local_day(midnight) + timedelta(days=days))

    def end_of(self, name: str, bearer: Bearer, at: int) -> int:
        """A window's end as who bears the duty has it: a tutor the latest of their classes."""
        if self.windows is None:
            return self.scheme.calendar[name].end
        if bearer.role == TRAINEE and bearer.person:
            return self.facts.counted(bearer.person, name).end
        if bearer.role == TUTOR and self.held(bearer, at):
            return max(self.windows.of_class(c, name, bearer.ids).end for c in self.held(bearer, at))
        if bearer.role in (TUTOR, EXPERT) and bearer.person:
            return self.windows.of(bearer.person, name, bearer.ids).end
        return self.windows.of_region(bearer.region, name).end

    # -- what shows it

    def shown(self, duty: Duty, bearer: Bearer, at: int) -> Done | None:
        facts = self.facts
        times = lambda known: first([(known[who], "") for who in bearer.ids if who in known])  # noqa: E731
        match duty.fact:
            case "logged in with complete information":
                return first([(facts.login[who][0], "") for who in bearer.ids if who in facts.login])
            case "pre-job training attended" if bearer.role == COUNSELOR and not bearer.ids:
                return self.trained(bearer.region, at)
            case "pre-job training attended":
                return times(facts.prejob)
            case "pre-job training held":
                return first([(when, "") for when in facts.prejob.values()])
            case "county roster reported":
                return first([(facts.reported[c], OWN) for c in (bearer.region,) if c in facts.reported])
            case "remittance sent":
                return first([(when, ref) for (county, ref), when in facts.sent.items() if county == bearer.region])
            case "every county's roster reported":
                here = [c for c in self.counties_of(bearer.region) if self.stages(c, at)]
                return last([(facts.reported[c], c) if c in facts.reported else None for c in here])
            case "city roster compiled":
                return first([(facts.compiled[c], OWN) for c in (bearer.region,) if c in facts.compiled])
            case "every confirmed remittance invoiced":
                return self.invoiced(at)
            case "learning opened for every county that reported and remitted":
                ready = {c for (c, _), when in facts.confirmed.items() if when <= at and facts.reported.get(c, FAR) <= at}
                return last([(facts.opened[c][0], c) if c in facts.opened else None for c in sorted(ready)])
            case "courses selected":
                return first([(when, course) for (who, course), told in facts.selected.items() if who in bearer.ids for when, _, _ in told])
            case "phase 1 achieved" | "phase 2 achieved":
                index = next(i for i, entry in enumerate(self.scheme.online) if entry.name == duty.stage)
                when = self.scores.achieved_at[bearer.ids[0]][index]
                return None if when is None else (when, ("",))
            case "assignment submitted":
                return first([(s.at, s.id) for s in facts.submissions.values() if s.author.id in bearer.ids])
            case "seminar post accepted":
                return first([(when, name) for name, seminar in facts.seminars.items() for when, who in seminar.posts if who in bearer.ids])
            case "offline attended":
                return first([(activity.attended_at[who], name) for name, activity in facts.activities.items()
                              for who in bearer.ids if who in activity.attended_at])
            case "seminar opened":
                opened = {c: [s.opened_at for s in facts.seminars.values() if s.class_id == c] for c in self.held(bearer, at)}
                return last([(min(when), c) if when else None for c, when in opened.items()])
            case "every submission marked":
                return self.marked(bearer, at)
            case "offline plan submitted":
                return last([(facts.plans[k], k[1]) if k in facts.plans else None for k in self.due_stages(bearer.region, at)])
            case "offline results submitted":
                return last([(facts.results[k], k[1]) if k in facts.results else None for k in self.due_stages(bearer.region, at)])
            case "offline activity held":
                held = {k: [a.held_at for a in facts.activities.values() if (a.county, a.stage) == k]
                        for k in self.due_stages(bearer.region, at)}
                return last([(min(when), k[1]) if when else None for k, when in held.items()])
            case "excellent tutors chosen":
                return first([(when, "") for when, expert in facts.choices if expert in bearer.ids])
            case fact if fact.startswith("bulletin "):
                number = int(fact.split()[1])
                published = [(c, facts.bulletins.get((c, number))) for c in self.held(bearer, at)]
                return last([(when, c) if when is not None else None for c, when in published])
        raise ValueError(duty.fact)

    def trained(self, county: str, at: int) -> Done | None:
        """A county's counselors are trained when all of them are."""
        kept_of = self.merged.kept_of(COUNSELOR)
        own = [p.id for p in self.roster.role(COUNSELOR) if p.place_before(at + 1)[0] == county and p.id not in kept_of]
        return last([(self.facts.prejob[who], who) if who in self.facts.prejob else None for who in own])

    def counties_of(self, city: str) -> list[str]:
        return sorted(c for c in self.roster.counties if self.roster.above.get(c) == city)

    def there(self, county: str, at: int) -> list[Person]:
        """The trainees who are in a county as of then, and not away."""
        return [p for p in self.scores.everyone if p.place_before(at + 1)[0] == county and not self.facts.was_away(p.id, at + 1)]

    def stages(self, county: str, at: int) -> set[str]:
        return {person.stage for person in self.there(county, at)}

    def due_stages(self, county: str, at: int) -> list[tuple[str, str]]:
        """For each education stage in which the county has trainees."""
        taught = self.stages(county, at)
        return [(county, stage) for stage in self.scheme.counselor["offline"]["stages"] if stage in taught]

    def invoiced(self, at: int) -> Done | None:
        confirmed = [key for key, when in self.facts.confirmed.items() if when <= at]
        return last([(self.facts.invoiced[key], key[1]) if self.facts.invoiced.get(key, FAR) <= at else None for key in confirmed])

    # -- marking

    def held(self, bearer: Bearer, at: int) -> list[str]:
        """The classes that a tutor has as of then."""
        return sorted(c for c in self.roster.tutor_of if self.roster.tutor_before(c, at + 1) in bearer.ids)

    def marked(self, bearer: Bearer, at: int) -> Done | None:
        """When the last of what was handed in was first marked, once submitting is over and nothing is owed any more."""
        held = self.held(bearer, at)
        if not held:
            return None
        over = max((self.windows.of_class(c, self.facts.submit_name, bearer.ids).end if self.windows
                    else self.scheme.calendar[self.facts.submit_name].end) for c in held)
        if over > at:
            return None
        times = []
        for submission in self.facts.submissions.values():
            if submission.at > at:
                continue
            marks = [when for when, _ in submission.marks if when <= at]
            if marks:
                if submission.author.place_before(min(marks) + 1)[1] in held:
                    times.append((min(marks), submission.id))
            elif self.is_owed(submission, bearer, held, at):
                return None
        return last(times) or (over - 1, ("",))

    def is_owed(self, submission: Submission, bearer: Bearer, held: list[str], at: int) -> bool:
        """Whether a tutor owes a mark for what has none: by the class and its tutor as of then, and from the end of reviews on by those
        of just before it."""
        if submission.disregarded or (submission.superseded_at or FAR) <= at or submission.author.id in bearer.ids:
            return False
        counts_for = submission.counts_for or submission.author
        end = self.facts.counted(counts_for, self.facts.review_name).end
        whose = (submission.author, counts_for)
        if any(self.facts.was_away(who.id, at + 1) or (at >= end and self.facts.was_away(who.id, end)) for who in whose):
            return False
        class_id = submission.author.place_before(at + 1 if at < end else end)[1]
        closing = at + 1 if at < self.facts.review_end else self.facts.review_end
        return class_id in held and self.roster.tutor_before(class_id, closing) in bearer.ids

    # -- decisions

    def is_excused(self, duty: Duty, bearer: Bearer, at: int) -> bool:
        """Whether a decision lets the item that a trainee's duty is for count as earned: then nothing is owed any more."""
        item = {"assignment submitted": "assignment", "seminar post accepted": "seminar", "offline attended": "offline"}.get(duty.fact, "")
        if duty.fact.startswith("phase"):
            item = f"phase_{next(i for i, entry in enumerate(self.scheme.online, 1) if entry.name == duty.stage)}"
        if bearer.role != TRAINEE or not item:
            return False
        own = [(since, until, points) for who, what, since, until, points in self.adjusted
               if who == bearer.ids[0] and what == item and since <= at]
        return bool(own) and own[-1][1] > at and own[-1][2] > 0
