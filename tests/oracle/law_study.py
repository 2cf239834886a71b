"""Study time, scoring.md "Study time": heartbeats to credited time, in microseconds.

A learner's credit depends on nobody else's study and nothing else depends on study,
so learners are computed one by one, each learner's heartbeats in the order in which
they were recorded: (told, line, seq), where most are told when they happen."""
from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field

from law_facts import Facts, Key, Told
from law_readings import Readings
from law_roster import TRAINEE, Course, Person, Terms
from law_scheme import FAR, SECOND, Scheme, Window


@dataclass
class Line:
    """A study.session line."""
    number: int
    person: str
    course: str
    session: str
    start: int
    end: int
    every: int
    told: int

    @property
    def late(self) -> bool:
        return self.told > self.start


@dataclass
class Grant:
    """Time granted by hand (a time.granted line)."""
    number: int
    person: str
    course: str
    at: int
    seconds: int
    told: int


@dataclass
class Piece:
    """What a heartbeat or a grant was credited: the instants, of a grant none."""
    at: int
    session: str
    course: str
    time: int
    spans: list[tuple[int, int]]


@dataclass
class Credit:
    """What one learner was credited, microseconds: of each course, and each credit by its date: when, course, entries, how much."""
    by_course: dict[str, int] = field(default_factory=dict)
    dated: list[tuple[int, str, list[int], int]] = field(default_factory=list)
    pieces: list[Piece] = field(default_factory=list)

    def by_entry(self, index: int) -> int:
        return sum(time for _, _, entries, time in self.dated if index in entries)


class Credited:
    """The instants credited to a learner: disjoint intervals in order, neighbours merged."""

    def __init__(self) -> None:
        self.firsts: list[int] = []
        self.ends: list[int] = []

    def free(self, first: int, end: int) -> list[tuple[int, int]]:
        """What of [first, end) is not credited."""
        out = []
        for i in range(bisect_right(self.ends, first), len(self.ends)):
            if self.firsts[i] >= end:
                break
            if first < self.firsts[i]:
                out.append((first, self.firsts[i]))
            first = self.ends[i]
        if first < end:
            out.append((first, end))
        return out

    def add(self, first: int, end: int) -> None:
        low, high = bisect_left(self.ends, first), bisect_right(self.firsts, end)
        if low < high:
            first, end = min(first, self.firsts[low]), max(end, self.ends[high - 1])
        self.firsts[low:high], self.ends[low:high] = [first], [end]


def bound(key: Key | None, line: Line) -> int:
    """The first instant at which a heartbeat of the line comes after the fact `key`. All of a late line comes after
    what was told before it."""
    if key is None:
        return FAR
    return key[0] if line.late or key[1] < line.number else key[0] + 1


def bound_told(facts: list[Told], line: Line) -> int:
    """The same of a fact that was told several times, some of them late: the earliest that is known by then."""
    if line.late:
        return min((at for at, told, number in facts if (told, number) < (line.told, line.number)), default=FAR)
    return min((told if number < line.number else told + 1 for _, told, number in facts), default=FAR)


