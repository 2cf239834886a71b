"""Where the law can be read in two ways: each reading has a name, the value
taken, and the other values that can be tried (`oracle.py --reading name=value`).
`try_readings.py` runs every alternative over seasons whose answer is known."""
from __future__ import annotations

# name -> (taken, alternatives, question)
READINGS: dict[str, tuple[str, tuple[str, ...], str]] = {
    "free_part": ("last", ("first",), "less than the free time may be credited (course, day): the last part of it, or the first"),
    "window_edge": ("whole", ("cut",), "is an interval cut at the window's first moment"),
    "overlap": ("learner", ("none", "mark"), "credited time is a set of intervals over all sessions of the learner / every session by itself / all before the latest credit"),
    "exact": ("micros", ("seconds",), "time is exact, or whole seconds of every heartbeat"),
    "gap": ("max", ("zero",), "a gap above the maximum credits the maximum, or nothing"),
    "outside_eats_course": ("no", ("yes",), "does study outside the windows use up the course's length"),
    "completion_scope": ("window", ("all",), "completion counts credit of this window, or of all windows"),
    "mainline_scope": ("applicable", ("all",), "main-line courses that apply to the trainee, or all of them"),
    "refused_opens": ("no", ("yes",), "does a refused heartbeat open the session (or move its previous)"),
    "study_needs_login": ("yes", ("no",), "study needs the learner logged in"),
    "study_needs_open": ("yes", ("no",), "study needs the county opened"),
    "select_needs_open": ("no", ("yes",), "does course.selected need an opened county and a login"),
    "login_needs_open": ("no", ("yes",), "does a login need the county opened"),
    "class_needs_login": ("no", ("yes",), "do submissions and posts need a login"),
    "previous": ("achieved", ("earned",), "requires_previous looks at the entry before: achieved, or earned (a chain)"),
    "missed_reason": ("own_first", ("previous_first",), "a phase neither achieved nor preceded: which reason"),
    "return_after_grade": ("return", ("grade",), "graded, then returned: the return counts, or the grade stays"),
    "graded_blocks": ("current", ("ever", "any_grade"), "what blocks a newer submission: the present grade is excellent/pass, it ever was, or any grade"),
    "window_before_graded": ("yes", ("no",), "late and already graded: WINDOW_CLOSED, or ALREADY_GRADED"),
    "fail_reason": ("grade", ("points",), "GRADED_FAIL whenever the grade is fail, or only when it earns 0"),
    "space3000": ("0", ("1",), "U+3000 (width F, but blank) in the count of characters"),
    "width_a": ("run", ("one",), "characters of East Asian width A: part of a run, or one each"),
    "count": ("words", ("chars", "nonblank"), "count as 字数, or all characters, or all non-blank ones"),
    "late_edge": ("exclusive", ("inclusive",), "is a review exactly at Monday 00:00 + grace in time"),
    "late_from": ("week", ("date",), "the week that holds `from` counts whole, or from that date"),
    "late_returned": ("ok", ("late",), "does a return keep a week from being late"),
    "late_superseded": ("by_deadline", ("any_time", "no"), "a superseded submission is not late if superseded by the deadline / ever / never"),
    "late_withdrawn": ("by_deadline", ("any_time", "no"), "withdrawn author, unmarked: not late if withdrawn by the deadline / at any time / late all the same"),
    "disqualify": ("at_least", ("more",), "disqualified at N late weeks, or above N"),
    "marking_withdrawn": ("not_owed", ("owed",), "unmarked submissions of the withdrawn in the marking item"),
    "marking_return": ("counts", ("no",), "does a return satisfy marking"),
    "post_withdrawn": ("counts", ("no",), "does the post of a trainee who withdrew later satisfy the tutor's seminar"),
    "distinct_of": ("best", ("all_last", "all_withdrawn"), "distinct scores over: best score of each active trainee / every activity's last score / the withdrawn too"),
    "task_phase": ("earned", ("achieved",), "the counselor's phase task: EARNED, or achieved"),
    "task_assignment": ("any", ("graded",), "the counselor's assignment task: any accepted submission, or an earned item"),
    "active_withdrawn": ("no", ("yes",), "do withdrawn trainees stay in the counselor's rates"),
    "scoring_withdrawn": ("ignored", ("counted",), "attendance of trainees who withdrew later in the scoring item"),
    "scoring_none": ("missed", ("earned",), "no attendance at all: is the scoring item earned"),
    "stage_share": ("active", ("all",), "offline items are shared by the stages with active trainees, or by all of the scheme"),
    "rounding": ("parts", ("total", "floor"), "half up at each part / once at the total / floor"),
    "offline_best": ("best", ("last", "sum_cap"), "several activities: best / last scored / sum up to the maximum"),
    "score_counts": ("last", ("max", "first"), "several scores of one attendee in one activity"),
    "min_characters": ("at_least", ("more",), "a post of exactly min_characters"),
    "pass_total": ("at_least", ("more",), "a total of exactly pass_total"),
    "course_cap": ("scheme", ("none",), "a course is credited up to its length"),
    "phase_by": ("either", ("minutes", "mainline"), "a phase is achieved by minutes or main-line courses / one of the two only"),
    "login_on_time": ("window", ("any",), "the counselor's login task: inside the login window, or ever"),
    "plan_window": ("reporting_to_offline", ("offline",), "plans: from the opening of reporting, or in the offline window"),
    "marking_superseded": ("no", ("owed",), "does a superseded unmarked submission fail the marking item"),
    "eligible_needs": ("all", ("no_prejob",), "eligible needs pre-job training"),
    "no_active": ("token", ("omit", "zero"), "row of a county without active trainees: NOT_APPLICABLE / no row / 0.00"),
    "two_classes": ("each", ("any",), "a bulletin or seminar of a tutor of two classes: in each class, or in any"),
}


class Readings(dict):
    """name -> value; defaults unless overridden."""

    def __init__(self, overrides: dict[str, str] | None = None) -> None:
        super().__init__({name: row[0] for name, row in READINGS.items()})
        for name, value in (overrides or {}).items():
            if name not in READINGS or value not in (READINGS[name][0], *READINGS[name][1]):
                raise SystemExit(f"unknown reading {name}={value}")
            self[name] = value
