//! Schemes that are read, and schemes that are refused with line, key and cause.

use shipei_rules::scheme::{Scheme, Task};

use crate::support::{QINHUANGDAO, at, changed, qinhuangdao};

#[test]
fn scheme_of_qinhuangdao_is_read_in_full() {
    let scheme = qinhuangdao();
    assert_eq!(scheme.id.as_str(), "qinhuangdao-2019");
    assert_eq!(scheme.region.as_str(), "130300");
    assert_eq!(scheme.windows.len(), 10);
    assert_eq!(scheme.period("phase_1").unwrap().from, at("2019-09-15T00:00:00"));
    assert_eq!(scheme.period("phase_1").unwrap().until, at("2019-10-31T00:00:00"));
    assert_eq!(scheme.period("phase_9"), None);
    assert_eq!(scheme.study.daily_cap_seconds, None);
    assert_eq!(scheme.trainee.online[1].required_seconds, 60_000);
    assert!(scheme.trainee.online[1].requires_previous && !scheme.trainee.online[0].requires_previous);
    assert_eq!(scheme.trainee.assignment.review_until, at("2019-12-21T00:00:00"));
    assert_eq!(scheme.trainee.assignment.kinds.len(), 4);
    assert_eq!(scheme.tutor.bulletins.len(), 3);
    assert_eq!(scheme.counselor.registration_login.tasks[2], Task::Phase(1));
    assert_eq!(scheme.plan_period().from, at("2019-07-15T00:00:00"));
    assert_eq!(scheme.plan_period().until, at("2019-12-11T00:00:00"));
    assert_eq!(scheme.final_as_of(), at("2019-12-31T00:00:00"));
    assert_eq!(scheme.login().from, at("2019-09-11T00:00:00"));
    assert_eq!(scheme.assessment().until, at("2019-12-26T00:00:00"));
}

#[test]
fn scheme_without_its_optional_keys_is_read() {
    let text = changed(&[
        ("daily_cap_minutes         = 0", "#"),
        ("distinct    =", "#"),
        (", grace_hours = 0", ""),
        ("requires_previous = true", "#"),
    ]);
    let scheme = Scheme::parse(&text).unwrap();
    assert_eq!(scheme.trainee.offline.distinct, None);
    assert_eq!(scheme.tutor.marking.late_week.grace_seconds, 0);
}

#[test]
fn scheme_with_a_daily_cap_and_grace_has_them_in_seconds() {
    let text = changed(&[
        ("daily_cap_minutes         = 0", "daily_cap_minutes = 60"),
        ("grace_hours = 0", "grace_hours = 12"),
    ]);
    let scheme = Scheme::parse(&text).unwrap();
    assert_eq!(scheme.study.daily_cap_seconds, Some(3600));
    assert_eq!(scheme.tutor.marking.late_week.grace_seconds, 43_200);
}

