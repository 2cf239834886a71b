"""What duties of Annex 1 rest on in an amended season (`amend.py`) and no score does: staff log in, cities compile their rosters, and whoever
bears a duty that no other fact shows tells that it was done, in time or late; some of that is sent back and some falls again.

Whom evidence names is nobody to whom anything happens: whether it is taken does not depend on what was told before."""
from __future__ import annotations

import csv
import random
from pathlib import Path

from law_duties import Duty, duties
from law_roster import COUNSELOR, EXPERT, LEAD, TRAINEE, TUTOR
from law_scheme import instant

Event = dict
DAY = 86_400_000_000
TOLD, AGAIN, SENT_BACK, RETRACTED = 0.6, 0.2, 0.2, 0.15
LOGGED_IN = 0.7  # of the staff
DETERMINED = "TRAIN-COUNSELOR-OFFLINE-COURSE"


class Duties:
    """`season` is amend.py's: it has the events, who there is, and how instants are had and written."""

    def __init__(self, season, roster: Path, dice: random.Random) -> None:
        self.season, self.dice, self.scheme = season, dice, season.decisions.scheme
        with (roster / "people.csv").open(encoding="utf-8", newline="") as file:
            self.people = list(csv.DictReader(file))
        self.out: list[tuple[int, Event]] = []

    def of(self, role: str) -> list[dict[str, str]]:
        return [row for row in self.people if row["role"] == role]

    def say(self, at: int, event: Event) -> None:
        self.out.append((at, {"at": self.season.text(at), **event}))

    def tell(self, added: list[tuple[int, Event]], gone: set[str]) -> list[tuple[int, Event]]:
        turned = gone | {who for _, e in added for who in (e.get("person"), e.get("merged")) if who}
        self.staff()
        for duty in duties():
            if not duty.fact and duty.stage in self.scheme.calendar:
                for bearer in self.bearers(duty):
                    self.evidence(duty, bearer, turned, added)
        return self.out

    def staff(self) -> None:
        first = self.scheme.calendar["login"].first
        for role in (TUTOR, EXPERT):
            for row in self.of(role):
                if self.dice.random() < LOGGED_IN:
                    at = self.season.moment(first, first + 9 * DAY)
                    self.say(at, {"type": "person.logged_in", "person": row["person_id"]})
        reported = [instant(e["at"]) for e in self.season.events if e["type"] == "roster.reported"]
        for row in self.of(LEAD):
            at = self.season.moment(max(reported), max(reported) + 9 * DAY)
            self.say(at, {"type": "roster.compiled", "city": row["county_code"], "lead": row["person_id"]})

    def bearers(self, duty: Duty) -> list[Event]:
        match duty.role:
            case "trainee" | "class_tutor" | "subject_expert":
                return [{"person": row["person_id"]} for row in self.of(duty.role)]
            case "county_counselor":
                return [{"region": code} for code in sorted(self.season.above)]
            case "municipal_lead":
                return [{"region": row["county_code"]} for row in self.of(LEAD)[:1]]
        return [{}]

    def evidence(self, duty: Duty, bearer: Event, turned: set[str], added: list[tuple[int, Event]]) -> None:
        """Each county determines its offline course early: nobody can select one before."""
        early = duty.code == DETERMINED
        for _ in range(1 + (self.dice.random() < AGAIN)):
            if not early and self.dice.random() >= TOLD:
                continue
            window = self.scheme.calendar["reporting" if early else duty.stage]
            low = self.scheme.calendar["phase_1"].end if duty.role == TRAINEE else window.first
            at = self.season.moment(low, max(window.end, low) + 5 * DAY)
            about = self.about(duty, bearer, turned, added, at)
            if about is None or at >= self.season.end:
                continue
            name = f"d{len(self.out)}"
            self.say(at, {"type": "evidence.submitted", **bearer, "duty": duty.code, "text": "已完成", "about": about, "fact": name})
            if early:
                continue
            # A season is told by the institution, whose own evidence nobody but the province sends back.
            if self.dice.random() < SENT_BACK and bearer:
                later = self.season.moment(at, at + 9 * DAY)
                self.say(later, {"type": "evidence.sent_back", **bearer, "evidence": name, "reason": "材料不全"})
            elif self.dice.random() < RETRACTED:
                told = self.season.moment(at, max(at + DAY, self.season.last))
                self.say(told, {"type": "fact.retracted", "source": "assessment-decisions", "retracts": name, "reason": "登记有误"})

    def about(self, duty: Duty, bearer: Event, turned: set[str], added: list[tuple[int, Event]], at: int) -> list[str] | None:
        """Whom evidence names; None where there is nobody to name."""
        ended = {code for _, code in self.season.ended} | {e["into"] for _, e in added if "into" in e}
        quiet = [row["person_id"] for row in self.of(TUTOR) if row["person_id"] not in turned and row["county_code"] not in ended]
        match duty.code:
            case "REPORT-MUNICIPAL-RECOMMEND":
                return quiet[:2] or None
            case "REPORT-INSTITUTION-STAFF":
                return [quiet[0], self.of(EXPERT)[0]["person_id"]] if quiet and self.of(EXPERT) else None
            case "ASSESS-TUTOR-RECOMMEND":
                replaced = {e["class"] for _, e in added if e["type"] == "tutor.replaced"} | ended
                own = [c for c, row in self.season.classes.items() if row["tutor_id"] == bearer["person"] and c not in replaced]
                members = [row["person_id"] for row in self.of(TRAINEE) if row["class_id"] in own and row["person_id"] not in turned]
                return members[:1] or None
        return []
