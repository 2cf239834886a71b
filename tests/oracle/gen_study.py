"""Enrollment and study: reporting, opening, logins, selections, sessions, withdrawals."""
from __future__ import annotations

from dataclasses import dataclass

from gen_world import DAY, HOUR, MINUTE, County, Course, Trainee, World


@dataclass
class Session:
    course: Course
    start: int
    end: int
    every: float
    told: int | None = None


def enrollment(w: World) -> None:
    """Rosters, remittances, invoices, opening by county; pre-job training of tutors."""
    first, end = w.window("reporting")
    login = w.window("login")[0]
    for county in w.counties:
        who = w.dice.choice(county.counselors)
        reported = w.moment(first, first + (end - first) * 6 // 10)
        if county.fate == "unreported":
            w.sink.put(end + w.dice.choice((0, 3 * HOUR)), "roster.reported", county=county.code, counselor=who)
        else:
            w.sink.put(reported, "roster.reported", county=county.code, counselor=who)
        ready = money(w, county, reported) // DAY * DAY + DAY
        opening(w, county, max(login, ready))
    bad_enrollment(w, first)
    for tutor in w.tutors:
        if w.chance(0.9):
            w.sink.put(w.moment(first, end), "prejob.attended", person=tutor)
    w.sink.put(w.moment(first, end), "prejob.attended", person="U9999")  # NOT_FOUND


def money(w: World, county: County, reported: int) -> int:
    """When the money is there, if it ever is."""
    ref = f"R{county.code}"
    sent = reported + DAY + w.dice.randrange(6 * HOUR)
    confirmed = sent + DAY + w.dice.randrange(6 * HOUR)
    w.sink.put(sent, "remittance.sent", county=county.code, ref=ref, amount_fen=100_000 * len(county.trainees))
    if county.fate == "unremitted":
        w.sink.put(confirmed, "invoice.issued", county=county.code, ref=ref)  # NOT_REMITTED
        return confirmed
    if w.chance(0.3):
        w.sink.put(confirmed - HOUR, "invoice.issued", county=county.code, ref=ref)  # NOT_REMITTED
    if w.chance(0.3) and county.fate == "open":
        w.sink.put(confirmed - MINUTE, "learning.opened", county=county.code)  # NOT_REMITTED
    w.sink.put(confirmed, "remittance.confirmed", county=county.code, ref=ref)
    w.sink.put(confirmed + HOUR, "invoice.issued", county=county.code, ref=ref)
    return confirmed


def opening(w: World, county: County, login: int) -> None:
    at = login + w.dice.randrange(6 * HOUR, 8 * HOUR)
    if county.fate == "late":
        start = min((w.window(e["window"])[0] for e in w.scheme["trainee"].get("online", ())), default=at)
        at = start + w.dice.randint(2, 9) * DAY + w.dice.randrange(9 * HOUR, 20 * HOUR)
    w.sink.put(at, "learning.opened", county=county.code)
    if county.fate in ("open", "late"):
        county.opened = at


def bad_enrollment(w: World, first: int) -> None:
    one, other = w.counties[0], w.counties[-1]
    w.sink.put(first - 1, "roster.reported", county=one.code, counselor=one.counselors[0])  # WINDOW_NOT_OPEN
    w.sink.put(first + DAY, "roster.reported", county=one.code, counselor=other.counselors[0])  # NOT_COUNTY_COUNSELOR
    w.sink.put(first + DAY, "roster.reported", county=one.code, counselor=w.tutors[0])  # NOT_FOUND
    w.sink.put(first + DAY, "roster.reported", county="139999", counselor=one.counselors[0])  # NOT_FOUND
    w.sink.put(first + DAY, "remittance.confirmed", county=one.code, ref="R-none")  # NOT_FOUND


def apart(sessions: list[Session]) -> list[Session]:
    """Those that meet no earlier one: heartbeats of sessions that overlap share their time by the order of arrival."""
    out: list[Session] = []
    for s in sorted(sessions, key=lambda s: s.start):
        if not out or out[-1].end < s.start:
            out.append(s)
    return out


class Study:
    """The study of every trainee, one after the other."""

    def __init__(self, w: World) -> None:
        self.w, self.dice, self.serial = w, w.dice, 0
        self.selected: set[tuple[str, str]] = set()
        self.gap = w.scheme["study"]["heartbeat_max_gap_seconds"]
        self.entries = [(*w.window(e["window"]), e["categories"]) for e in w.scheme["trainee"].get("online", ())]
        self.study_first = min((e[0] for e in self.entries), default=w.window("login")[1])

    def run(self) -> None:
        for t in self.w.trainees:
            self.trainee(t)
        at = self.study_first + 9 * HOUR
        main = next(c for c in self.w.courses if c.main_line and not c.subject)
        for who, course in (("T-none", main.id), (self.w.tutors[0], main.id), (self.clean().id, "C999")):  # NOT_FOUND
            self.emit(who, course, Session(main, at + DAY, at + DAY + HOUR, self.gap))

    def clean(self) -> Trainee:
        return next(t for t in self.w.trainees if t.county.opened is not None and t.login is not None and t.withdrawn is None)

    def trainee(self, t: Trainee) -> None:
        self.login(t)
        access = self.access(t)
        leaves = access is not None and t.county.fate == "open" and self.w.chance(0.02)
        sessions = self.plan(t, access)
        if self.w.punctual:
            sessions = apart(sessions)
        if leaves and access is not None:
            sessions = [s for s in sessions if s.start > access + HOUR]
            self.withdraw(t, access, sessions)
        self.select(t, access, sessions)
        for s in sessions:
            self.session(t, access, s)
        if access is not None and t.withdrawn is None and t.county.fate == "open":
            self.mistakes(t, access)

    def access(self, t: Trainee) -> int | None:
        """From when the learner may study; None: never."""
        if t.login is None or t.county.opened is None:
            return None
        return max(t.login, t.county.opened)

    def login(self, t: Trainee) -> None:
        first, end = self.w.window("login")
        if self.w.chance(0.015):
            return
        if self.w.chance(0.01):
            self.w.sink.put(first - 1 - self.dice.randrange(HOUR), "person.logged_in", person=t.id)  # WINDOW_NOT_OPEN
        if self.w.chance(0.03):
            t.login = end + self.dice.choice((0, self.dice.randrange(25 * DAY)))  # late
        elif self.w.chance(0.02):
            t.login = self.dice.choice((first, end - 1))
        else:
            t.login = self.w.moment(first, end)
        self.w.sink.put(t.login, "person.logged_in", person=t.id)
        if self.w.chance(0.03):
            self.w.sink.put(t.login + 2 * HOUR, "person.logged_in", person=t.id)  # again: no harm

    # -- the plan

    def plan(self, t: Trainee, access: int | None) -> list[Session]:
        if not self.entries:
            return []
        if access is None:
            some = [c for c in self.w.courses if c.main_line and c.fits(t)]
            return [self.place(t, c, self.entries[0][0], self.entries[0][1], 1.0, []) for c in self.dice.sample(some, 2)]
        style = self.dice.choices(("main", "mixed", "part", "idle"), (52, 26, 16, 6))[0]
        out: list[Session] = []
        planned: set[str] = set()
        for first, end, categories in self.entries:
            for course in self.choice(t, style, categories):
                if course.id in planned and self.w.chance(0.6):
                    continue
                planned.add(course.id)
                share = 1.0 if style != "part" else self.dice.choice((0.5, 0.8, 0.97, 1.0))
                out += self.sessions(t, course, first, end, share, out)
        if access > self.study_first and out and self.w.chance(0.6):
            self.straddle(t, access, out)
        return out

    def straddle(self, t: Trainee, access: int, out: list[Session]) -> None:
        """A session that runs when learning opens: in full, or one heartbeat short of the course."""
        mains = [s for s in out if s.course.main_line and s.course.category in self.entries[0][2]]
        if not mains:
            return
        s = self.dice.choice(mains)
        out[:] = [o for o in out if o.course.id != s.course.id]
        before = self.dice.randint(1, 20)
        first = access + self.dice.choice((1 if self.w.punctual else 0, 1, self.gap // 2))  # the first heartbeat that is not refused
        end = first + s.course.minutes * MINUTE - self.dice.choice((0, self.gap))
        out.append(Session(s.course, first - before * self.gap, end, self.gap))

    def choice(self, t: Trainee, style: str, categories: list[str]) -> list[Course]:
        fits = [c for c in self.w.courses if c.category in categories and c.fits(t)]
        main, more = [c for c in fits if c.main_line], [c for c in fits if not c.main_line]
        if style == "idle":
            return self.dice.sample(main, 1)
        if style == "mixed":
            skip = self.dice.randint(1, 2)
            return main[skip:] + self.dice.sample(more, min(len(more), skip + 1))
        if style == "part" and len(main) > 2:
            return self.dice.sample(main, len(main) - self.dice.randint(0, 1))
        return main

    def sessions(self, t: Trainee, course: Course, first: int, end: int, share: float, others: list[Session]) -> list[Session]:
        """One course in one window: whole, in two parts, at an edge, or twice."""
        dice = self.dice.random()
        if dice < 0.15 and course.minutes > 40:
            return [self.place(t, course, first, end, share / 2, others), self.place(t, course, first, end, share / 2, others)]
        if dice < 0.16:  # across the window's first moment, and again inside
            edge = self.edge(course, first - self.dice.randrange(course.minutes * MINUTE))
            return [edge, self.place(t, course, first, end, self.dice.choice((0.5, 1.0)), others)]
        if dice < 0.17:  # up to, or over, the window's end
            length = course.minutes * MINUTE
            return [self.edge(course, end - length + self.dice.choice((-1, 0, 1, 15 * MINUTE, -15 * MINUTE)))]
        if dice < 0.182:  # outside, then inside
            return [self.edge(course, first - self.dice.randint(1, 3) * DAY), self.place(t, course, first, end, 1.0, others)]
        if dice < 0.2:  # longer than the course
            return [self.place(t, course, first, end, 1.3, others)]
        if dice < 0.205:  # after the window
            return [self.edge(course, end + self.dice.randrange(3 * DAY))]
        return [self.place(t, course, first, end, share, others)]

    def edge(self, course: Course, start: int) -> Session:
        return Session(course, start, start + course.minutes * MINUTE, self.gap)

    def place(self, t: Trainee, course: Course, first: int, end: int, share: float, others: list[Session]) -> Session:
        length = max(MINUTE, int(course.minutes * share) * MINUTE)
        every = self.gap
        roll = self.dice.random()
        if roll < 0.012:
            every = self.dice.choice((self.gap + 60, self.gap * 5 // 2, 600))  # above the maximum gap
        elif roll < 0.03:
            every = self.dice.choice((60, 45, 97, 30, self.gap - 1))
        elif roll < 0.05:  # beats at fractions of a second
            every = self.dice.choice((30.5, 7.7, 59.999999, self.gap - 0.000001, 0.9 if length <= 30 * MINUTE else 20.1))
        if others and self.w.chance(0.05):  # beside another session of the same learner
            start = self.dice.choice(others).start + self.dice.choice((0, 30, 61, 15 * MINUTE, self.dice.randrange(HOUR)))
            return Session(course, start, start + length, every)
        start = first
        for _ in range(5):
            hour = self.dice.choice((6, 8, 12, 15, 19, 20, 21)) * HOUR
            start = self.dice.randrange(first // DAY, end // DAY) * DAY + hour + self.dice.randrange(2 * HOUR)
            if self.w.chance(0.02):
                start = start // DAY * DAY + 23 * HOUR + self.dice.randrange(HOUR)  # across midnight
            if all(start + length <= o.start or o.end <= start for o in others):
                break
        return Session(course, start, start + length, every)

    # -- withdrawal, selections, lines

    def withdraw(self, t: Trainee, access: int, sessions: list[Session]) -> None:
        last = self.w.window("assessment")[0]
        low = max(access, self.study_first) + DAY
        inside = [s for s in sessions if s.start > low and s.end - s.start > 20 * MINUTE]
        if inside and self.w.chance(0.5):
            s = self.dice.choice(inside)
            beats = int((s.end - s.start) // s.every)
            t.withdrawn = int(s.start + self.dice.randint(1, beats) * s.every) + self.dice.choice((0, 0, 1, 17))
        else:
            t.withdrawn = self.w.moment(low, last)
        reason = self.dice.choice(("调离", "退休", "产假"))
        self.w.sink.put(t.withdrawn, "trainee.withdrawn", person=t.id, reason=reason)
        if self.w.chance(0.15):
            self.w.sink.put(t.withdrawn + DAY, "trainee.withdrawn", person=t.id, reason=reason)  # WITHDRAWN

    def select(self, t: Trainee, access: int | None, sessions: list[Session]) -> None:
        """Before the first session, now and then before any login; rarely in the middle of the session."""
        base = self.w.window("login")[0] + 5 * MINUTE
        safe = access is not None and t.withdrawn is None
        for course in {s.course.id: s.course for s in sessions if not s.course.main_line}.values():
            own = sorted(s.start for s in sessions if s.course.id == course.id)
            at = base + self.dice.randrange(DAY)
            if safe and access is not None and own[0] > access and self.w.chance(0.03):
                tie = 0 if self.w.punctual else self.gap
                at = own[0] + self.dice.choice((tie, 10 * self.gap + 1))  # COURSE_NOT_SELECTED until then
                if not self.w.punctual and self.w.chance(0.5):  # told again with its true date: the rest of the session counts from when it is told
                    late = at + self.dice.choice((-1, 0, 20 * self.gap))
                    early = own[0] - self.dice.choice((0, 1, HOUR))
                    self.w.sink.put(early, "course.selected", told=late, person=t.id, course=course.id)
            elif own[0] <= at:
                at = own[0] - HOUR
            self.selected.add((t.id, course.id))
            self.w.sink.put(at, "course.selected", person=t.id, course=course.id)

    def session(self, t: Trainee, access: int | None, s: Session) -> None:
        clear = access is not None and s.start > access and (t.withdrawn is None or t.withdrawn > s.end + 9 * DAY)
        if clear and not self.w.punctual and self.w.chance(0.03):  # uploaded late: an hour, or days, after it ended
            s.told = s.end + self.dice.choice((0, HOUR, self.dice.randrange(8 * DAY)))
        name = self.emit(t.id, s.course.id, s)
        if s.told is not None:
            return
        if clear and self.w.chance(0.012):
            self.emit(t.id, s.course.id, s, name)  # the same line again: DUPLICATE
        elif clear and self.w.chance(0.006) and t.withdrawn is None and s.course.main_line:
            late = self.dice.randint(1, 5) * DAY
            self.emit(t.id, s.course.id, Session(s.course, s.start + late, s.end + late, s.every), name)  # all seq known

    def emit(self, who: str, course: str, s: Session, name: str = "") -> str:
        if not name:
            self.serial += 1
            name = f"S{self.serial:07d}"
        self.w.sink.put(s.start, "study.session", told=s.told, person=who, course=course, session=name, start=s.start, end=s.end,
                        every_s=s.every)
        return name

    def mistakes(self, t: Trainee, access: int) -> None:
        """Refused for one cause: not applicable, not selected; a selection that is not applicable."""
        start = max(access, self.study_first) + self.dice.randrange(DAY, 8 * DAY)
        if self.w.chance(0.006):
            foreign = self.dice.choice([c for c in self.w.courses if c.main_line and not c.fits(t)])
            self.emit(t.id, foreign.id, Session(foreign, start, start + HOUR, self.gap))  # COURSE_NOT_APPLICABLE
        elif self.w.chance(0.003):
            foreign = self.dice.choice([c for c in self.w.courses if not c.fits(t)])
            self.w.sink.put(start, "course.selected", person=t.id, course=foreign.id)  # COURSE_NOT_APPLICABLE
        elif self.w.chance(0.002):
            self.w.sink.put(start, "course.selected", person=t.id, course="C998")  # NOT_FOUND
        elif self.w.chance(0.002):
            main = next(c for c in self.w.courses if c.main_line and c.fits(t))
            self.emit(t.id, main.id, Session(main, start, start, self.gap))  # a single heartbeat
        elif self.w.chance(0.008):
            self.unselected(t, start)

    def unselected(self, t: Trainee, start: int) -> None:
        """An elective that fits and that this learner never selects: COURSE_NOT_SELECTED."""
        free = [c for c in self.w.courses if not c.main_line and c.fits(t) and (t.id, c.id) not in self.selected]
        if free:
            course = self.dice.choice(free)
            self.emit(t.id, course.id, Session(course, start, start + course.minutes * MINUTE, self.gap))
