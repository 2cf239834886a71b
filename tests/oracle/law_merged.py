"""Two ids of one person (persons.merged): what was recorded of both counts for the one that is kept, nothing twice. Who they are (place,
subject, absence) is what the kept id says. A fact is taken or refused by what is known of the id that it names, so everything here is read
behind what was taken, and it is no matter what was told first.

**Decided**: of submissions of both the newest counts, but for one that came when another had been graded excellent or pass; each is
marked where the id stood that handed it in. Study: `unite`. A tutor has the classes of all ids. A merge is of the role that both ids have; what either is beside that stays its own."""
from __future__ import annotations

from law_facts import Facts, standing
from law_roster import COUNSELOR, EXPERT, TRAINEE, TUTOR, Person
from law_scheme import SECOND
from law_study import Credit, Credited, Piece, Study
from law_things import Activity, Submission

ROLES = (TRAINEE, TUTOR, COUNSELOR, EXPERT)


class Merged:
    """For whom ids count, by role: a merge is of the one role that both ids have."""

    def __init__(self, merges: list[tuple[str, str]], facts: Facts) -> None:
        # By role and the id that is kept, those that count for it: nobody counts for who is nobody, and who is nobody counts for nobody.
        self.ids: dict[str, dict[str, tuple[str, ...]]] = {role: {} for role in ROLES}
        for kept, merged in merges:
            common = [role for role in ROLES if {(kept, role), (merged, role)} <= facts.roster.roles.keys()]
            for role in common if len(common) == 1 else ():
                others = self.ids[role].get(kept, ())
                self.ids[role][kept] = tuple(sorted({*others, merged}))

    def kept_of(self, role: str) -> dict[str, str]:
        """Of the other ids, for whom they count."""
        return {merged: kept for kept, others in self.ids[role].items() for merged in others}


def merge(facts: Facts, merged: Merged) -> None:
    """Lets facts count for the ids that are kept."""
    facts.ids = ids = merged.ids[TRAINEE]
    for kept, others in ids.items():
        logins = [facts.login[who] for who in (kept, *others) if who in facts.login]
        if logins:
            facts.login[kept] = min(logins)
        submissions(facts, facts.roster.people[kept], others)
    for activity in facts.activities.values():
        attended(activity, ids)
    guided(facts, merged.kept_of(TUTOR))


def guided(facts: Facts, kept_of: dict[str, str]) -> None:
    """What a tutor has, had, opened and published under any id, who was trained and who was chosen."""
    roster = facts.roster
    roster.tutor_of = {c: kept_of.get(who, who) for c, who in roster.tutor_of.items()}
    for before in roster.tutors_before.values():
        before[:] = [(until, kept_of.get(who, who)) for until, who in before]
    for seminar in facts.seminars.values():
        seminar.tutor = kept_of.get(seminar.tutor, seminar.tutor)
    facts.published = {what: kept_of.get(who, who) for what, who in facts.published.items()}
    for who, at in list(facts.prejob.items()):
        if who in kept_of:
            facts.prejob[kept_of[who]] = min(at, facts.prejob.get(kept_of[who], at))
    facts.chosen |= {kept_of[who] for who in facts.chosen if who in kept_of}


def submissions(facts: Facts, person: Person, others: tuple[str, ...]) -> None:
    """The newest of all ids counts."""
    window, reviewed = facts.counted(person, facts.submit_name), facts.counted(person, facts.review_name)
    all_ids = (person.id, *others)
    mine = sorted((s for s in facts.submissions.values() if s.author.id in all_ids), key=lambda s: (s.at, s.id))
    facts.newest.pop(person.id, None)
    counting: Submission | None = None
    for submission in mine:
        submission.counts_for = person
        if not window.holds(submission.at):
            submission.disregarded = True
            continue
        submission.superseded_at, submission.disregarded = None, False
        if counting is not None:
            before = Submission("", counting.author, counting.at, marks=[m for m in counting.marks if m[0] < submission.at])
            if standing(before, facts.readings) in ("excellent", "pass"):
                submission.disregarded = True
                continue
            counting.superseded_at = submission.at
        counting = submission
    for submission in mine:
        submission.marked_until = reviewed.end
    if counting is not None:
        facts.newest[person.id] = counting


def attended(activity: Activity, ids: dict[str, tuple[str, ...]]) -> None:
    """Who attended under two ids attended once, and the last score of either counts."""
    for kept, others in ids.items():
        there = [who for who in (kept, *others) if who in activity.attended]
        scored = [who for who in there if who in activity.scores]
        times = [activity.attended_at[who] for who in there]
        if times:
            activity.attended_at[kept] = min(times)
        activity.attended -= set(others)
        activity.attended |= {kept} if there else set()
        if scored:
            last = max(scored, key=lambda who: activity.scored_at[who])
            activity.scores[kept], activity.order[kept] = activity.scores[last], activity.order[last]
        for other in others:
            activity.scores.pop(other, None)


def unite(study: Study, kept: str, credits: dict[str, Credit]) -> Credit:
    """What counts of the study of all ids: what each was credited, in the order of its dates (of one moment: the kept id first), but
    for instants that are credited already, and within the caps. Of a course counts as much as its length of then, or as one id alone
    was credited of it, if that is more."""
    all_ids = (kept, *study.facts.ids[kept])
    own = {who: credits[who] for who in all_ids if who in credits}
    most: dict[str, int] = {}
    for credit in own.values():
        sums: dict[str, int] = {}
        for piece in credit.pieces:
            sums[piece.course] = sums.get(piece.course, 0) + piece.time
        for course, time in sums.items():
            most[course] = max(most.get(course, 0), -(-time // SECOND))
    pieces: list[tuple[int, int, str, str, int, Piece]] = []
    for place, who in enumerate(all_ids):
        for piece in own[who].pieces if who in own else ():
            pieces.append((piece.at, place, piece.session, piece.course, piece.time, piece))
    pieces.sort(key=lambda row: row[:5])
    united, credited, days = Credit(), Credited(), {}
    windows, scheme = study.windows(kept, whole=True), study.scheme
    for at, _, _, course, _, piece in pieces:
        terms = study.courses[course].at(at)
        entries = study.entries(windows, terms.category, at)
        free = [part for first, end in piece.spans for part in credited.free(first, end)]
        room = sum(end - first for first, end in free) if piece.spans else piece.time
        if scheme.cap_course:
            room = min(room, max(terms.seconds, most[course]) * SECOND - united.by_course.get(course, 0))
        day = scheme.day_bounds(at)[0]
        if scheme.daily_cap:
            room = min(room, scheme.daily_cap * SECOND - days.get(day, 0))
        if not entries or room <= 0:
            continue
        study.mark(credited, free, room) if piece.spans else None
        days[day] = days.get(day, 0) + room
        united.by_course[course] = united.by_course.get(course, 0) + room
        united.dated.append((at, course, entries, room))
    return united
