//! Extensions: whose windows end later, and what follows in the scores.

use std::sync::Arc;

use shipei_rules::counselor::{self, CountyFacts};
use shipei_rules::explanation::{ItemKey, ItemState};
use shipei_rules::history::History;
use shipei_rules::ids::{ClassId, PersonId};
use shipei_rules::region::RegionCode;
use shipei_rules::scheme::{Grade, Scheme};
use shipei_rules::trainee::{self, TraineeFacts};
use shipei_rules::tutor::{self, ClassFacts, TutorFacts};
use shipei_rules::windows::{Ends, Extension, For, Span, Standing, ends, ends_for_all};

use crate::support::{at, qinhuangdao, submission};

fn extension(window: &str, last: &str, to: For) -> Extension {
    Extension { window: window.into(), last: last.parse().unwrap(), to }
}

fn county(code: &str) -> RegionCode {
    RegionCode::parse(code).unwrap()
}

fn class(id: &str) -> ClassId {
    ClassId::parse(id).unwrap()
}

fn stands(code: &str, class_id: &str) -> Standing {
    Standing { county: Some(county(code)), class: Some(class(class_id)) }
}

/// In 130302 and L1; in 130303 and L2 from 2 November, and back from 4 November.
fn places() -> History<Standing> {
    History::new(
        stands("130302", "L1"),
        vec![
            (at("2019-11-02T00:00:00"), stands("130303", "L2")),
            (at("2019-11-04T00:00:00"), stands("130302", "L1")),
        ],
    )
}

fn in_city(codes: &[&str], from: &str, until: &str) -> For {
    let span = Span { from: at(from), until: at(until) };
    For::Counties(codes.iter().map(|code| (county(code), span)).collect())
}

/// The end of phase 1, whose last day is 30 October, of T1.
fn end_of_phase_1(extensions: &[Extension], places: &History<Standing>) -> Option<String> {
    let person = PersonId::parse("T1").unwrap();
    let ends = ends(&qinhuangdao(), extensions, &[&person], places);
    let end = ends.get("phase_1")?;
    Some(end.with_timezone(&chrono::FixedOffset::east_opt(8 * 3600).unwrap()).format("%m-%d %H").to_string())
}

#[test]
fn longest_that_applies_counts() {
    let never_moved = History::from(stands("130302", "L1"));
    let other = PersonId::parse("T2").unwrap();
    let own = PersonId::parse("T1").unwrap();
    let always = ("1990-01-01T00:00:00", "2090-01-01T00:00:00");
    let cases = [
        (vec![], None),
        (vec![extension("phase_1", "2019-10-30", For::Person(own.clone()))], None),
        (vec![extension("phase_1", "2019-10-20", For::Person(own.clone()))], None),
        (vec![extension("phase_1", "2019-11-05", For::Person(other))], None),
        (vec![extension("phase_9", "2019-11-05", For::Person(own.clone()))], None),
        (vec![extension("phase_1", "2019-11-05", For::Programme)], None),
        (vec![extension("phase_1", "2019-11-05", For::Person(own.clone()))], Some("11-06 00")),
        (vec![extension("phase_1", "2019-11-05", For::Class(class("L1")))], Some("11-06 00")),
        (vec![extension("phase_1", "2019-11-05", For::Class(class("L2")))], None),
        (
            vec![extension("phase_1", "2019-11-05", in_city(&["130303", "130302"], always.0, always.1))],
            Some("11-06 00"),
        ),
        (vec![extension("phase_1", "2019-11-05", in_city(&["130303"], always.0, always.1))], None),
        (
            vec![
                extension("phase_1", "2019-11-05", For::Class(class("L1"))),
                extension("phase_1", "2019-11-12", For::Person(own)),
                extension("phase_1", "2019-11-08", in_city(&["130302"], always.0, always.1)),
            ],
            Some("11-13 00"),
        ),
    ];
    for (extensions, expected) in cases {
        let found = end_of_phase_1(&extensions, &never_moved);
        assert_eq!(found.as_deref(), expected, "{extensions:?}");
        let reversed: Vec<_> = extensions.into_iter().rev().collect();
        assert_eq!(end_of_phase_1(&reversed, &never_moved).as_deref(), expected);
    }
    let all = ends_for_all(&qinhuangdao(), &[extension("phase_1", "2019-11-05", For::Programme)]);
    assert_eq!(all.get("phase_1"), Some(&at("2019-11-06T00:00:00")));
}

#[test]
fn who_leaves_has_it_until_then_and_who_comes_has_it_from_then() {
    let until = |last, to| end_of_phase_1(&[extension("phase_1", last, to)], &places());
    // L2 is their class on 2 and 3 November only.
    assert_eq!(until("2019-11-05", For::Class(class("L2"))).as_deref(), Some("11-04 00"));
    assert_eq!(until("2019-11-02", For::Class(class("L2"))).as_deref(), Some("11-03 00"));
    assert_eq!(until("2019-11-01", For::Class(class("L2"))), None);
    assert_eq!(until("2019-11-05", For::Class(class("L1"))).as_deref(), Some("11-06 00"));
    assert_eq!(until("2019-11-03", For::Class(class("L1"))).as_deref(), Some("11-02 00"));
    // A county that lies in the city until a moment has its extension until then.
    let moved = in_city(&["130302"], "1990-01-01T00:00:00", "2019-11-01T12:00:00");
    assert_eq!(until("2019-11-05", moved).as_deref(), Some("11-01 12"));
    let came = in_city(&["130302"], "2019-11-05T08:00:00", "2090-01-01T00:00:00");
    assert_eq!(until("2019-11-05", came).as_deref(), Some("11-06 00"));
    let too_late = in_city(&["130302"], "2019-11-06T00:00:00", "2090-01-01T00:00:00");
    assert_eq!(until("2019-11-05", too_late), None);
}

