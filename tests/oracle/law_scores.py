"""Trainees (Annex 2), tutors (Annex 3), counselors (Annex 4)."""
from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction

from law_facts import Facts, standing
from law_merged import Merged
from law_readings import Readings
from law_roster import COUNSELOR, TRAINEE, TUTOR, Person
from law_scheme import HOUR, Scheme, Window
from law_things import Submission


@dataclass
class TraineeScore:
    phases: list[int]
    earned: list[bool]
    achieved: list[bool]
    assignment: int
    seminar: int
    offline: int
    passed: bool
    reasons: list[str]
    seminar_earned: bool

    @property
    def total(self) -> int:
        return sum(self.phases) + self.assignment + self.seminar + self.offline


class Scores:
    """The final scores, at the end of the summary window."""

    def __init__(self, scheme: Scheme, facts: Facts, achieved: dict[str, list[int | None]], readings: Readings,
                 adjusted: dict[tuple[str, str], int] | None = None, merged: Merged | None = None) -> None:
        self.scheme, self.facts, self.readings = scheme, facts, readings
        self.adjusted = adjusted or {}  # what was decided that an item of somebody counts as, at the end
        self.achieved_at = achieved
        self.achieved = {who: [at is not None for at in times] for who, times in achieved.items()}
        self.merged = merged = merged or Merged([], facts)  # for whom an id counts that is not the one of its person that is kept
        kept_of = merged.kept_of(TRAINEE)
        self.everyone = [p for p in facts.roster.role(TRAINEE) if p.id not in kept_of]
        self.active = [p for p in self.everyone if p.id not in facts.withdrawn]
        people = facts.roster.people
        self.posted = {kept_of.get(who, who) for s in facts.seminars.values() for at, who in s.posts
                       if who not in kept_of or facts.counted(people[kept_of[who]], facts.post_name).holds(at)}
        # Who answers for a submission: the class of the end of reviews owes its mark, that of the week's end has the late week; and
        # of the class who was its tutor just before then. Nobody answers for their own work: a set, in which they are not.
        self.owing: set[str] = set()
        self.late: dict[str, set[date]] = {}
        self.late_in: set[tuple[str, str, date]] = set()  # which week of which class, in which county, whoever had the class
        tutor_before = facts.roster.tutor_before
        for submission in facts.submissions.values():
            if self.owed(submission):
                end = facts.counted(submission.counts_for or submission.author, facts.review_name).end
                self.owing |= {tutor_before(submission.author.class_before(end), facts.review_end)} - {submission.author.id}
            week = self.late_week(submission)
            if week is not None:
                deadline = self.deadline(week)
                county, class_id = submission.author.place_before(deadline)
                self.late_in.add((county, class_id, week))
                tutor = tutor_before(class_id, deadline)
                if tutor != submission.author.id:
                    self.late.setdefault(tutor, set()).add(week)
        self.offline_scores = self._offline_scores()
        counted = self.everyone if readings["active_withdrawn"] == "yes" else self.active
        self.of_county: dict[str, list[Person]] = {}
        for person in counted:
            self.of_county.setdefault(person.county, []).append(person)
        self.trainees = {p.id: self.trainee(p) for p in counted}

    def _offline_scores(self) -> dict[str, list[tuple[int, int]]]:
        out: dict[str, list[tuple[int, int]]] = {}
        for activity in self.facts.activities.values():
            for who, score in activity.scores.items():
                out.setdefault(who, []).append((activity.order[who], score))
        return out

    # -- Annex 2

    def phases(self, person: Person) -> tuple[list[bool], list[int], list[str]]:
        achieved = self.achieved[person.id]
        earned: list[bool] = []
        points, reasons = [], []
        for index, entry in enumerate(self.scheme.online):
            before = earned if self.readings["previous"] == "earned" else achieved
            blocked = entry.requires_previous and index > 0 and not before[index - 1]
            ok = achieved[index] and not blocked
            earned.append(ok)
            points.append(entry.points if ok else 0)
            if not ok:
                own = not achieved[index] and (self.readings["missed_reason"] == "own_first" or not blocked)
                reasons.append(f"phase_{index + 1}:" + ("NOT_ACHIEVED_IN_WINDOW" if own else "PREVIOUS_PHASE_MISSED"))
        return earned, points, reasons

    def assignment(self, person: Person) -> tuple[int, str]:
        newest = self.facts.newest.get(person.id)
        if newest is None:
            return 0, "NOT_SUBMITTED"
        mark = standing(newest, self.readings)
        if mark in ("", "returned"):
            return 0, "RETURNED" if mark else "NOT_REVIEWED"
        points = int(self.scheme.trainee["assignment"]["points"][mark])
        failed = mark == "fail" and (self.readings["fail_reason"] == "grade" or points == 0)
        return points, "GRADED_FAIL" if failed else ""

    def offline(self, person: Person) -> int:
        scores = self.offline_scores.get(person.id, [])
        if not scores:
            return 0
        if self.readings["offline_best"] == "last":
            return max(scores)[1]
        if self.readings["offline_best"] == "sum_cap":
            return min(sum(s for _, s in scores), self.scheme.trainee["offline"]["max_score"])
        return max(score for _, score in scores)

    def decided(self, person: Person, item: str, points: int, reasons: list[str]) -> int:
        """What an item counts as: by decision where there is one. It is missed when that is nothing, and earned otherwise."""
        decision = self.adjusted.get((person.id, item))
        if decision is None:
            return points
        reasons[:] = [reason for reason in reasons if not reason.startswith(item + ":")]
        if not decision and item != "offline":
            reasons.append(f"{item}:ADJUSTED_TO_NOTHING")
        return decision

    def trainee(self, person: Person) -> TraineeScore:
        rules = self.scheme.trainee
        earned, points, reasons = self.phases(person)
        for index in range(len(points)):
            item = f"phase_{index + 1}"
            points[index] = self.decided(person, item, points[index], reasons)
            if (person.id, item) in self.adjusted:
                earned[index] = points[index] > 0
        reasons.sort(key=lambda reason: int(reason.split(":")[0].removeprefix("phase_")))
        assignment, why = self.assignment(person)
        own = ["assignment:" + why] if why else []
        assignment = self.decided(person, "assignment", assignment, own)
        attended = person.id in self.posted
        posted = [] if attended else ["seminar:NOT_ATTENDED"]
        seminar = self.decided(person, "seminar", int(rules["seminar"]["points"]) if attended else 0, posted)
        if (person.id, "seminar") in self.adjusted:
            attended = seminar > 0
        offline = self.decided(person, "offline", self.offline(person), [])
        score = TraineeScore(points, earned, self.achieved[person.id], assignment, seminar, offline, False,
                             [*reasons, *own, *posted], attended)
        needed = attended or not rules.get("seminar_required", True)
        score.passed = score.total >= rules["pass_total"] + (self.readings["pass_total"] == "more") and needed
        return score

    # -- Annex 3

    def owed(self, submission: Submission) -> bool:
        """Marking: a submission that was not superseded and has neither review nor return."""
        if submission.superseded_at is not None and self.readings["marking_superseded"] == "no":
            return False
        if submission.disregarded:
            return False
        counts_for = submission.counts_for or submission.author
        end = self.facts.counted(counts_for, self.facts.review_name).end
        away = any(who.id in self.facts.withdrawn or self.facts.was_away(who.id, end)
                   for who in (submission.author, counts_for))
        if self.readings["marking_withdrawn"] == "not_owed" and away:
            return False
        return not (submission.grades() if self.readings["marking_return"] == "no" else submission.counted())

    def late_week(self, submission: Submission) -> date | None:
        """The Monday of the week that this submission makes late."""
        if submission.disregarded:
            return None
        rule = self.scheme.tutor["marking"]["late_week"]
        first = date.fromisoformat(str(rule["from"]))
        week = self.scheme.week_of(submission.at)
        start = first if self.readings["late_from"] == "date" else first - timedelta(days=first.weekday())
        if self.scheme.local_day(submission.at) < start:
            return None
        deadline = self.deadline(week)
        if deadline > self.scheme.as_of:
            return None
        return None if self.settled(submission, deadline) else week

    def deadline(self, week: date) -> int:
        """By when what was submitted in a week is to be marked."""
        rule = self.scheme.tutor["marking"]["late_week"]
        deadline = self.scheme.midnight(week + timedelta(days=7)) + int(rule.get("grace_hours", 0)) * HOUR
        return deadline + (self.readings["late_edge"] == "inclusive")

    def settled(self, submission: Submission, deadline: int) -> bool:
        marks = [at for at, mark in submission.marks if mark != "returned" or self.readings["late_returned"] == "ok"]
        ends = {"by_deadline": deadline, "any_time": 1 << 62, "no": -1}
        if any(at < deadline for at in marks):
            return True
        if submission.superseded_at is not None and submission.superseded_at < ends[self.readings["late_superseded"]]:
            return True
        if self.readings["late_withdrawn"] == "by_deadline":
            counts_for = submission.counts_for or submission.author
            return any(self.facts.was_away(who.id, deadline) for who in (submission.author, counts_for))
        gone = self.facts.withdrawn.get(submission.author.id)
        return gone is not None and gone[0] < ends[self.readings["late_withdrawn"]]

    def seminar_done(self, class_id: str, tutor: str = "") -> bool:
        """Whether a class has a whole seminar; of a tutor's own if one is asked for."""
        window = self.facts.seminar_window
        for seminar in self.facts.seminars.values():
            posts = [who for at, who in seminar.posts if window.holds(at)]
            if self.readings["post_withdrawn"] == "no":
                posts = [who for who in posts if who not in self.facts.withdrawn]
            whole = seminar.class_id == class_id and posts and seminar.summarised_at is not None
            if whole and tutor in ("", seminar.tutor):
                return True
        return False

    def answered(self, tutor: str, window: Window, own: set[str]) -> list[str]:
        """The classes for which a tutor answers for what ends with a window: who has one now, who had it at that end, and those of
        which they did it themselves."""
        roster = self.facts.roster
        return [c for c, now in roster.tutor_of.items()
                if c in own or now == tutor or roster.tutor_before(c, window.end) == tutor]

    def tutor(self, person: Person) -> list[object]:
        rules, facts = self.scheme.tutor, self.facts
        every = all if self.readings["two_classes"] == "each" else any
        marking = 0 if person.id in self.owing else int(rules["marking"]["points"])
        bulletins = 0
        for bulletin in rules.get("bulletin", ()):
            number = int(bulletin["number"])
            own = {c for (c, n), tutor in facts.published.items() if n == number and tutor == person.id}
            classes = self.answered(person.id, facts.bulletin_windows[number], own)
            if classes and every((c, number) in facts.bulletins for c in classes):
                bulletins += int(bulletin["points"])
        own = {c for c in facts.roster.tutor_of if self.seminar_done(c, person.id)}
        classes = self.answered(person.id, facts.seminar_window, own)
        seminar = int(rules["seminar"]["points"]) if classes and every(map(self.seminar_done, classes)) else 0
        late = len(self.late.get(person.id, set()))
        limit = int(rules["marking"]["late_week"]["disqualify_at"])
        disqualified = late > limit if self.readings["disqualify"] == "more" else late >= limit
        total = marking + bulletins + seminar
        qualified = total >= rules["qualify_total"]
        trained = person.id in facts.prejob or self.readings["eligible_needs"] == "no_prejob"
        eligible = qualified and trained and not disqualified
        return [person.id, marking, bulletins, seminar, total, qualified, late, disqualified, eligible,
                eligible and person.id in facts.chosen]

    # -- Annex 4

    def did(self, task: str, person: Person) -> bool:
        score = self.trainees[person.id]
        if task == "login":
            key = self.facts.login.get(person.id)
            on_time = key is not None and self.scheme.calendar["login"].holds(key[0])
            return on_time or (key is not None and self.readings["login_on_time"] == "any")
        if task == "assignment":
            return person.id in self.facts.newest if self.readings["task_assignment"] == "any" else score.assignment > 0
        if task == "seminar":
            return score.seminar_earned
        flags = score.achieved if self.readings["task_phase"] == "achieved" else score.earned
        return flags[int(task.removeprefix("phase_")) - 1]

    def item(self, item: str, county: str, stage: str) -> bool:
        facts = self.facts
        if item == "plan":
            return (county, stage) in facts.plans
        if item == "results":
            return (county, stage) in facts.results
        held = [a for a in facts.activities.values() if (a.county, a.stage) == (county, stage)]
        if item == "activity":
            return bool(held)
        drop = facts.withdrawn if self.readings["scoring_withdrawn"] == "ignored" else {}
        scored = [who in a.scores for a in held for who in a.attended if who not in drop]
        return all(scored) and (bool(scored) or self.readings["scoring_none"] == "earned")

    def county(self, county: str) -> tuple[int, Fraction, Fraction]:
        """Active trainees, and the two parts in hundredths, not yet rounded."""
        people, rules = self.of_county.get(county, []), self.scheme.counselor
        if not people:
            return 0, Fraction(0), Fraction(0)
        tasks = rules["registration_login"]["tasks"]
        done = sum(self.did(task, p) for task in tasks for p in people)
        login = Fraction(100 * rules["registration_login"]["points"] * done, len(tasks) * len(people) or 1)
        present = {p.stage for p in people}
        stages = [s for s in rules["offline"]["stages"] if s in present or self.readings["stage_share"] == "all"]
        items = rules["offline"]["items"]
        if not stages or not items:
            return len(people), login, Fraction(0)
        earned = sum(self.item(i, county, s) for i in items for s in stages)
        return len(people), login, Fraction(100 * rules["offline"]["points"] * earned, len(items) * len(stages))

    def flat(self, county: str) -> bool:
        """SCORES_NOT_DISTINCT."""
        rule = self.scheme.trainee["offline"].get("distinct")
        if rule is None:
            return False
        reading = self.readings["distinct_of"]
        people = [p for p in (self.everyone if reading == "all_withdrawn" else self.active)
                  if p.county == county and self.adjusted.get((p.id, "offline"), p.id in self.offline_scores)]
        if reading == "best":
            values = {self.adjusted.get((p.id, "offline"), self.offline(p)) for p in people}
        else:
            values = {score for p in people for _, score in self.offline_scores.get(p.id, ())}
        return len(people) >= rule["from_participants"] and len(values) < rule["min_distinct_scores"]

    def counselor(self, person: Person) -> list[object] | None:
        count, login, offline = self.county(person.county)
        head = [person.id, person.county, count]
        if not count and self.readings["no_active"] != "zero":
            return None if self.readings["no_active"] == "omit" else head + ["NOT_APPLICABLE"] * 3 + [False]
        a, b = self.rounded(login), self.rounded(offline)
        total = half_up(login + offline) if self.readings["rounding"] == "total" else a + b
        return head + [two(a), two(b), two(total), self.flat(person.county)]

    def rounded(self, value: Fraction) -> int:
        return value.numerator // value.denominator if self.readings["rounding"] == "floor" else half_up(value)

    # -- the tables

    def trainee_rows(self) -> list[list[object]]:
        rows = []
        for p in self.active:
            s = self.trainees[p.id]
            rows.append([p.id, *s.phases, s.assignment, s.seminar, s.offline, s.total, s.passed, " ".join(s.reasons)])
        return rows

    def tutor_rows(self) -> list[list[object]]:
        kept_of = self.merged.kept_of(TUTOR)
        return [self.tutor(p) for p in self.facts.roster.role(TUTOR) if p.id not in kept_of]

    def counselor_rows(self) -> list[list[object]]:
        kept_of = self.merged.kept_of(COUNSELOR)
        own = [p for p in self.facts.roster.role(COUNSELOR) if p.id not in kept_of]
        return [row for p in own if (row := self.counselor(p)) is not None]


def half_up(value: Fraction) -> int:
    return (2 * value.numerator + value.denominator) // (2 * value.denominator)


def two(hundredths: int) -> str:
    return f"{hundredths // 100}.{hundredths % 100:02d}"