/// What is changed, the key that is at fault, and a part of the cause.
const IMPOSSIBLE: &[(&str, &str, &str, &str)] = &[
    ("id        = \"qinhuangdao-2019\"", "id = \"秦皇岛\"", "id", "ASCII"),
    ("title     = ", "titel = ", "titel", "no such key"),
    ("region    = \"130300\"", "region = \"13030\"", "region", "six digits"),
    ("region    = \"130300\"", "region = 130300", "region", "must be a text"),
    ("Asia/Shanghai", "Asia/Qinhuangdao", "time_zone", "no such time zone"),
    ("reporting   =", "reported =", "calendar.reporting", "is missing"),
    ("login       =", "logon =", "calendar.login", "is missing"),
    ("assessment  =", "assess =", "calendar.assessment", "is missing"),
    ("summary     =", "sum =", "calendar.summary", "is missing"),
    ("login       = [\"2019-09-11\"", "login = [\"2019-09-15\"", "calendar.login", "runs backwards"),
    (
        "login       = [\"2019-09-11\"",
        "login = [\"2019-07-14\"",
        "calendar.login",
        "begins before \"reporting\"",
    ),
    ("phase_3     = [\"2019-11-01\"", "phase_3 = [\"2019-11-31\"", "calendar.phase_3[0]", "no calendar day"),
    ("phase_3     = [\"2019-11-01\"", "phase_3 = [\"2019-11-1\"", "calendar.phase_3[0]", "no calendar day"),
    ("phase_3     = [\"2019-11-01\", ", "phase_3 = [", "calendar.phase_3", "must be two days"),
    ("phase_3     = [\"2019-11-01\", ", "phase_3 = [\"0019-11-01\", ", "calendar.phase_3[0]", "its year"),
    ("\"2019-12-30\"]", "\"2019-12-27\"]\nphase_5 = 1", "calendar.phase_5", "must be a list"),
    (
        "phase_4     = [\"2019-11-20\", \"2019-12-20\"]",
        "phase_4 = [\"2019-11-20\", \"2019-12-31\"]",
        "trainee.assignment.review_until",
        "after \"summary\"",
    ),
    ("= 120", "= 0", "study.heartbeat_max_gap_seconds", "from 1 to 86400"),
    ("= 120", "= 99999999999999999999", "study.heartbeat_max_gap_seconds", "from 1 to 86400"),
    ("= 120", "= 120.0", "study.heartbeat_max_gap_seconds", "a whole number"),
    (
        "cap_course_at_duration      = true",
        "cap_course_at_duration = 1",
        "study.cap_course_at_duration",
        "true or false",
    ),
    ("daily_cap_minutes         = 0", "daily_cap_minutes = -1", "study.daily_cap_minutes", "from 0 to 1440"),
    (
        "daily_cap_minutes         = 0",
        "daily_cap_minutes = 4",
        "trainee.online[0].minutes",
        "only 184 minutes",
    ),
    ("pass_total       = 80", "pass_total = 101", "trainee.pass_total", "nobody can pass"),
    ("pass_total       = 80", "pass_total = 0", "trainee.pass_total", "from 1 to"),
    ("minutes    = 200", "minuts = 200", "trainee.online[0].minuts", "no such key"),
    ("minutes    = 200", "", "trainee.online[0].minutes", "is missing"),
    ("minutes    = 200", "minutes = 0", "trainee.online[0].minutes", "from 1 to"),
    ("minutes    = 200", "minutes = 66241", "trainee.online[0].minutes", "only 66240 minutes"),
    (
        "window     = \"phase_1\"",
        "window = \"phase_9\"",
        "trainee.online[0].window",
        "there is no window \"phase_9\" in [calendar]",
    ),
    ("window            = \"phase_2\"", "window = \"reporting\"", "trainee.online[1].window", "wrong order"),
    ("categories = [\"public\"]", "categories = []", "trainee.online[0].categories", "must not be empty"),
    (
        "categories = [\"public\"]",
        "categories = [\"pubic\"]",
        "trainee.online[0].categories[0]",
        "no category \"pubic\"",
    ),
    (
        "categories = [\"public\"]",
        "categories = [\"public\", \"public\"]",
        "trainee.online[0].categories[1]",
        "twice",
    ),
    (
        "points     = 10",
        "points     = 10\nrequires_previous = true",
        "trainee.online[0].requires_previous",
        "no previous",
    ),
    ("points            = 40", "points = 1000000", "trainee.online[1].points", "from 1 to"),
    (
        "review_until = \"phase_4\"",
        "review_until = \"phase_2\"",
        "trainee.assignment.review_until",
        "before the submissions",
    ),
    (
        "kinds        = [\"lesson_plan\", \"teaching_case\"",
        "kinds = [\"lesson_plan\", \"lesson_plan\"",
        "trainee.assignment.kinds[1]",
        "twice",
    ),
    ("pass = 20", "pass = 31", "trainee.assignment.points", "at least as much"),
    (
        "pass = 20, fail = 0",
        "pass = 20, fail = 0, good = 25",
        "trainee.assignment.points.good",
        "no such key",
    ),
    ("min_characters = 300", "min_characters = 0", "trainee.seminar.min_characters", "from 1 to"),
    ("min_score   = 1", "min_score = 11", "trainee.offline.min_score", "more than max_score"),
    (
        "min_distinct_scores = 2",
        "min_distinct_scores = 11",
        "trainee.offline.distinct.min_distinct_scores",
        "only 10",
    ),
    ("qualify_total = 100", "qualify_total = 101", "tutor.qualify_total", "nobody can qualify"),
    ("disqualify_at = 3", "disqualify_at = 0", "tutor.marking.late_week.disqualify_at", "from 1 to"),
    ("number = 2", "number = 1", "tutor.bulletin[1].number", "twice"),
    (
        "\"login\", \"phase_1\", \"phase_2\"",
        "\"login\", \"phase_1\", \"phase_3\"",
        "counselor.registration_login.tasks[2]",
        "no task \"phase_3\"",
    ),
    ("\"login\", \"phase_1\"", "\"login\", \"phase_0\"", "counselor.registration_login.tasks[1]", "no task"),
    ("\"login\", \"phase_1\"", "\"login\", \"login\"", "counselor.registration_login.tasks[1]", "twice"),
    ("items  = [\"plan\"", "items = [\"plans\"", "counselor.offline.items[0]", "no item"),
    (
        "stages = [\"compulsory\"",
        "stages = [\"compulsary\"",
        "counselor.offline.stages[0]",
        "no education stage",
    ),
    (
        "[counselor.offline]\npoints = 30\nwindow = \"offline\"",
        "[counselor.offline]\npoints = 30\nwindow = \"preparation\"",
        "counselor.offline.window",
        "before reporting",
    ),
    ("[counselor] ", "[counsellor] ", "counsellor", "no such key"),
    ("[study] ", "[study", "", ""),
];

