"""Offline activities of every county and stage."""
from __future__ import annotations

from gen_world import DAY, HOUR, County, Trainee, World


class Offline:
    def __init__(self, w: World) -> None:
        self.w, self.dice = w, w.dice
        rule = w.scheme["trainee"]["offline"]
        self.low, self.high = rule["min_score"], rule["max_score"]
        self.first, self.end = w.window(w.scheme["counselor"]["offline"]["window"])
        self.reporting = w.window("reporting")[0]

    def run(self) -> None:
        for county in self.w.counties:
            if county.opened is None:
                continue
            flat = self.dice.choice((self.low, self.high)) if self.w.chance(0.25) else None
            for stage in self.w.scheme["counselor"]["offline"]["stages"]:
                self.stage(county, stage, flat)
        self.strangers()

    def say(self, at: int, kind: str, county: County, stage: str, who: str = "") -> None:
        self.w.sink.put(at, kind, counselor=who or self.dice.choice(county.counselors), county=county.code,
                        education_stage=stage, title="线下研修活动")

    def stage(self, county: County, stage: str, flat: int | None) -> None:
        if self.w.chance(0.1):
            self.say(self.reporting - 1, "offline.plan_submitted", county, stage)  # WINDOW_NOT_OPEN
        if self.w.chance(0.85):
            at = self.dice.choice((self.reporting, self.end - 1, self.w.moment(self.reporting, self.end)))
            self.say(at, "offline.plan_submitted", county, stage)
        elif self.w.chance(0.5):
            self.say(self.end, "offline.plan_submitted", county, stage)  # WINDOW_CLOSED
        people = [t for t in county.trainees if t.stage == stage]
        full = self.w.chance(0.5)
        for n in range(self.dice.choice((0, 1, 1, 2, 3))):
            self.activity(county, stage, people, f"O{county.code}{stage[0]}{n}", full, flat)
        if self.w.chance(0.8):
            at = self.dice.choice((self.end - 1, self.w.moment(self.end - 9 * DAY, self.end)))
            self.say(at, "offline.results_submitted", county, stage)
        elif self.w.chance(0.6):
            self.say(self.dice.choice((self.end, self.first - 1)), "offline.results_submitted", county, stage)

    def hold(self, at: int, name: str, county: County, stage: str, who: str) -> None:
        self.w.sink.put(at, "offline.activity_held", counselor=who, county=county.code, education_stage=stage, activity=name,
                        theme="同课异构")

    def activity(self, county: County, stage: str, people: list[Trainee], name: str, full: bool, flat: int | None) -> None:
        who = self.dice.choice(county.counselors)
        if self.w.chance(0.1):
            self.hold(self.dice.choice((self.first - 1, self.end)), name + "x", county, stage, who)  # outside the window
        held = self.dice.choice((self.first, self.w.moment(self.first, self.end - 20 * DAY)))
        self.hold(held, name, county, stage, who)
        if self.w.doubtful and self.w.chance(0.1):
            self.hold(held + HOUR, name, county, stage, who)  # ALREADY_EXISTS
        at = held + self.dice.randrange(2 * HOUR, 9 * HOUR)
        share = self.dice.uniform(0.3, 0.7)
        here = [t for t in people if t.active(at) and self.w.chance(share)]
        self.bad_attendance(county, stage, name, at, here)
        if not here:
            return
        self.attend(at, name, who, here)
        if self.w.chance(0.3):
            self.attend(at + DAY, name, who, [t for t in here[:3] if t.active(at + DAY)])  # again: no harm
        for t in here:
            if full or self.w.chance(0.95):
                self.score(t, name, who, at, flat)
        self.bad_scores(people, here, name, who, at, county)

    def attend(self, at: int, name: str, who: str, people: list[Trainee]) -> None:
        if people:
            self.w.sink.put(at, "offline.attended", counselor=who, activity=name, persons=[t.id for t in people])

    def bad_attendance(self, county: County, stage: str, name: str, at: int, here: list[Trainee]) -> None:
        who = county.counselors[0]
        foreign = [t for t in self.w.trainees[:400] if (t.county is not county or t.stage != stage) and t.active(at)]
        if foreign and self.w.chance(0.3):
            self.attend(at, name, who, here[:3] + [self.dice.choice(foreign)])  # NOT_COUNTY_TRAINEE, all refused
        gone = [t for t in county.trainees if t.stage == stage and not t.active(at)]
        if gone and self.w.chance(0.5):
            self.attend(at, name, who, here[:2] + [self.dice.choice(gone)])  # WITHDRAWN, all refused
        if self.w.chance(0.15):
            self.w.sink.put(at, "offline.attended", counselor=who, activity=name, persons=["T-none"])  # NOT_FOUND
        if here and self.w.chance(0.15):
            self.w.sink.put(at, "offline.attended", counselor=who, activity="O-none", persons=[here[0].id])  # NOT_FOUND
        if here and self.w.chance(0.15):
            self.attend(at, name, self.stranger(county), here)  # NOT_COUNTY_COUNSELOR
        if here and self.w.chance(0.1) and here[0].active(self.end):
            self.attend(self.end, name, who, here[:1])  # WINDOW_CLOSED

    def stranger(self, county: County) -> str:
        return self.dice.choice([c for c in self.w.counties if c is not county]).counselors[0]

    def put_score(self, at: int, name: str, who: str, person: str, score: float) -> None:
        self.w.sink.put(at, "offline.scored", counselor=who, activity=name, person=person, score=score)

    def score(self, t: Trainee, name: str, who: str, at: int, flat: int | None) -> None:
        def dice() -> int:
            return flat if flat is not None else self.dice.randint((self.low + self.high) // 2, self.high)

        when = self.dice.choice((at + self.dice.randrange(HOUR, 19 * DAY),) * 9 + (self.end - 1,))
        when = min(when, self.end - 1)
        if not t.active(when) and not self.w.chance(0.4):
            return
        self.put_score(when, name, who, t.id, dice())  # perhaps WITHDRAWN
        if self.w.chance(0.05) and when + DAY < self.end and t.active(when + DAY):
            self.put_score(when + DAY, name, who, t.id, dice() if flat is not None else self.dice.randint(self.low, self.high))

    def bad_scores(self, people: list[Trainee], here: list[Trainee], name: str, who: str, at: int, county: County) -> None:
        when = at + 2 * HOUR
        for t in here[:40]:
            if self.w.chance(0.03) and t.active(when) and when < self.end:
                self.put_score(when, name, who, t.id, self.dice.choice((self.high + 1, self.low - 1, 100, 1e20, self.low + 0.5)))  # SCORE_OUT_OF_RANGE
        absent = [t for t in people if t not in here and t.active(when)] if len(people) < 3000 else []
        if absent and when < self.end:
            self.put_score(when, name, who, self.dice.choice(absent).id, self.high)  # NOT_ATTENDED
        t = here[0]
        if t.active(self.end) and self.w.chance(0.3):
            self.put_score(self.end, name, who, t.id, self.high)  # WINDOW_CLOSED
        if t.active(when) and self.w.chance(0.3):
            self.put_score(when, name, self.stranger(county), t.id, self.high)  # NOT_COUNTY_COUNSELOR
        if t.active(when) and self.w.chance(0.2):
            self.put_score(when, "O-none", who, t.id, self.high)  # NOT_FOUND

    def strangers(self) -> None:
        """Plans, activities and results for another county, by somebody of another role, nowhere."""
        one = next(c for c in self.w.counties if c.opened is not None)
        at = self.first + DAY
        if self.reporting <= at:
            self.say(at, "offline.plan_submitted", one, "compulsory", self.stranger(one))  # NOT_COUNTY_COUNSELOR
        self.say(at, "offline.results_submitted", one, "compulsory", self.stranger(one))  # NOT_COUNTY_COUNSELOR
        self.hold(at, "O-other", one, "compulsory", self.stranger(one))  # NOT_COUNTY_COUNSELOR
        self.hold(at, "O-lead", one, "compulsory", self.w.leads[0])  # NOT_FOUND
        self.say(at, "offline.plan_submitted", County("139998", "无", "open"), "compulsory", one.counselors[0])  # NOT_FOUND
