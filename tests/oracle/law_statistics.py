"""What trainees add up to at the end, side by side by everything that tells them apart (scoring.md, Annexes 2 to 4 of each of them)."""
from __future__ import annotations

from collections import Counter

from law_facts import standing
from law_roster import Person
from law_scores import Scores

GRADES = {"excellent": "excellent", "pass": "graded_pass", "fail": "graded_fail"}
Counts = dict[tuple[str, str], Counter]


class Statistics:
    """Every figure of every row, by what it is told apart and whose it is."""

    def __init__(self, scores: Scores) -> None:
        self.scores, self.facts = scores, scores.facts
        self.counts: Counts = {}
        for person in scores.active:
            for row in self.rows_of(person, person.county, person.stage):
                row.update(self.figures(person))
        self.attendances()
        self.late_weeks()

    def row(self, by: str, key: str) -> Counter:
        return self.counts.setdefault((by, key), Counter())

    def rows_of(self, person: Person, county: str, stage: str) -> list[Counter]:
        """The rows in which somebody counts for something of a county and an education stage: their own, or those of an activity."""
        return [self.row("all", ""), self.row("city", self.city(county)), self.row("county", county), self.row("education_stage", stage),
                self.row("school", person.school), self.row("class", person.class_id), self.row("subject", self.subject(person)),
                self.row("development_stage", person.development)]

    def city(self, county: str) -> str:
        return self.facts.roster.above.get(county, "")

    @staticmethod
    def subject(person: Person) -> str:
        """Of several subjects each once, in one order, however they were written."""
        from law_roster import subjects
        return "、".join(sorted(subjects(person.subject)))

    def figures(self, person: Person) -> Counter:
        scores, score = self.scores, self.scores.trainees[person.id]
        out = Counter({"active": 1, f"total:{score.total}": 1})
        out["logged_in"] = person.id in self.facts.login
        out["logged_in_on_time"] = scores.did("login", person)
        for number, earned in enumerate(score.earned, 1):
            out[f"phase_{number}"] = bool(earned)
        newest = self.facts.newest.get(person.id)
        out["submitted"] = newest is not None
        grade = standing(newest, scores.readings) if newest else ""
        if grade in GRADES:
            out["marked"] = out[GRADES[grade]] = 1
        out["seminar_earned"] = score.seminar_earned
        if scores.adjusted.get((person.id, "offline"), person.id in scores.offline_scores):
            out[f"offline:{score.offline}"] = 1
        out["passed"] = score.passed
        return out

    def attendances(self) -> None:
        """Attendances count where the activity was, of the active."""
        active = {person.id: person for person in self.scores.active}
        for activity in self.facts.activities.values():
            for who in activity.attended & active.keys():
                for row in self.rows_of(active[who], activity.county, activity.stage):
                    row["attended"] += 1
                    row["attendance_scored"] += who in activity.scores

    def late_weeks(self) -> None:
        """The weeks of a class in which work waited too long, whoever had it; of a region those of its classes, as their trainees stood
        then. A school, a subject and a stage have no tutor and so no late weeks."""
        for class_id, week in {(class_id, week) for _, class_id, week in self.scores.late_in if class_id}:
            self.row("class", class_id)["late_weeks"] += 1
        for county, class_id, _ in self.scores.late_in:
            if class_id:
                for row in (self.row("all", ""), self.row("city", self.city(county)), self.row("county", county)):
                    row["late_weeks"] += 1

    def table(self) -> list[list[object]]:
        out: list[list[object]] = []
        for (by, key), counts in self.counts.items():
            active, passed = counts["active"], counts["passed"]
            points = sum(int(name.removeprefix("total:")) * count for name, count in counts.items() if name.startswith("total:"))
            shown = dict(counts)
            shown["passed_share"] = passed * 10_000 // active if active else 0
            shown["average_hundredths"] = (200 * points + active) // (2 * active) if active else 0
            out += [[by, key, name, int(count)] for name, count in shown.items() if count]
        return sorted(out, key=lambda row: [str(cell) for cell in row[:3]])
