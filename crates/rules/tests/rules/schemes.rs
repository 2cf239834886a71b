//! Schemes that are read, and schemes that are refused with line, key and cause.

use shipei_rules::explanation::Text;
use shipei_rules::scheme::{Role, Scheme, Task};

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
        "points     = 10\nclause = {",
        "points = 10\nclause = { de = \"Anlage 2\",",
        "trainee.online[0].clause.de",
        "no such key",
    ),
    ("clause = { zh = \"附件2 网络研修\", ", "clause = { ", "trainee.online[0].clause.zh", "is missing"),
    ("phase_3     = [\"2019-11-01\"", "phase_3 = [\"2019-11-31\"", "calendar.phase_3[0]", "no calendar day"),
    ("phase_3     = [\"2019-11-01\"", "phase_3 = [\"2019-11-1\"", "calendar.phase_3[0]", "no calendar day"),
    ("phase_3     = [\"2019-11-01\", ", "phase_3 = [", "calendar.phase_3", "must be two days"),
    ("phase_3     = [\"2019-11-01\", ", "phase_3 = [\"0019-11-01\", ", "calendar.phase_3[0]", "its year"),
    ("\"2019-12-30\"]", "\"2019-12-27\"]\nphase_5 = 1", "calendar.phase_5", "must be a list"),
    ("= 120", "= -1", "study.heartbeat_max_gap_seconds", "from 0 to 86400"),
    ("= 120", "= 99999999999999999999", "study.heartbeat_max_gap_seconds", "from 0 to 86400"),
    ("= 120", "= 120.0", "study.heartbeat_max_gap_seconds", "a whole number"),
    (
        "cap_course_at_duration      = true",
        "cap_course_at_duration = 1",
        "study.cap_course_at_duration",
        "true or false",
    ),
    ("daily_cap_minutes         = 0", "daily_cap_minutes = -1", "study.daily_cap_minutes", "from 0 to"),
    ("report_days = 7", "report_days = -1", "duties.report_days", "must be from 0 to 366"),
    (
        "report_days = 7",
        "report_days = 7\n[honours]\ntutors_percent = 101",
        "honours.tutors_percent",
        "must be from 0 to 100",
    ),
    ("report_days = 7", "report_days = 7\n[honours]\nquota = 1", "honours.quota", "no such key"),
    (
        "report_days = 7",
        "report_days = 7\n[retention]\ntrainee = 101",
        "retention.trainee",
        "must be from 0 to 100",
    ),
    ("report_days = 7", "report_days = 7\n[retention]\ntutor = 3", "retention.tutor", "no such key"),
    ("report_days = 7", "report_day = 7", "duties.report_day", "no such key"),
    ("minutes    = 200", "minuts = 200", "trainee.online[0].minuts", "no such key"),
    ("minutes    = 200", "", "trainee.online[0].minutes", "is missing"),
    (
        "window     = \"phase_1\"",
        "window = \"phase_9\"",
        "trainee.online[0].window",
        "there is no window \"phase_9\" in [calendar]",
    ),
    (
        "categories = [\"public\"]",
        "categories = [\"pubic\"]",
        "trainee.online[0].categories[0]",
        "no category \"pubic\"",
    ),
    ("points            = 40", "points = -1", "trainee.online[1].points", "from 0 to"),
    ("points            = 40", "points = 1000000001", "trainee.online[1].points", "from 0 to"),
    ("pass_total       = 80", "pass_total = -80", "trainee.pass_total", "from 0 to"),
    ("minutes    = 200", "minutes = \"200\"", "trainee.online[0].minutes", "a whole number"),
    ("grace_hours = 0", "grace_hours = -1", "tutor.marking.late_week.grace_hours", "from 0 to"),
    (
        "[\"2019-11-01\", \"2019-12-10\"]",
        "[2019-11-01T00:00:00, 2019-12-10]",
        "calendar.phase_3[0]",
        "no calendar day",
    ),
    ("[\"2019-11-01\", \"2019-12-10\"]", "[2019-12-11, 2019-12-10]", "calendar.phase_3", "runs backwards"),
    (
        "review_until = \"phase_4\"",
        "review_until = \"phase_5\"",
        "trainee.assignment.review_until",
        "no window",
    ),
    ("min_characters = 300", "min_characters = -1", "trainee.seminar.min_characters", "from 0 to"),
    ("qualify_total = 100", "qualified_total = 100", "tutor.qualified_total", "keys here are qualify_total"),
    (
        "pass = 20, fail = 0",
        "pass = 20, fail = 0, good = 25",
        "trainee.assignment.points.good",
        "no such key",
    ),
    ("min_score   = 1", "min_score = 11", "trainee.offline.min_score", "more than max_score"),
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