#[test]
fn scheme_that_cannot_work_is_refused_with_line_key_and_cause() {
    for (old, new, key, cause) in IMPOSSIBLE {
        let text = changed(&[(old, new)]);
        let error = match Scheme::parse(&text) {
            Err(error) => error,
            Ok(_) => panic!("taken: {new}"),
        };
        assert_eq!(&error.key, key, "{new}: {error}");
        assert!(error.cause.contains(cause), "{new}: {error}");
        let line = error.line.unwrap_or_else(|| panic!("no line: {error}"));
        assert!(error.to_string().starts_with(&format!("line {line}: ")));
        let near_change = text.lines().nth(line - 1).unwrap();
        let last_word = key.rsplit('.').next().unwrap().split('[').next().unwrap();
        let names_a_missing_key = error.cause == "is missing";
        assert!(names_a_missing_key || near_change.contains(last_word), "{error} at {near_change:?}");
    }
}

#[test]
fn scheme_error_reads_as_a_sentence_with_its_place() {
    let text = changed(&[("window            = \"phase_2\"", "window = \"phase_9\"")]);
    let line = 1 + text.lines().position(|line| line.contains("phase_9")).unwrap();
    let error = Scheme::parse(&text).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("line {line}: trainee.online[1].window: there is no window \"phase_9\" in [calendar]")
    );
}

#[test]
fn scheme_with_any_line_removed_never_panics_and_names_a_place() {
    let lines: Vec<&str> = QINHUANGDAO.lines().collect();
    for removed in 0..lines.len() {
        let mut rest = lines.clone();
        rest.remove(removed);
        if let Err(error) = Scheme::parse(&rest.join("\n")) {
            assert!(error.line.is_some_and(|line| line >= 1 && line <= lines.len()), "{error}");
        }
    }
    assert!(Scheme::parse("").unwrap_err().to_string().contains("id: is missing"));
}
