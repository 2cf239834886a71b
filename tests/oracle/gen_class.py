"""What a class does under its tutor: assignments, seminars, bulletins; experts choose tutors."""
from __future__ import annotations

import gen_text
from gen_world import DAY, HOUR, Class_, Trainee, World

STYLES = {"prompt": (0.2, 3), "weekly": (1, 7), "slack": (2, 14), "careless": (3, 25)}


def others(w: World, c: Class_) -> list[str]:
    """The other tutors; where there is but one, nobody, who is NOT_FOUND."""
    return [tutor for tutor in w.tutors if tutor != c.tutor] or ["U-none"]


class Assignments:
    def __init__(self, w: World) -> None:
        self.w, self.dice = w, w.dice
        rule = w.scheme["trainee"]["assignment"]
        self.first, self.end = w.window(rule["window"])
        self.review_end = w.window(rule["review_until"])[1]
        self.kinds = rule["kinds"]
        self.grace = w.scheme["tutor"]["marking"]["late_week"]["grace_hours"] * HOUR
        self.style: dict[str, str] = {}
        for tutor in w.tutors:
            self.style[tutor] = self.dice.choices(tuple(STYLES), (5, 3, 2, 1))[0]
        self.faithful = {tutor for tutor in w.tutors if self.w.chance(0.7)}  # leaves nothing unmarked

    def run(self) -> None:
        for t in self.w.trainees:
            if self.w.chance(0.93):
                self.trainee(t)
        t, tutor = self.w.trainees[0], self.w.trainees[0].class_.tutor
        self.w.sink.put(self.first + DAY, "assignment.reviewed", tutor=tutor, submission="A-none", grade="pass", comment="好")
        self.w.sink.put(self.first + DAY, "assignment.submitted", person="T-none", submission="A-x", kind=self.kinds[0], title="x")
        self.w.sink.put(self.first + DAY, "assignment.submitted", person=tutor, submission="A-y", kind=self.kinds[0], title="x")

    def submit(self, t: Trainee, at: int, n: int, kind: str = "") -> str:
        name = f"A{t.id}-{n}"
        self.w.sink.put(at, "assignment.submitted", person=t.id, submission=name,
                        kind=kind or self.dice.choice(self.kinds), title=f"我的实践性作业（第{n}稿）")
        return name

    def review(self, t: Trainee, at: int, name: str, grade: str, tutor: str = "", comment: str | None = None) -> None:
        fields = {"tutor": tutor or t.class_.tutor, "submission": name}
        text = self.dice.choice(gen_text.COMMENTS) if comment is None else comment
        if grade == "returned":
            self.w.sink.put(at, "assignment.returned", **fields, comment=text)
        else:
            self.w.sink.put(at, "assignment.reviewed", **fields, grade=grade, comment=text)

    def trainee(self, t: Trainee) -> None:
        """First try, at an edge now and then; then rounds of review and revision."""
        roll = self.dice.random()
        at = self.w.moment(self.first, self.end, 6, 24)
        if roll < 0.01:
            at = self.first
        elif roll < 0.02:
            at = self.end - 1
        elif roll < 0.03 and t.active(self.end):
            self.submit(t, self.end + self.dice.choice((0, 5 * HOUR)), 1)  # WINDOW_CLOSED
            return
        elif roll < 0.04 and t.active(self.first - 1):
            self.submit(t, self.first - 1, 9)  # WINDOW_NOT_OPEN
        elif roll < 0.05 and at - HOUR > self.first and t.active(at - HOUR):
            self.submit(t, at - HOUR, 8, "essay")  # INVALID_KIND
        for n in range(1, 4):
            name = self.submit(t, at, n)
            if not t.active(at):
                return  # WITHDRAWN
            following = self.round(t, name, at, n)
            if following is None:
                return
            at = following

    def round(self, t: Trainee, name: str, at: int, n: int) -> int | None:
        """What happens to one submission; when the next one comes, if one does."""
        if t.class_.tutor not in self.style:
            return None  # a class without a tutor: nobody may review
        if self.w.chance(0.03):
            return self.superseded(t, name, at)
        if t.class_.tutor not in self.faithful and self.w.chance(0.04):
            return None  # never reviewed
        when = self.review_time(t, at)
        if when >= self.review_end:
            if t.class_.tutor in self.faithful and at < self.review_end - 1:
                when = self.review_end - 1
            elif t.active(when):
                late = self.review_end + self.dice.choice((0, HOUR))
                self.review(t, late if late > at else when, name, "pass")  # WINDOW_CLOSED
                return None
        if not t.active(when):
            if self.w.doubtful:
                self.review(t, when, name, "pass")  # WITHDRAWN?
            return None
        if when - at > 3:
            self.bad_reviews(t, name, (at + when) // 2)
        grade = self.dice.choices(("pass", "excellent", "fail", "returned"), (52, 22, 13, 13))[0]
        self.review(t, when, name, grade)
        return self.after(t, name, when, grade, n)

    def review_time(self, t: Trainee, at: int) -> int:
        low, high = STYLES[self.style[t.class_.tutor]]
        when = at + int(self.dice.uniform(low, high) * DAY)
        monday = (at // DAY + 3) // 7 * 7 - 3 + 7  # 1970-01-01 was a Thursday
        due = monday * DAY + self.grace
        tidy = self.style[t.class_.tutor] in ("prompt", "weekly")
        if self.w.chance(0.05):  # at the edge of the week, with the grace
            late = 0.01 if tidy else 0.5
            when = due + (self.dice.choice((0, 1)) if self.w.chance(late) else -1)
        elif tidy and not self.w.chance(0.004):
            when = min(when, due - self.dice.randrange(1, 3 * HOUR))
        return max(at + 1, when)

    def superseded(self, t: Trainee, name: str, at: int) -> int | None:
        following = at + self.dice.randrange(HOUR, (8 if self.w.chance(0.1) else 2) * DAY)
        if following >= self.end or not t.active(following):
            return None
        later = following + self.dice.randrange(1, DAY)
        if later < self.review_end and t.active(later) and self.w.chance(0.4):
            self.review(t, later, name, self.dice.choice(("pass", "returned")))  # SUPERSEDED
        return following

    def bad_reviews(self, t: Trainee, name: str, at: int) -> None:
        if self.w.chance(0.02):
            other = self.dice.choice(others(self.w, t.class_))
            self.review(t, at, name, "pass", other)  # NOT_CLASS_TUTOR
        if self.w.chance(0.02):
            self.review(t, at, name, self.dice.choice(("pass", "returned")), "", self.dice.choice(gen_text.BLANKS))  # COMMENT_REQUIRED
        if self.w.chance(0.003):
            self.review(t, at, name, "pass", self.dice.choice((t.id, "U9998", self.w.leads[0])))  # NOT_FOUND

    def after(self, t: Trainee, name: str, when: int, grade: str, n: int) -> int | None:
        later = when + self.dice.randrange(HOUR, 8 * DAY)
        if not t.active(later):
            return None
        if grade in ("pass", "excellent"):
            if self.w.chance(0.03) and later < self.review_end:
                self.review(t, later, name, self.dice.choice(("pass", "excellent")))
            if self.w.chance(0.03) and later < self.end:
                self.submit(t, later, 7)  # ALREADY_GRADED
            elif self.w.doubtful and self.w.chance(0.03) and later < self.review_end:
                self.review(t, later, name, self.dice.choice(("returned", "fail")))
                again = later + HOUR
                return again if again < self.end and self.w.chance(0.5) and t.active(again) else None
            return None
        if self.w.chance(0.12):  # graded after all, or again
            if later < self.review_end:
                self.review(t, later, name, self.dice.choice(("pass", "fail", "excellent")))
            return None
        if not self.w.chance(0.65):
            return None
        if later >= self.end or n == 3:
            if later >= self.end:
                self.submit(t, later, n + 1)  # WINDOW_CLOSED
            return None
        return later


class ClassLife:
    """Seminars and bulletins of every class."""

    def __init__(self, w: World) -> None:
        self.w, self.dice = w, w.dice
        self.first, self.end = w.window(w.scheme["tutor"]["seminar"]["window"])
        self.minimum = w.scheme["trainee"]["seminar"]["min_characters"]
        self.open: dict[str, tuple[str, int]] = {}  # class -> seminar, when

    def run(self) -> None:
        good = {u for u in self.w.tutors if self.w.chance(0.6)}
        for c in self.w.classes:
            self.open_seminar(c, c.tutor in good)
        for c in self.w.classes:
            if c.id in self.open:
                self.posts(c)
                self.summary(c, c.tutor in good)
            for bulletin in self.w.scheme["tutor"].get("bulletin", ()):
                self.bulletin(c, bulletin, c.tutor in good)

    def other_tutor(self, c: Class_) -> str:
        return self.dice.choice(others(self.w, c))

    def open_seminar(self, c: Class_, good: bool) -> None:
        def put(at: int, seminar: str, tutor: str = c.tutor) -> None:
            self.w.sink.put(at, "seminar.opened", tutor=tutor, seminar=seminar, topic="信息技术如何支持深度学习", **{"class": c.id})

        if self.w.chance(0.1):
            put(self.first - 1, f"N{c.id}e")  # WINDOW_NOT_OPEN
        if self.w.chance(0.1):
            put(self.first + HOUR, f"N{c.id}w", self.other_tutor(c))  # NOT_CLASS_TUTOR
        if not good and self.w.chance(0.15):
            put(self.end, f"N{c.id}l")  # WINDOW_CLOSED
            return
        at = self.dice.choice((self.first, self.first + self.dice.randrange(6 * HOUR, 5 * DAY)))
        put(at, f"N{c.id}")
        self.open[c.id] = (f"N{c.id}", at)
        if self.w.doubtful and self.w.chance(0.1):
            put(at + HOUR, f"N{c.id}")  # ALREADY_EXISTS

    def posts(self, c: Class_) -> None:
        seminar, opened = self.open[c.id]
        for t in c.members:
            at = self.w.moment(opened + 1, self.end)
            roll = self.dice.random()
            if roll < 0.03:
                at = self.dice.choice((self.end - 1, opened + 1))
            if roll < 0.08 and t.active(self.end):
                self.bad_post(t, at, seminar)
            elif roll < 0.22:
                continue
            for n in range(2 if self.w.chance(0.15) else 1):
                self.post(t, min(at + n * HOUR, self.end - 1), seminar, self.minimum, self.w.chance(0.08))

    def post(self, t: Trainee, at: int, seminar: str, wanted: int, exact: bool) -> None:
        text = gen_text.post(self.dice, wanted, exact)
        if self.w.doubtful and exact and self.w.chance(0.5):
            text = text.replace("研", self.dice.choice(("——", "“研", "\u3000")), 1)
        self.w.sink.put(at, "seminar.posted", person=t.id, seminar=seminar, text=text)

    def bad_post(self, t: Trainee, at: int, seminar: str) -> None:
        """Too short by one, in another class, too late, nowhere, by somebody else."""
        kind = self.dice.randrange(8)
        if kind < 4:
            wanted = self.minimum - self.dice.choice((1, 1, 20))
            self.post(t, at, seminar, max(0, wanted), True)  # TEXT_TOO_SHORT, unless nothing is asked
        elif kind == 4:
            others = [(s, o) for c, (s, o) in self.open.items() if c != t.class_.id and o < at]
            if others:
                self.post(t, at, self.dice.choice(others)[0], self.minimum, False)  # NOT_CLASS_MEMBER
        elif kind == 5:
            self.post(t, self.end + self.dice.choice((0, HOUR)), seminar, self.minimum, False)  # WINDOW_CLOSED
        elif kind == 6:
            self.post(t, at, "N-none", self.minimum, False)  # NOT_FOUND
        else:
            text = gen_text.post(self.dice, self.minimum, False)
            self.w.sink.put(at, "seminar.posted", person=t.class_.tutor, seminar=seminar, text=text)  # NOT_FOUND

    def summary(self, c: Class_, good: bool) -> None:
        seminar, opened = self.open[c.id]
        fields = {"seminar": seminar, "summary": "本班研讨成果汇总。"}
        if self.w.chance(0.08):
            self.w.sink.put(self.end - HOUR, "seminar.summarised", tutor=self.other_tutor(c), **fields)  # NOT_CLASS_TUTOR
        if self.w.chance(0.03):
            self.w.sink.put(self.end - HOUR, "seminar.summarised", tutor=c.tutor, seminar="N-none", summary="x")  # NOT_FOUND
        roll = self.dice.random()
        if good or roll < 0.7:
            at = self.dice.choice((self.end - 1, self.end - 5 * HOUR, max(opened + DAY, self.end - 3 * DAY)))
            self.w.sink.put(at, "seminar.summarised", tutor=c.tutor, **fields)
        elif roll < 0.85:
            self.w.sink.put(self.end + self.dice.choice((0, HOUR)), "seminar.summarised", tutor=c.tutor, **fields)  # WINDOW_CLOSED

    def bulletin(self, c: Class_, rule: dict, good: bool) -> None:
        first, end = self.w.window(rule["window"])

        def put(at: int, tutor: str = c.tutor, number: int = rule["number"]) -> None:
            self.w.sink.put(at, "bulletin.published", tutor=tutor, number=number, title=f"第{number}期班级简报", **{"class": c.id})

        if self.w.chance(0.04):
            put(first - self.dice.choice((1, DAY)))  # WINDOW_NOT_OPEN
        if self.w.chance(0.04):
            put(first, self.other_tutor(c))  # NOT_CLASS_TUTOR: before anything of this number exists
        if self.w.doubtful and self.w.chance(0.03):
            put(first + HOUR, c.tutor, 9)  # NOT_FOUND?
        if good or self.w.chance(0.85):
            at = self.dice.choice((first, end - 1, self.w.moment(first, end), self.w.moment(first, end)))
            put(at)
            if self.w.chance(0.06):
                put(min(at + HOUR, end - 1))  # ALREADY_EXISTS
        elif self.w.chance(0.6):
            put(end + self.dice.choice((0, 9 * HOUR)))  # WINDOW_CLOSED


def experts(w: World) -> None:
    """Tutors chosen, the eligible and others; nobody's choice; a tutor who is none."""
    first, end = w.window("assessment")
    for tutor in w.tutors:
        if w.chance(0.4):
            w.sink.put(w.moment(first, end), "tutor.chosen", expert=w.dice.choice(w.experts), tutor=tutor)
    for expert, tutor in ((w.leads[0], w.tutors[0]), (w.experts[0], "U9997"), (w.experts[0], w.trainees[0].id)):
        w.sink.put(w.moment(first, end), "tutor.chosen", expert=expert, tutor=tutor)  # NOT_FOUND
