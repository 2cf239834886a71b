//! Windows that end later, and classes with another tutor, in whatever order they are told.

use shipei_contracts::{
    assessment::v1::{ItemState, ScoreItem},
    enrollment::v1 as enrollment,
    event::v1::Event,
    learning::v1 as learning,
};

use crate::{
    season::season,
    support::{HAIGANG, On, PROGRAMME, SHANHAIGUAN, Service, Writer, at, end},
};

/// The same test on both databases.
macro_rules! on_both {
    ($($name:ident: $test:ident;)+) => {
        mod sqlite { $(#[tokio::test] async fn $name() { super::$test(crate::support::On::Sqlite).await; })+ }
        mod postgres { $(#[tokio::test] async fn $name() { super::$test(crate::support::On::Postgres).await; })+ }
    };
}

on_both! {
    extension_is_for_whom_it_was_granted: extended;
    marks_are_owed_by_who_was_tutor_at_the_deadline: replaced;
}

fn extension(window: &str, last_day: &str, to: &str) -> enrollment::ExtensionGranted {
    let is = |kind: char| if to.starts_with(kind) { to.to_owned() } else { String::new() };
    enrollment::ExtensionGranted {
        programme_id: PROGRAMME.into(),
        extension_id: "E1".into(),
        window: window.into(),
        old_last_day: "2019-10-30".into(),
        new_last_day: last_day.into(),
        region_code: is('1'),
        class_id: is('C'),
        person_id: is('T'),
    }
}

fn item(items: &[ScoreItem], name: &str) -> (ItemState, i32) {
    let item = items.iter().find(|item| item.name == name).unwrap();
    (item.state(), item.hundredths / 100)
}

/// Applies them as they are, and again with what was told last first.
async fn both_ways(on: On, events: &[Event]) -> [Service; 2] {
    let (last, before) = events.split_last().unwrap();
    let last_first: Vec<Event> = std::iter::once(last).chain(before).cloned().collect();
    let (one, other) = (Service::start(on).await, Service::start(on).await);
    one.apply(events).await;
    other.apply(&last_first).await;
    assert_eq!(one.digest().await, other.digest().await);
    [one, other]
}

/// T04 of C1 in 130302 achieved phase 1 on 3 November, after the end of its window.
fn late_study() -> Writer {
    let mut log = season();
    let achieved = learning::PhaseAchieved {
        programme_id: PROGRAMME.into(),
        person_id: "T04".into(),
        phase_index: 0,
        by: learning::AchievedBy::Minutes.into(),
        session_id: "S4".into(),
        // How much was studied had been told three times before.
        version: 4,
        united: false,
    };
    log.learning(HAIGANG, "2019-11-03 20:00", &achieved);
    log
}

async fn extended(on: On) {
    for (to, last_day, place, applies) in [
        ("T04", "2019-11-05", HAIGANG, true),
        ("C1", "2019-11-03", HAIGANG, true),
        (HAIGANG, "2019-11-05", HAIGANG, true),
        ("130300", "2019-11-05", "130300", true),
        ("", "2019-11-05", "130300", true),
        ("T04", "2019-11-02", HAIGANG, false),
        ("T05", "2019-11-05", HAIGANG, false),
        ("C2", "2019-11-05", HAIGANG, false),
        (SHANHAIGUAN, "2019-11-05", SHANHAIGUAN, false),
    ] {
        let mut log = late_study();
        log.enrollment(place, "2019-11-10 08:00", &extension("phase_1", last_day, to));
        let [service, _] = both_ways(on, &log.take()).await;
        let trainees = service.trainees(end(), "", "C1", 0).await;
        let trainee = trainees.iter().find(|score| score.person_id == "T04").unwrap();
        let expected = if applies { (ItemState::Earned, 10) } else { (ItemState::Missed, 0) };
        assert_eq!(item(&trainee.items, "phase_1"), expected, "{to} {last_day}");
        // The phase after it follows.
        assert_eq!(item(&trainee.items, "phase_2").1, if applies { 40 } else { 0 }, "{to} {last_day}");
        let county = &service.counties(end()).await[0];
        let share = county.items.iter().find(|item| item.name == "phase_1").unwrap();
        let expected =
            if applies { "6 of 6 active trainees on time" } else { "5 of 6 active trainees on time" };
        assert_eq!(share.explanation, expected, "{to} {last_day}");
        // While somebody of the county has time left, its task is not missed.
        let then = service.counties(at("2019-11-02 12:00")).await;
        let county = then.iter().find(|county| county.county_code == HAIGANG).unwrap();
        let share = county.items.iter().find(|item| item.name == "phase_1").unwrap();
        let is_open = applies || to == "C2" || to == "T04" || to == "T05";
        let expected = if is_open { ItemState::Pending } else { ItemState::Missed };
        assert_eq!(share.state(), expected, "{to} {last_day}");
    }
}

fn replaced_by(class_id: &str, old: &str, new: &str) -> enrollment::TutorReplaced {
    enrollment::TutorReplaced {
        programme_id: PROGRAMME.into(),
        class_id: class_id.into(),
        change_number: 1,
        old_tutor_id: old.into(),
        new_tutor_id: new.into(),
    }
}

async fn replaced(on: On) {
    // C1 is U2's from the Friday before a Sunday at whose end A2b of C1 was not marked.
    let mut log = season();
    log.enrollment(HAIGANG, "2019-11-15 08:00", &replaced_by("C1", "U1", "U2"));
    let [service, _] = both_ways(on, &log.take()).await;
    let tutors = service.tutors(end()).await;
    let [first, second] = &tutors[..] else { panic!("two tutors") };
    // The late week of A5 in C2 is still the first one's; what they published in C1 counts for them.
    assert_eq!(
        (first.total, first.late_weeks, &first.class_ids[..]),
        (100, 1, &["C1", "C2"].map(String::from)[..])
    );
    assert_eq!((second.total, second.late_weeks), (40, 1));
    assert_eq!(second.class_ids, ["C1", "C3"]);

    // A5 waits in C3 until reviews end: it is owed by who was its tutor just before that.
    for (when, owing) in [("2019-12-20 23:59", "U1"), ("2019-12-21 00:00", "U2")] {
        let mut log = season();
        log.enrollment(SHANHAIGUAN, when, &replaced_by("C3", "U2", "U1"));
        for service in both_ways(on, &log.take()).await {
            for tutor in service.tutors(end()).await {
                let expected =
                    if tutor.person_id == owing { (ItemState::Missed, 0) } else { (ItemState::Earned, 60) };
                assert_eq!(item(&tutor.items, "marking"), expected, "{when} {}", tutor.person_id);
            }
        }
    }
}
