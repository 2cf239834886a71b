//! Tables of cases: what is decided, and why not.

use shipei_mirror::{Absences, Place, Teaching, testing::id};
use shipei_rules::vocabulary::Role;

use super::*;

const SCHEME: &str = include_str!("../../../../crates/rules/data/qinhuangdao-2019.toml");

fn at(text: &str) -> DateTime<Utc> {
    format!("2019-{text}+08:00").parse().unwrap()
}

fn trainee() -> Member {
    Member {
        person_id: id("T1"),
        role: Role::Trainee,
        places: Place::default().into(),
        teaching: Teaching::default().into(),
        login_at: None,
        pre_job_at: None,
        absences: Absences::default(),
        counts_for: None,
        merged: Vec::new(),
    }
}

fn command(item: &str, points: i64) -> Adjust {
    Adjust {
        programme: id("Q1"),
        person: id("T1"),
        item: item.parse().unwrap(),
        points,
        kind: AdjustmentKind::Appeal,
        reason: "申诉成立".to_owned(),
        expires_at: None,
    }
}

#[test]
fn item_counts_as_no_more_than_it_can_bring() {
    let scheme = Scheme::parse(SCHEME).unwrap();
    for (item, points, decided) in [
        ("phase_1", 0, Ok(10)),
        ("phase_1", 10, Ok(10)),
        ("phase_1", 11, Err(ErrorReason::ScoreOutOfRange)),
        ("phase_1", -1, Err(ErrorReason::ScoreOutOfRange)),
        ("phase_2", 40, Ok(40)),
        ("phase_3", 0, Err(ErrorReason::InvalidField)),
        ("assignment", 30, Ok(30)),
        ("assignment", 31, Err(ErrorReason::ScoreOutOfRange)),
        ("seminar", 10, Ok(10)),
        ("offline", 10, Ok(10)),
        ("offline", 11, Err(ErrorReason::ScoreOutOfRange)),
        ("marking", 60, Err(ErrorReason::InvalidField)),
        ("plan:compulsory", 1, Err(ErrorReason::InvalidField)),
    ] {
        let found = decide_adjustment(&scheme, &trainee(), &command(item, points), at("12-25T12:00:00"));
        assert_eq!(found.map_err(|refusal| refusal.reason), decided, "{item} {points}");
    }
}

#[test]
fn decision_expires_behind_its_time_and_is_not_about_who_is_away() {
    let scheme = Scheme::parse(SCHEME).unwrap();
    let noon = at("12-25T12:00:00");
    let expiring = |expires: &str| Adjust { expires_at: Some(at(expires)), ..command("seminar", 10) };
    for (expires, reason) in [
        ("12-25T12:00:00", Some(ErrorReason::InvalidField)),
        ("12-25T11:59:59", Some(ErrorReason::InvalidField)),
        ("12-25T12:00:01", None),
    ] {
        let found = decide_adjustment(&scheme, &trainee(), &expiring(expires), noon);
        assert_eq!(found.err().map(|refusal| refusal.reason), reason, "{expires}");
    }
    let away = Member { absences: at("12-01T00:00:00").into(), ..trainee() };
    for (when, reason) in [("11-30T23:59:59", None), ("12-01T00:00:00", Some(ErrorReason::Withdrawn))] {
        let found = decide_adjustment(&scheme, &away, &command("seminar", 10), at(when));
        assert_eq!(found.err().map(|refusal| refusal.reason), reason, "{when}");
    }
}