class Study:
    def __init__(self, scheme: Scheme, facts: Facts, readings: Readings, voided: set[tuple[str, str]] = frozenset(),
                 grants: dict[str, list[Grant]] | None = None) -> None:
        self.scheme, self.facts, self.readings, self.voided = scheme, facts, readings, voided
        self.grants = grants or {}
        self.courses = facts.roster.courses
        self.rejections: dict[int, str] = {}
        self.causes: dict[int, set[str]] = {}

    def gate(self, line: Line, person: Person | None, course: Course | None) -> list[tuple[int, int, str]]:
        """[first, end) spans of time in which heartbeats of the line are refused, by precedence."""
        if person is None or person.role != TRAINEE or course is None:
            return [(-FAR, FAR, "NOT_FOUND")]
        facts, spans = self.facts, []
        spans.append((bound(facts.withdrawn.get(person.id), line), FAR, "WITHDRAWN"))
        for left, back in facts.absences.get(person.id, ()):
            spans.append((bound(left, line), bound(back, line), "WITHDRAWN"))
        login = facts.login.get(person.id)
        if self.readings["study_needs_open"] == "yes":
            for since, until, county, _ in person.places():
                closed = min(bound(facts.opened.get(county), line), until)
                if since < closed:
                    spans.append((since, closed, "LEARNING_NOT_OPEN"))
        if self.readings["study_needs_login"] == "yes":
            spans.append((-FAR, bound(login, line), "LEARNING_NOT_OPEN"))
        chosen = bound_told(facts.selected.get((person.id, course.id), []), line)
        for since, until, terms in course.spans():
            if terms.retired:
                spans.append((since, until, "COURSE_RETIRED"))
            elif not terms.applies_to(person):
                spans.append((since, until, "COURSE_NOT_APPLICABLE"))
            elif not terms.main_line and since < chosen:
                spans.append((since, min(chosen, until), "COURSE_NOT_SELECTED"))
        return spans

    def admitted(self, line: Line) -> list[tuple[int, int]]:
        """(instant, seq) of the heartbeats that are not refused; notes the line's refusal."""
        times = list(range(line.start, line.end, line.every)) if line.end > line.start else []
        times.append(line.end)
        spans = self.gate(line, self.facts.roster.people.get(line.person), self.courses.get(line.course))
        low = max((end for first, end, _ in spans if first == -FAR), default=-FAR)
        high = min((first for first, end, _ in spans if end == FAR), default=FAR)
        between = [(first, end) for first, end, _ in spans if first != -FAR and end != FAR]
        if not between and low <= times[0] and times[-1] < high:
            return list(zip(times, range(len(times))))
        for at in times:
            causes = [why for first, end, why in spans if first <= at < end]
            if causes:
                self.rejections.setdefault(line.number, causes[0])
                self.causes.setdefault(line.number, set()).update(causes)
        if self.readings["refused_opens"] == "yes":
            return [(at if low <= at < high else -at, seq) for seq, at in enumerate(times)]
        return [(at, seq) for seq, at in enumerate(times)
                if low <= at < high and not any(first <= at < end for first, end in between)]

    def windows(self, who: str, whole: bool = False) -> list[Window]:
        """The windows of the entries, as an id has them; or as they decide what counts for a person."""
        person = self.facts.roster.people.get(who)
        of = self.facts.counted if whole else self.facts.own
        return [of(person, entry.name) if person else entry.window for entry in self.scheme.online]

    def entries(self, windows: list[Window], category: str, at: int) -> list[int]:
        """The entries for which study of a category counts then."""
        return [index for index, entry in enumerate(self.scheme.online)
                if category in entry.categories and windows[index].holds(at)]

    def learner(self, who: str, lines: list[Line]) -> Credit:
        """All lines of one learner -> what they were credited."""
        credit = Credit()
        beats: list[tuple[int, int, int, int, Line]] = []
        for line in lines:
            number = line.number
            beats += [(max(abs(at), line.told), number, seq, at, line) for at, seq in self.admitted(line)]
        beats.sort(key=lambda beat: beat[:3])
        self.run(who, beats, credit)
        return credit

    def run(self, who: str, beats: list[tuple[int, int, int, int, Line]], credit: Credit) -> None:
        readings, max_gap, cap = self.readings, self.scheme.max_gap, self.scheme.cap_course
        daily_cap, overlap = self.scheme.daily_cap, readings["overlap"]
        cap = cap and readings["course_cap"] == "scheme"
        sessions: dict[str, tuple[int, int]] = {}  # session -> (last seq, its instant)
        credited, days = Credited(), {}  # day -> its credit
        day_first = day_end = 0
        by_course, windows = credit.by_course, self.windows(who)
        taken_back: list[tuple[str, int]] = []  # what voided sessions were credited: course, time
        for _, _, seq, sign, line in beats:
            at = abs(sign)
            last = sessions.get(line.session)
            if last is not None and seq <= last[0]:
                continue  # DUPLICATE
            sessions[line.session] = (seq, at)
            if last is None or sign < 0:
                continue  # opens the session, credits nothing
            terms = self.courses[line.course].at(at)
            entries = self.entries(windows, terms.category, at)
            begin = last[1] if last[1] > at - max_gap else at - max_gap
            if begin > last[1] and readings["gap"] == "zero":
                continue
            if readings["window_edge"] == "cut" and entries:
                begin = max(begin, min(windows[i].first for i in entries))
            if overlap == "none":
                free = [(begin, at)] if begin < at else []
            elif overlap == "mark":
                begin = max(begin, credited.ends[-1] if credited.ends else begin)
                free = [(begin, at)] if begin < at else []
            else:
                free = credited.free(begin, at)
            time = sum(end - first for first, end in free)
            if readings["exact"] == "seconds":
                time = time // SECOND * SECOND
            if not entries:  # OUTSIDE_WINDOW
                if readings["outside_eats_course"] == "yes":
                    by_course[line.course] = by_course.get(line.course, 0) + time
                continue
            room = time
            if cap:
                room = min(room, terms.seconds * SECOND - by_course.get(line.course, 0))
            if daily_cap:
                if not day_first <= at < day_end:
                    day_first, day_end = self.scheme.day_bounds(at)
                room = min(room, daily_cap * SECOND - days.get(day_first, 0))
            if room <= 0:  # OVERLAP, COURSE_FULL, DAILY_CAP
                continue
            spans = self.mark(credited, free, room)
            if daily_cap:
                days[day_first] = days.get(day_first, 0) + room
            by_course[line.course] = by_course.get(line.course, 0) + room
            if (line.person, line.session) in self.voided:
                taken_back.append((line.course, room))
            else:
                credit.dated.append((at, line.course, entries, room))
                credit.pieces.append(Piece(at, line.session, line.course, room, spans))
        for course_id, room in taken_back:
            by_course[course_id] -= room
        for grant in sorted(self.grants.get(who, ()), key=lambda grant: (grant.told, grant.number)):
            self.give(grant, windows, days, credit)

    def give(self, grant: Grant, windows: list[Window], days: dict[int, int], credit: Credit) -> None:
        """Time by hand: it takes no instants, and the caps are those of a heartbeat. A season grants when all study was told."""
        person, course = self.facts.roster.people.get(grant.person), self.courses.get(grant.course)
        if person is None or course is None:
            return self.refuse(grant.number, "NOT_FOUND")
        if self.facts.was_away(person.id, grant.at + 1):
            return self.refuse(grant.number, "WITHDRAWN")
        terms = course.at(grant.at)
        if terms.retired or not terms.applies_to(person):
            return self.refuse(grant.number, "COURSE_RETIRED" if terms.retired else "COURSE_NOT_APPLICABLE")
        entries, room = self.entries(windows, terms.category, grant.at), grant.seconds * SECOND
        if self.scheme.cap_course:
            room = min(room, terms.seconds * SECOND - credit.by_course.get(course.id, 0))
        day = self.scheme.day_bounds(grant.at)[0]
        if self.scheme.daily_cap:
            room = min(room, self.scheme.daily_cap * SECOND - days.get(day, 0))
        if not entries or room <= 0:
            return None
        days[day] = days.get(day, 0) + room
        credit.by_course[course.id] = credit.by_course.get(course.id, 0) + room
        credit.dated.append((grant.at, course.id, entries, room))
        credit.pieces.append(Piece(grant.at, "", course.id, room, []))
        return None

    def refuse(self, number: int, why: str) -> None:
        self.rejections[number] = why

    def mark(self, credited: Credited, free: list[tuple[int, int]], room: int) -> list[tuple[int, int]]:
        """Credits so much of what is free: the last part of it. Gives the instants, in order."""
        last, spans = self.readings["free_part"] == "last", []
        for first, end in reversed(free) if last else free:
            some = min(room, end - first)
            if some > 0:
                spans.append((end - some, end) if last else (first, first + some))
                credited.add(*spans[-1])
                room -= some
        return sorted(spans)

    def achieved(self, person: Person, credit: Credit) -> list[int | None]:
        """Annex 2: when the minutes, or every main-line course that applies, were there inside the window."""
        return [self.entry_achieved(index, person, credit) for index in range(len(self.scheme.online))]

    def entry_achieved(self, index: int, person: Person, credit: Credit) -> int | None:
        """Read by dates, since courses are what they are at each time: a course is complete when what was credited reaches its length of
        then, and stays so; the main line is done when all that it asks for at a moment are complete."""
        entry, window = self.scheme.online[index], self.windows(person.id, whole=True)[index]
        everywhere = self.readings["completion_scope"] == "all"
        credits = [(at, 1, course, time) for at, course, entries, time in credit.dated
                   if index in entries or everywhere]
        counts = {(at, course) for at, course, entries, _ in credit.dated if index in entries}
        turns = {since for course in self.courses.values() for since, _, _ in course.spans() if window.holds(since)}
        moments = [(at, 0, "", 0) for at in {window.first, *turns}]
        total, inside, complete = 0, {}, set()
        for at, _, course_id, time in sorted([*credits, *moments]):
            if course_id:
                inside[course_id] = inside.get(course_id, 0) + time
                total += time if (at, course_id) in counts else 0
            before = len(complete)
            for course in (self.courses[course_id],) if course_id else self.courses.values():
                if inside.get(course.id, 0) >= course.at(at).seconds * SECOND:
                    complete.add(course.id)
            is_news = total >= entry.seconds * SECOND or len(complete) > before or not course_id
            if not is_news or not window.holds(at):
                continue
            main = {c.id for c in self.courses.values() if self.asked(c.at(at), entry.categories, person)}
            minutes, mainline = total >= entry.seconds * SECOND, bool(main) and main <= complete
            if {"either": minutes or mainline, "minutes": minutes, "mainline": mainline}[self.readings["phase_by"]]:
                return at
        return None

    def asked(self, terms: Terms, categories: frozenset[str], person: Person) -> bool:
        applies = self.readings["mainline_scope"] == "all" or terms.applies_to(person)
        return terms.main_line and not terms.retired and terms.category in categories and applies