/// Legal values of some city that look odd: every one of them alone, and all together below.
const ODD: &[(&str, &str)] = &[
    ("title     = \"秦皇岛市2019年中小学校及幼儿园教师全员远程培训\"", "title = \"\""),
    ("= 120", "= 0"),
    ("daily_cap_minutes         = 0", "daily_cap_minutes = 4"),
    ("pass_total       = 80", "pass_total = 0"),
    ("minutes    = 200", "minutes = 0"),
    ("minutes           = 1000", "minutes = 1000000"),
    ("points     = 10", "points = 0\nrequires_previous = true"),
    ("points            = 40", "points = 0"),
    ("categories = [\"public\"]", "categories = [\"public\", \"public\"]"),
    ("window            = \"phase_2\"", "window = \"reporting\""),
    ("review_until = \"phase_4\"", "review_until = \"reporting\""),
    ("kinds        = [\"lesson_plan\", \"teaching_case\"", "kinds = [\"教学设计\", \"Lesson plan\""),
    ("excellent = 30, pass = 20, fail = 0", "excellent = 5, pass = 20, fail = 40"),
    ("points         = 10\nmin_characters = 300", "points = 0\nmin_characters = 0"),
    ("min_score   = 1\nmax_score   = 10", "min_score = 0\nmax_score = 0"),
    ("from_participants = 10, min_distinct_scores = 2", "from_participants = 0, min_distinct_scores = 99"),
    ("qualify_total = 100", "qualify_total = 0"),
    ("points    = 60", "points = 0"),
    ("disqualify_at = 3, grace_hours = 0", "disqualify_at = 400, grace_hours = 10000"),
    ("login       = [\"2019-09-11\"", "login = [\"2019-07-14\""),
    ("summary     = [\"2019-12-26\", \"2019-12-30\"]", "summary = [2019-01-01, 2019-01-01]"),
    ("assessment  = [\"2019-12-21\", \"2019-12-25\"]", "assessment = [2020-12-21, 2020-12-25]"),
    ("tasks  = [\"login\", \"phase_1\", \"phase_2\", \"assignment\", \"seminar\"]", "tasks = []"),
    ("points = 70", "points = 0"),
    (
        "[counselor.offline]\npoints = 30\nwindow = \"offline\"",
        "[counselor.offline]\npoints = 0\nwindow = \"preparation\"",
    ),
    ("items  = [\"plan\", \"activity\", \"scoring\", \"results\"]", "items = []"),
    ("stages = [\"compulsory\", \"non_compulsory\"]", "stages = []"),
];

#[test]
fn scheme_whose_figures_look_odd_is_taken() {
    for change in ODD {
        Scheme::parse(&changed(&[*change])).unwrap_or_else(|error| panic!("{}: {error}", change.1));
    }
    let scheme = Scheme::parse(&changed(ODD)).unwrap();
    assert_eq!(scheme.trainee.online[0].given_at(), Some(at("2019-09-15T00:00:00")));
    assert_eq!(scheme.trainee.online[0].categories.len(), 1);
    assert_eq!(scheme.trainee.assignment.points.most(), 40);
    assert_eq!(scheme.tutor.marking.late_week.grace_seconds, 36_000_000);
    assert_eq!(scheme.final_as_of(), at("2019-01-02T00:00:00"));
}

#[test]
fn scheme_out_of_reach_is_taken() {
    for change in [
        ("pass_total       = 80", "pass_total = 101"),
        ("qualify_total = 100", "qualify_total = 101"),
        ("disqualify_at = 3", "disqualify_at = 0"),
        ("min_distinct_scores = 2", "min_distinct_scores = 0"),
        ("phase_4     = [\"2019-11-20\", \"2019-12-20\"]", "phase_4 = [\"2019-11-20\", \"2020-12-31\"]"),
    ] {
        Scheme::parse(&changed(&[change])).unwrap_or_else(|error| panic!("{}: {error}", change.1));
    }
}

