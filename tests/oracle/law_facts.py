"""Every event but study, in the order (time, line): what is accepted, what is
refused and why (seasons/README.md "Events", "Reasons"). Study is in law_study.py:
nothing here depends on it."""
from __future__ import annotations

import law_text
from law_readings import Readings
from law_roster import COUNSELOR, EXPERT, LEAD, TRAINEE, TUTOR, Person, Roster
from law_scheme import Scheme, Window
from law_things import Activity, Evidence, Seminar, Submission
from law_windows import Windows

Key = tuple[int, int]  # (instant, line)
Told = tuple[int, int, int]  # (instant, when it was told, line)


class Refused(Exception):
    """The one cause for which a line is refused."""


class Facts:
    def __init__(self, scheme: Scheme, roster: Roster, readings: Readings, windows: Windows | None = None) -> None:
        self.scheme, self.roster, self.readings = scheme, roster, readings
        self.windows = windows
        self.told, self.at, self.line = 0, 0, 0
        self.causes: list[str] = []
        self.ambiguous: dict[int, list[str]] = {}  # lines with several causes
        self.reported: dict[str, int] = {}
        self.compiled: dict[str, int] = {}
        self.remittances: dict[tuple[str, str], bool] = {}
        self.sent: dict[tuple[str, str], int] = {}
        self.confirmed: dict[tuple[str, str], int] = {}
        self.invoiced: dict[tuple[str, str], int] = {}
        self.opened: dict[str, Key] = {}
        self.login: dict[str, Key] = {}
        self.selected: dict[tuple[str, str], list[Told]] = {}
        self.withdrawn: dict[str, Key] = {}  # who is away, since when
        self.absences: dict[str, list[tuple[Key, Key]]] = {}  # who was away and came back
        self.prejob: dict[str, int] = {}
        self.chosen: set[str] = set()
        self.choices: list[tuple[int, str]] = []  # when which expert chose somebody
        self.evidence: list[Evidence] = []
        self.sent_back: dict[str, int] = {}  # which evidence, since when
        self.submissions: dict[str, Submission] = {}
        self.newest: dict[str, Submission] = {}
        self.seminars: dict[str, Seminar] = {}
        self.bulletins: dict[tuple[str, int], int] = {}
        self.published: dict[tuple[str, int], str] = {}  # by whom
        self.plans: dict[tuple[str, str], int] = {}
        self.results: dict[tuple[str, str], int] = {}
        self.activities: dict[str, Activity] = {}
        self.ids: dict[str, tuple[str, ...]] = {}  # by the id that is kept: the others of the same person (law_merged)
        assignment = scheme.trainee["assignment"]
        self.submit_name, self.review_name = assignment["window"], assignment["review_until"]
        self.post_name = scheme.trainee["seminar"]["window"]
        self.review_end = scheme.calendar[self.review_name].end
        self.seminar_window = scheme.calendar[scheme.tutor["seminar"]["window"]]
        self.offline_window = scheme.calendar[scheme.counselor["offline"]["window"]]
        self.score_window = scheme.calendar[scheme.trainee["offline"]["window"]]
        self.bulletin_windows = {int(b["number"]): scheme.calendar[b["window"]] for b in scheme.tutor.get("bulletin", ())}

    def take(self, told: int, at: int, line: int, event: dict) -> str | None:
        """Applies one event, in the order in which they happened; returns the reason if it is refused."""
        self.told, self.at, self.line, self.causes = told, at, line, []
        try:
            getattr(self, "on_" + event["type"].replace(".", "_"))(event)
        except Refused as refused:
            self.causes += refused.args
            if len(set(self.causes)) > 1:
                self.ambiguous[line] = self.causes
            return self.causes[0]
        return None

    def no(self, cause: str) -> None:
        """A cause to refuse; the first one counts, the others are kept to check that there is only one."""
        self.causes.append(cause)

    def accept(self) -> None:
        """Called when every check is made, before anything is written."""
        if self.causes:
            raise Refused()

    def within(self, window: Window) -> None:
        if self.at < window.first:
            self.no("WINDOW_NOT_OPEN")
        elif self.at >= window.end:
            self.no("WINDOW_CLOSED")

    def own(self, person: Person, name: str) -> Window:
        """A window as a trainee has it."""
        return self.windows.of(person, name) if self.windows else self.scheme.calendar[name]

    def counted(self, person: Person, name: str) -> Window:
        """A window as it decides what counts for a trainee: with what was granted to any of their ids."""
        return self.windows.of(person, name, self.ids.get(person.id, ())) if self.windows else self.scheme.calendar[name]

    # -- who and what

    def person(self, who: str, role: str) -> Person:
        found = self.roster.roles.get((who, role))
        if found is None:
            raise Refused("NOT_FOUND")
        return found

    def whoever(self, who: str) -> Person:
        """Somebody, whose log-in is that of all their roles; who has no role but that of a trainee is refused while they are away."""
        roles = [person for (other, _), person in self.roster.roles.items() if other == who]
        return roles[0] if any(person.role != TRAINEE for person in roles) else self.trainee(who)

    def trainee(self, who: str) -> Person:
        found = self.person(who, TRAINEE)
        if found.id in self.withdrawn:
            self.no("WITHDRAWN")
        return found

    def county(self, code: str) -> str:
        if code not in self.roster.counties:
            raise Refused("NOT_FOUND")
        return code

    def counselor(self, who: str, county: str) -> None:
        if self.person(who, COUNSELOR).county != county:
            self.no("NOT_COUNTY_COUNSELOR")

    def class_tutor(self, who: str, class_id: str) -> None:
        if self.roster.tutor_of[class_id] != self.person(who, TUTOR).id:
            self.no("NOT_CLASS_TUTOR")

    def klass(self, class_id: str) -> str:
        if class_id not in self.roster.tutor_of:
            raise Refused("NOT_FOUND")
        return class_id

    def is_open(self, person: Person) -> bool:
        return person.county in self.opened and person.id in self.login

    # -- enrollment

    def on_roster_reported(self, e: dict) -> None:
        self.counselor(e["counselor"], self.county(e["county"]))
        self.within(self.scheme.calendar["reporting"])
        self.accept()
        self.reported.setdefault(e["county"], self.at)

    def on_roster_compiled(self, e: dict) -> None:
        lead = self.person(e["lead"], LEAD)
        if lead.county != e["city"]:
            raise Refused("NOT_FOUND")
        if not any(self.roster.above.get(county) == e["city"] for county in self.reported):
            self.no("NOT_REPORTED")
        self.accept()
        self.compiled.setdefault(e["city"], self.at)

    def on_remittance_sent(self, e: dict) -> None:
        self.accept()
        self.remittances.setdefault((self.county(e["county"]), e["ref"]), False)
        self.sent.setdefault((e["county"], e["ref"]), self.at)

    def on_remittance_confirmed(self, e: dict) -> None:
        if (self.county(e["county"]), e["ref"]) not in self.remittances:
            raise Refused("NOT_FOUND")
        self.accept()
        self.remittances[e["county"], e["ref"]] = True
        self.confirmed.setdefault((e["county"], e["ref"]), self.at)

    def on_invoice_issued(self, e: dict) -> None:
        if not self.remittances.get((self.county(e["county"]), e["ref"])):
            self.no("NOT_REMITTED")
        self.accept()
        self.invoiced.setdefault((e["county"], e["ref"]), self.at)

    def on_learning_opened(self, e: dict) -> None:
        county = self.county(e["county"])
        if county not in self.reported:
            self.no("NOT_REPORTED")
        if not any(done for (code, _), done in self.remittances.items() if code == county):
            self.no("NOT_REMITTED")
        self.accept()
        self.opened.setdefault(county, (self.at, self.line))

    def on_person_logged_in(self, e: dict) -> None:
        person = self.whoever(e["person"])
        if self.at < self.scheme.calendar["login"].first:
            self.no("WINDOW_NOT_OPEN")
        if self.readings["login_needs_open"] == "yes" and person.county not in self.opened:
            self.no("LEARNING_NOT_OPEN")
        self.accept()
        self.login.setdefault(person.id, (self.at, self.line))

    def on_prejob_attended(self, e: dict) -> None:
        if not any(who == e["person"] and role != TRAINEE for who, role in self.roster.roles):
            raise Refused("NOT_FOUND")
        self.accept()
        self.prejob.setdefault(e["person"], self.at)

    def on_trainee_withdrawn(self, e: dict) -> None:
        person = self.trainee(e["person"])
        self.accept()
        self.withdrawn[person.id] = (self.at, self.line)

    def on_trainee_returned(self, e: dict) -> None:
        person = self.person(e["person"], TRAINEE)
        since = self.withdrawn.get(person.id)
        if since is None or since[0] >= self.at:
            self.no("NOT_WITHDRAWN")
        self.accept()
        self.absences.setdefault(person.id, []).append((self.withdrawn.pop(person.id), (self.at, self.line)))

    def on_trainee_transferred(self, e: dict) -> None:
        person = self.trainee(e["person"])
        self.county(e["county"])
        self.klass(e["class"])
        if ("class", e["class"]) in self.roster.merged or ("region", e["county"]) in self.roster.merged:
            self.no("PLACE_CLOSED")
        self.accept()
        person.school = e.get("school", person.school)
        if (person.county, person.class_id) != (e["county"], e["class"]):
            person.moves(self.at, e["county"], e["class"])

    def on_place_merged(self, e: dict) -> None:
        """A school's is no score's, and neither is a name; statistics are told by school too."""
        if e["kind"] == "school":
            self.roster.merges_school(e["code"], e["into"])
        there = {"region": self.roster.counties, "class": self.roster.tutor_of}.get(e["kind"])
        if there is None:
            return
        if e["code"] not in there or e["into"] not in there:
            raise Refused("NOT_FOUND")
        if (e["kind"], e["code"]) in self.roster.merged or (e["kind"], e["into"]) in self.roster.merged:
            self.no("PLACE_CLOSED")
        self.accept()
        self.roster.merges(self.at, e["kind"], e["code"], e["into"])

    def on_place_renamed(self, e: dict) -> None:
        pass

    def on_tutor_replaced(self, e: dict) -> None:
        self.klass(e["class"])
        if ("class", e["class"]) in self.roster.merged:
            self.no("PLACE_CLOSED")
        self.accept()
        if self.roster.tutor_of[e["class"]] != e["tutor"]:
            self.roster.replaces(self.at, e["class"], e["tutor"])

    def was_away(self, who: str, deadline: int) -> bool:
        """Whether a trainee was away just before a deadline."""
        since = self.withdrawn.get(who)
        if since is not None and since[0] < deadline:
            return True
        return any(left[0] < deadline <= back[0] for left, back in self.absences.get(who, ()))

    def on_course_selected(self, e: dict) -> None:
        person = self.trainee(e["person"])
        course = self.roster.courses.get(e["course"])
        if course is None:
            raise Refused("NOT_FOUND")
        if self.readings["select_needs_open"] == "yes" and not self.is_open(person):
            self.no("LEARNING_NOT_OPEN")
        terms = course.at(self.at)
        if terms.retired:
            self.no("COURSE_RETIRED")
        elif not terms.applies_to(person):
            self.no("COURSE_NOT_APPLICABLE")
        self.accept()
        self.selected.setdefault((person.id, course.id), []).append((self.at, self.told, self.line))

    # -- assignments

    def on_assignment_submitted(self, e: dict) -> None:
        author = self.trainee(e["person"])
        self.needs_login(author)
        if e["kind"] not in self.scheme.trainee["assignment"]["kinds"]:
            self.no("INVALID_KIND")
        older = self.newest.get(author.id)
        window = self.own(author, self.submit_name)
        if self.readings["window_before_graded"] == "yes":
            self.within(window)
        self.supersedable(older)
        self.within(window)
        if e["submission"] in self.submissions:
            self.no("ALREADY_EXISTS")
        self.accept()
        if older is not None:
            older.superseded_at = self.at
        new = Submission(e["submission"], author, self.at)
        self.submissions[new.id] = self.newest[author.id] = new

    def needs_login(self, person: Person) -> None:
        if self.readings["class_needs_login"] == "yes" and person.id not in self.login:
            self.no("LEARNING_NOT_OPEN")

    def supersedable(self, older: Submission | None) -> None:
        if older is None:
            return
        grades = older.grades()
        if self.readings["graded_blocks"] == "current":
            grades = [standing(older, self.readings)]
        elif self.readings["graded_blocks"] == "any_grade" and grades:
            self.no("ALREADY_GRADED")
        if "excellent" in grades or "pass" in grades:
            self.no("ALREADY_GRADED")

    def mark(self, e: dict, mark: str) -> None:
        self.person(e["tutor"], TUTOR)
        submission = self.submissions.get(e["submission"])
        if submission is None:
            raise Refused("NOT_FOUND")
        self.class_tutor(e["tutor"], submission.author.class_id)
        if submission.author.id == e["tutor"]:
            self.no("NOT_CLASS_TUTOR")  # nobody marks their own work
        if submission.author.id in self.withdrawn:
            self.no("WITHDRAWN")
        if self.at >= self.own(submission.author, self.review_name).end:
            self.no("WINDOW_CLOSED")
        if submission.superseded_at is not None:
            self.no("SUPERSEDED")
        if law_text.blank(e["comment"]):
            self.no("COMMENT_REQUIRED")
        self.accept()
        submission.marks.append((self.at, mark))

    def on_assignment_reviewed(self, e: dict) -> None:
        self.mark(e, e["grade"])

    def on_assignment_returned(self, e: dict) -> None:
        self.mark(e, "returned")

    # -- seminars, bulletins

    def on_seminar_opened(self, e: dict) -> None:
        self.class_tutor(e["tutor"], self.klass(e["class"]))
        self.within(self.seminar_window)
        if e["seminar"] in self.seminars:
            self.no("ALREADY_EXISTS")
        self.accept()
        self.seminars[e["seminar"]] = Seminar(e["class"], self.at, e["tutor"])

    def seminar(self, e: dict) -> Seminar:
        if e["seminar"] not in self.seminars:
            raise Refused("NOT_FOUND")
        return self.seminars[e["seminar"]]

    def on_seminar_summarised(self, e: dict) -> None:
        self.person(e["tutor"], TUTOR)
        seminar = self.seminar(e)
        self.class_tutor(e["tutor"], seminar.class_id)
        self.within(self.seminar_window)
        self.accept()
        seminar.summarised_at = self.at

    def on_seminar_posted(self, e: dict) -> None:
        person = self.trainee(e["person"])
        self.needs_login(person)
        seminar = self.seminar(e)
        if person.class_id != seminar.class_id:
            self.no("NOT_CLASS_MEMBER")
        self.within(self.own(person, self.post_name))
        wanted = self.scheme.trainee["seminar"]["min_characters"] + (self.readings["min_characters"] == "more")
        if law_text.count(e["text"], self.readings) < wanted:
            self.no("TEXT_TOO_SHORT")
        self.accept()
        seminar.posts.append((self.at, person.id))

    def on_bulletin_published(self, e: dict) -> None:
        self.class_tutor(e["tutor"], self.klass(e["class"]))
        if e["number"] not in self.bulletin_windows:
            raise Refused("NOT_FOUND")
        self.within(self.bulletin_windows[e["number"]])
        if (e["class"], e["number"]) in self.bulletins:
            self.no("ALREADY_EXISTS")
        self.accept()
        self.bulletins[e["class"], e["number"]] = self.at
        self.published[e["class"], e["number"]] = e["tutor"]

    # -- offline

    def on_offline_plan_submitted(self, e: dict) -> None:
        self.counselor(e["counselor"], self.county(e["county"]))
        early = self.readings["plan_window"] == "reporting_to_offline"
        first = self.scheme.calendar["reporting"].first if early else self.offline_window.first
        self.within(Window(first, self.offline_window.end))
        self.accept()
        self.plans.setdefault((e["county"], e["education_stage"]), self.at)

    def on_offline_results_submitted(self, e: dict) -> None:
        self.counselor(e["counselor"], self.county(e["county"]))
        self.within(self.offline_window)
        self.accept()
        self.results.setdefault((e["county"], e["education_stage"]), self.at)

    def on_offline_activity_held(self, e: dict) -> None:
        self.counselor(e["counselor"], self.county(e["county"]))
        self.within(self.offline_window)
        if e["activity"] in self.activities:
            self.no("ALREADY_EXISTS")
        self.accept()
        self.activities[e["activity"]] = Activity(e["county"], e["education_stage"], self.at)

    def activity(self, e: dict) -> Activity:
        self.person(e["counselor"], COUNSELOR)
        if e["activity"] not in self.activities:
            raise Refused("NOT_FOUND")
        activity = self.activities[e["activity"]]
        self.counselor(e["counselor"], self.roster.stands_for("region", activity.county))
        return activity

    def on_offline_attended(self, e: dict) -> None:
        activity = self.activity(e)
        self.within(self.offline_window)
        people = [self.trainee(who) for who in e["persons"]]
        county = self.roster.stands_for("region", activity.county)
        if any(p.county != county or p.stage != activity.stage for p in people):
            self.no("NOT_COUNTY_TRAINEE")
        self.accept()
        activity.attended.update(p.id for p in people)
        for person in people:
            activity.attended_at.setdefault(person.id, self.at)

    def on_offline_scored(self, e: dict) -> None:
        activity = self.activity(e)
        person = self.trainee(e["person"])
        self.within(self.score_window)
        if person.id not in activity.attended:
            self.no("NOT_ATTENDED")
        rule = self.scheme.trainee["offline"]
        score = int(e["score"])
        if score != e["score"] or not rule["min_score"] <= score <= rule["max_score"]:
            self.no("SCORE_OUT_OF_RANGE")
        self.accept()
        had = activity.scores.get(person.id)
        keep = {"last": score, "first": score if had is None else had, "max": max(score, had or 0)}
        activity.scores[person.id] = keep[self.readings["score_counts"]]
        activity.order[person.id] = self.line
        activity.scored_at[person.id] = self.at

    # -- experts

    def on_tutor_chosen(self, e: dict) -> None:
        self.person(e["expert"], EXPERT)
        self.chosen.add(self.person(e["tutor"], TUTOR).id)
        self.choices.append((self.at, e["expert"]))

    # -- duties that nothing but their bearer tells of (what they must name beside that is the product's to refuse: a season has none such)

    def on_evidence_submitted(self, e: dict) -> None:
        if "person" in e and (e["person"], TRAINEE) in self.roster.roles and e["duty"].split("-")[1] == "TRAINEE":
            self.trainee(e["person"])
        self.accept()
        self.evidence.append(Evidence(e["fact"], e["duty"], self.at, e.get("person", ""), e.get("region", "")))

    def on_evidence_sent_back(self, e: dict) -> None:
        self.accept()
        self.sent_back.setdefault(e["evidence"], self.at)


def standing(submission: Submission, readings: Readings) -> str:
    """What the submission stands at: a grade, "returned" or "" (nothing yet)."""
    if readings["return_after_grade"] == "grade" and submission.grades():
        return submission.grades()[-1]
    counted = submission.counted()
    return counted[-1][1] if counted else ""