fn later(window: &str, end: &str) -> Scheme {
    qinhuangdao().extended(&Ends::from([(window.to_owned(), at(end))]))
}

#[test]
fn every_window_of_that_name_ends_later_and_no_other() {
    let scheme = qinhuangdao();
    let names: Vec<String> = scheme.windows.keys().cloned().collect();
    for name in &names {
        assert_eq!(scheme.extended(&Ends::from([(name.clone(), at("2019-01-01T00:00:00"))])), scheme);
        let extended = later(name, "2021-01-01T00:00:00");
        for other in &names {
            let expected =
                if other == name { at("2021-01-01T00:00:00") } else { scheme.period(other).unwrap().until };
            assert_eq!(extended.period(other).unwrap().until, expected, "{name} {other}");
        }
        // What rules read of it is what the calendar says.
        let until = |window: &str| extended.period(window).unwrap().until;
        assert!(extended.trainee.online.iter().all(|entry| entry.period.until == until(&entry.window)));
        let (assignment, seminar) = (&extended.trainee.assignment, &extended.trainee.seminar);
        assert_eq!(assignment.period.until, until(&assignment.window));
        assert_eq!(assignment.review_until, until(&assignment.review_window));
        assert_eq!(seminar.period.until, until(&seminar.window));
        assert_eq!(extended.trainee.offline.period.until, until(&extended.trainee.offline.window));
        assert!(extended.tutor.bulletins.iter().all(|rule| rule.period.until == until(&rule.window)));
        assert_eq!(extended.tutor.seminar.period.until, until(&extended.tutor.seminar.window));
        assert_eq!(extended.counselor.offline.period.until, until(&extended.counselor.offline.window));
    }
}

#[test]
fn trainee_is_judged_by_windows_of_their_own() {
    let facts = TraineeFacts {
        phases: vec![Some(at("2019-11-03T10:00:00"))],
        submissions: vec![submission(
            "S1",
            "2019-11-05T10:00:00",
            &[("2019-12-22T10:00:00", Some(Grade::Pass))],
        )],
        ..TraineeFacts::default()
    };
    let state = |scheme: &Scheme, key, as_of: &str| {
        trainee::score(scheme, &facts, at(as_of)).item(key).map(|item| (item.state, item.points))
    };
    let phase = ItemKey::Phase(0);
    let end = "2019-12-31T00:00:00";
    assert_eq!(state(&qinhuangdao(), phase, end), Some((ItemState::Missed, 0)));
    let own = later("phase_1", "2019-11-04T00:00:00");
    assert_eq!(state(&own, phase, end), Some((ItemState::Earned, 10)));
    assert_eq!(state(&own, phase, "2019-11-01T00:00:00"), Some((ItemState::Pending, 0)));
    assert_eq!(state(&qinhuangdao(), ItemKey::Assignment, end), Some((ItemState::Missed, 0)));
    let own = later("phase_4", "2019-12-23T00:00:00");
    assert_eq!(state(&own, ItemKey::Assignment, end), Some((ItemState::Earned, 20)));
}

#[test]
fn tutor_has_the_windows_of_each_class() {
    let scheme = qinhuangdao();
    let rule = &scheme.tutor.bulletins[0];
    let late = rule.period.until + chrono::TimeDelta::hours(1);
    let extended = Arc::new(later(&rule.window, "2020-06-01T00:00:00"));
    let class_of = |id, scheme, published| ClassFacts {
        class_id: class(id),
        scheme,
        held: true.into(),
        bulletins: vec![(rule.number, published)],
        seminars: Vec::new(),
    };
    let score = |classes, as_of| {
        let facts = TutorFacts { classes, ..TutorFacts::default() };
        let score = tutor::score(&scheme, &facts, as_of);
        score.items.iter().find(|item| item.key == ItemKey::Bulletin(rule.number)).unwrap().state
    };
    let in_time = class_of("L1", None, rule.period.from);
    assert_eq!(score(vec![in_time.clone(), class_of("L2", None, late)], late), ItemState::Missed);
    let own = class_of("L2", Some(Arc::clone(&extended)), late);
    assert_eq!(score(vec![in_time.clone(), own.clone()], late), ItemState::Earned);
    assert_eq!(score(vec![in_time, own], rule.period.until), ItemState::Pending);
    // Reviews of a class with more time are not over yet.
    let marking = |scheme_of_class| {
        let facts =
            TutorFacts { classes: vec![class_of("L1", scheme_of_class, late)], ..TutorFacts::default() };
        tutor::score(&scheme, &facts, scheme.trainee.assignment.review_until).items[0].state
    };
    let more_time = Arc::new(later("phase_4", "2020-01-05T00:00:00"));
    assert_eq!((marking(None), marking(Some(more_time))), (ItemState::Earned, ItemState::Pending));
}

#[test]
fn county_waits_for_who_has_more_time() {
    let scheme = qinhuangdao();
    let as_of = scheme.trainee.online[0].period.until;
    let latest = Some(Arc::new(later("phase_1", "2019-11-10T00:00:00")));
    for (latest, expected) in [(None, ItemState::Missed), (latest, ItemState::Pending)] {
        let facts = CountyFacts { active: 2, done_by_task: vec![2, 1], latest, ..CountyFacts::default() };
        assert_eq!(counselor::score(&scheme, &facts, as_of).tasks[1].state, expected);
    }
}