#[test]
fn scheme_without_phases_and_bulletins_is_taken() {
    let mut text = String::new();
    let mut skipping = false;
    for line in QINHUANGDAO.lines() {
        if line.starts_with('[') {
            skipping = line.starts_with("[[trainee.online]]") || line.starts_with("[[tutor.bulletin]]");
        }
        if !skipping {
            text.push_str(&line.replace("\"phase_1\", \"phase_2\", \"assignment\"", "\"assignment\""));
            text.push('\n');
        }
    }
    let scheme = Scheme::parse(&text).unwrap();
    assert!(scheme.trainee.online.is_empty() && scheme.tutor.bulletins.is_empty());
}

#[test]
fn calendar_with_dates_of_toml_is_the_same() {
    let mut text = String::new();
    for line in QINHUANGDAO.lines() {
        let is_window = line.contains(" = [\"20");
        text.push_str(&if is_window { line.replace('"', "") } else { line.to_owned() });
        text.push('\n');
    }
    assert!(text.contains("= [2019-09-15, 2019-10-30]"));
    let unquoted = text.replace("from = \"2019-11-01\"", "from = 2019-11-01");
    assert_eq!(Scheme::parse(&unquoted).unwrap(), qinhuangdao());
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

#[test]
fn clause_is_as_the_scheme_words_it_or_its_place_in_the_scheme() {
    let scheme = qinhuangdao();
    assert_eq!(*scheme.tutor.marking.clause, Text::new("附件3 实践性作业批阅", "Annex 3, marking"));
    assert_eq!(
        *scheme.counselor.offline.clause,
        Text::new("附件4 组织开展线下研修活动", "Annex 4, offline activity")
    );
    let mut without = String::new();
    for line in QINHUANGDAO.lines().filter(|line| !line.starts_with("clause")) {
        without.push_str(line);
        without.push('\n');
    }
    let without = Scheme::parse(&without).unwrap();
    let second = &without.trainee.online[1].clause;
    assert_eq!(**second, Text::new("考核方案 trainee.online[1]", "scheme, trainee.online[1]"));
    assert_eq!(without.tutor.bulletins[2].clause.en, "scheme, tutor.bulletin[2]");
}

#[test]
fn calendar_has_a_bounded_number_of_windows() {
    let with = |more: usize| {
        let named: String =
            (0..more).map(|number| format!("w{number} = [\"2019-09-15\", \"2019-09-16\"]\n")).collect();
        let (before, behind) = QINHUANGDAO.split_once("preparation =").unwrap();
        Scheme::parse(&format!("{before}{named}preparation ={behind}"))
    };
    assert!(with(200).is_ok());
    let error = with(300).unwrap_err();
    assert!(error.key == "calendar" && error.cause.contains("256"), "{error}");
}

#[test]
fn clause_is_no_longer_than_two_hundred_characters() {
    let of = |characters: usize| QINHUANGDAO.replace("附件3 实践性作业批阅", &"批".repeat(characters));
    assert_eq!(Scheme::parse(&of(200)).unwrap().tutor.marking.clause.zh.chars().count(), 200);
    let error = Scheme::parse(&of(201)).unwrap_err().to_string();
    assert!(error.contains("tutor.marking.clause.zh") && error.contains("200 characters"), "{error}");
}

#[test]
fn who_people_were_is_kept_for_years_behind_the_end() {
    let model = QINHUANGDAO;
    let erasable = |text: &str| {
        let scheme = Scheme::parse(text).unwrap();
        Role::ALL.iter().map(|role| scheme.erasable_from(*role).to_string()).collect::<Vec<_>>()
    };
    // The summary window ends with 2019-12-30.
    let [trainee, staff] = ["2024-12-31", "2022-12-31"];
    assert_eq!(erasable(model), [trainee, staff, staff, staff, staff, staff]);
    let stated = model.replace("[duties]", "[retention]\ntrainee = 0\nsubject_expert = 100\n\n[duties]");
    assert_eq!(erasable(&stated), ["2019-12-31", staff, staff, "2119-12-31", staff, staff]);
    // From a leap day it is the last of February.
    let leap = stated.replace("\"2019-12-30\"]", "\"2020-02-28\"]").replace("trainee = 0", "trainee = 1");
    assert_eq!(erasable(&leap)[0], "2021-02-28");
}
