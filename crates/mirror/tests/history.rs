//! Where members stood, learned from enrollment's events in any order, on both databases.

#![expect(clippy::unwrap_used, reason = "an answer that is not as expected ends the test")]

use shipei_contracts::{
    common::v1::{EducationStage, Role},
    enrollment::v1 as enrollment,
    event::v1::Event,
};
use shipei_mirror::{
    Member, apply, member, members, migrations, open_counties,
    testing::{
        PROGRAMME, event, id, instant, programme, region, region_move, removal, returning, rotations, taught,
        transfer, withdrawal,
    },
};
use shipei_rules::{ids::PersonId, region::RegionCode};
use shipei_service_kit::{Reach, testing::TestKit};
use shipei_store::tree;
use sqlx::migrate::Migrator;

/// The role that everybody has here, but where several are spoken of.
const TRAINEE: shipei_rules::vocabulary::Role = shipei_rules::vocabulary::Role::Trainee;

fn registration(person_id: &str) -> Event {
    let registered = enrollment::PersonRegistered {
        programme_id: PROGRAMME.to_owned(),
        person_id: person_id.to_owned(),
        role: Role::Trainee.into(),
        county_code: "130302".to_owned(),
        school_code: "S0".to_owned(),
        class_id: "L1".to_owned(),
        education_stage: EducationStage::Compulsory.into(),
        ..enrollment::PersonRegistered::default()
    };
    event("08-01T00:00:00", &registered)
}

/// Registered in L1, then in L2, in L3 and L4 at one instant, in L5; withdrawn, back, and withdrawn again. Teaches physics, then maths, and has always been of
/// the other stage.
fn life(person_id: &str) -> Vec<Event> {
    vec![
        registration(person_id),
        transfer(person_id, "130303", "L2", "10-01T00:00:00"),
        transfer(person_id, "130303", "L3", "11-01T00:00:00"),
        transfer(person_id, "130302", "L4", "11-01T00:00:00"),
        transfer(person_id, "130304", "L5", "12-01T00:00:00"),
        withdrawal(person_id, "12-10T00:00:00"),
        returning(person_id, "12-15T00:00:00"),
        withdrawal(person_id, "12-20T00:00:00"),
        taught(person_id, 1, Some("10-20T00:00:00"), subject("数学")),
        taught(person_id, 2, Some("10-10T00:00:00"), subject("物理")),
        taught(person_id, 3, None, stage(EducationStage::NonCompulsory)),
    ]
}

fn subject(subject: &str) -> enrollment::Teaching {
    enrollment::Teaching { subject: Some(subject.to_owned()), ..enrollment::Teaching::default() }
}

fn stage(stage: EducationStage) -> enrollment::Teaching {
    enrollment::Teaching { education_stage: stage.into(), ..enrollment::Teaching::default() }
}

fn assert_life(member: &Member) {
    for (when, county, class) in [
        ("01-01T00:00:00", "130302", "L1"),
        ("09-30T23:59:59", "130302", "L1"),
        ("10-01T00:00:00", "130303", "L2"),
        ("11-01T00:00:00", "130302", "L4"),
        ("12-01T00:00:00", "130304", "L5"),
    ] {
        let place = member.places.at(instant(when));
        assert_eq!((place.county_text(), place.class_text()), (county, class), "{when}");
    }
    assert_eq!(member.places.before(instant("11-01T00:00:00")).class_text(), "L2");
    assert_eq!(member.places.first().school_code, Some(id("S0")));
    assert_eq!(member.places.latest_change(), Some(instant("12-01T00:00:00")));
    for (when, is_away) in [
        ("12-09T23:59:59", false),
        ("12-10T00:00:00", true),
        ("12-14T23:59:59", true),
        ("12-15T00:00:00", false),
        ("12-20T00:00:00", true),
    ] {
        assert_eq!(member.absences.at(instant(when)), is_away, "{when}");
    }
    for (when, subject) in [("01-01T00:00:00", ""), ("10-10T00:00:00", "物理"), ("10-20T00:00:00", "数学")]
    {
        let teaching = member.teaching.at(instant(when));
        assert_eq!(teaching.subject, subject, "{when}");
        assert_eq!(teaching.education_stage, EducationStage::NonCompulsory.known(), "{when}");
    }
}

async fn places_are_told_from_events_in_any_order(kit: TestKit) {
    let mut ids = Vec::new();
    for (number, order) in rotations(life("").len()).into_iter().enumerate() {
        let person = format!("P{number:02}");
        let life = life(&person);
        // Every second order in one batch; all of them twice, as a follower may.
        let size = if number % 2 == 0 { 1 } else { life.len() };
        let events: Vec<Event> = order.iter().map(|place| life[*place].clone()).collect();
        for batch in events.chunks(size).chain(events.chunks(size)) {
            let mut tx = kit.kit.database().begin_write().await.unwrap();
            apply(&mut tx, batch).await.unwrap();
            tx.commit().await.unwrap();
        }
        ids.push(id::<PersonId>(&person));
    }
    let mut tx = kit.kit.database().begin_read().await.unwrap();
    let keys: Vec<&PersonId> = ids.iter().collect();
    let found = members(&mut tx, &programme(), TRAINEE, &keys).await.unwrap();
    assert_eq!(found.len(), ids.len());
    found.iter().for_each(assert_life);
}

async fn transfer_alone_makes_nobody(kit: TestKit) {
    let mut tx = kit.kit.database().begin_write().await.unwrap();
    apply(&mut tx, &[transfer("T1", "130303", "L2", "10-01T00:00:00")]).await.unwrap();
    assert_eq!(member(&mut tx, &programme(), TRAINEE, &id("T1")).await.unwrap(), None);
    apply(&mut tx, &[registration("T1")]).await.unwrap();
    let member = member(&mut tx, &programme(), TRAINEE, &id("T1")).await.unwrap().unwrap();
    let classes: Vec<&str> = member.places.all().map(|place| place.class_text()).collect();
    assert_eq!(classes, ["L1", "L2"]);
}

/// Of two transfers of one instant the one that enrollment numbered later counts, wherever the two stand in its log: each
/// stands in the partition of its new county, and the numbers of two partitions have nothing to do with each other.
async fn correction_of_one_date_counts_whatever_its_place_in_the_log(kit: TestKit) {
    let when = "10-15T00:00:00";
    let wrong = Event { partition: 3, number: 900, ..transfer("T3", "130303", "L3", when) };
    let right = Event { partition: 9, number: 2, ..transfer("T3", "130302", "L1", when) };
    for (person, order) in [("T3", [&wrong, &right]), ("T3", [&right, &wrong])] {
        let mut tx = kit.kit.database().begin_write().await.unwrap();
        apply(&mut tx, &[registration(person)]).await.unwrap();
        for event in order {
            apply(&mut tx, std::slice::from_ref(event)).await.unwrap();
        }
        let member = member(&mut tx, &programme(), TRAINEE, &id(person)).await.unwrap().unwrap();
        assert_eq!(member.places.at(instant(when)).class_text(), "L1");
        assert_eq!(member.places.at(instant("12-01T00:00:00")).county_text(), "130302");
        tx.rollback().await.unwrap();
    }
}

/// 容城 130629 lies in 雄安新区 133100 by the tree and in 保定 130600 by its digits; 130632 moves there in mid-season, and a
/// second move of the same day, numbered later, puts it back.
fn xiongan() -> Vec<Event> {
    vec![
        region("130000", "province", "", ""),
        region("130600", "city", "130000", "130000"),
        region("133100", "city", "130000", "130000"),
        region("130629", "county", "133100", "130000"),
        region("130632", "county", "130600", "130000"),
        region("130638", "county", "130600", "130000"),
        region_move("130632", 1, "133100", "10-01T00:00:00"),
        region_move("130638", 2, "130600", "11-01T00:00:00"),
        region_move("130638", 1, "133100", "11-01T00:00:00"),
    ]
}

async fn what_lies_in_what_is_told_by_the_tree_in_any_order(kit: TestKit) {
    for order in rotations(xiongan().len()) {
        let events = xiongan();
        let mut tx = kit.kit.database().begin_write().await.unwrap();
        for place in order.iter().chain(&order) {
            apply(&mut tx, std::slice::from_ref(&events[*place])).await.unwrap();
        }
        for (region, when, expected) in [
            ("133100", "09-30T23:59:59", "130629 133100"),
            ("133100", "10-01T00:00:00", "130629 130632 133100"),
            ("133100", "12-01T00:00:00", "130629 130632 133100"),
            ("130600", "09-30T23:59:59", "130600 130632 130638"),
            ("130600", "12-01T00:00:00", "130600 130638"),
            ("130629", "12-01T00:00:00", "130629"),
            ("130000", "12-01T00:00:00", "130000 130600 130629 130632 130638 133100"),
            ("130700", "12-01T00:00:00", ""),
        ] {
            let found = tree::within(&mut tx, PROGRAMME, region, instant(when)).await.unwrap();
            assert_eq!(found.join(" "), expected, "{region} {when}");
        }
        tx.rollback().await.unwrap();
    }
}

async fn counties_in_which_learning_is_open_are_those_of_the_tree(kit: TestKit) {
    let mut tx = kit.kit.database().begin_write().await.unwrap();
    apply(&mut tx, &xiongan()).await.unwrap();
    for county in ["130629", "130632", "130638"] {
        let opened =
            enrollment::LearningOpened { programme_id: PROGRAMME.into(), county_code: county.into() };
        apply(&mut tx, &[event("09-10T00:00:00", &opened)]).await.unwrap();
    }
    let now = instant("12-01T00:00:00");
    let reached = |codes: &[&str]| Reach::Regions(codes.iter().map(|code| (*code).to_owned()).collect());
    for (reach, region, expected) in [
        (Reach::Everything, "", "130629 130632 130638"),
        (Reach::Everything, "133100", "130629 130632"),
        (Reach::Everything, "130600", "130638"),
        (Reach::Everything, "130632", "130632"),
        (reached(&["130600"]), "", "130638"),
        (reached(&["130600", "130629"]), "", "130629 130638"),
        (reached(&["130600"]), "133100", ""),
        (reached(&["130632"]), "133100", "130632"),
        (reached(&[]), "", ""),
        (Reach::Classes(vec!["L1".into()]), "", ""),
        (Reach::Person("T1".into()), "", ""),
    ] {
        let asked = RegionCode::parse_optional(region).unwrap();
        let found = open_counties(&mut tx, &reach, &programme(), asked, now).await.unwrap();
        let found: Vec<&str> = found.iter().map(RegionCode::as_str).collect();
        assert_eq!(found.join(" "), expected, "{reach:?} {region}");
    }
}

fn tables() -> Migrator {
    migrations(&Migrator::with_migrations(Vec::new()))
}

/// Makes each test run on SQLite and on Postgres.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            use super::{TestKit, tables};
            $(#[tokio::test] async fn $name() { super::$name(TestKit::sqlite("mirror", &tables()).await).await; })+
        }
        mod postgres {
            use super::{TestKit, tables};
            $(#[tokio::test] async fn $name() { super::$name(TestKit::postgres("mirror", &tables()).await).await; })+
        }
    };
}

on_both!(
    places_are_told_from_events_in_any_order,
    transfer_alone_makes_nobody,
    correction_of_one_date_counts_whatever_its_place_in_the_log,
    what_lies_in_what_is_told_by_the_tree_in_any_order,
    counties_in_which_learning_is_open_are_those_of_the_tree,
    who_was_removed_is_nobody_in_any_order,
    who_stood_in_what_has_ended_stands_in_its_successor_in_any_order,
);

fn merged(kind: enrollment::PlaceKind, number: i64, code: &str, into: &str, when: &str) -> Event {
    let merged = enrollment::PlaceMerged {
        programme_id: PROGRAMME.to_owned(),
        kind: kind.into(),
        code: code.to_owned(),
        change_number: number,
        into_code: into.to_owned(),
    };
    Event { fact_id: format!("{code}-{into}"), ..event(when, &merged) }
}

fn closed(number: i64, class: &str, when: &str) -> Event {
    let closed = enrollment::PlaceClosed {
        programme_id: PROGRAMME.to_owned(),
        kind: enrollment::PlaceKind::Class.into(),
        code: class.to_owned(),
        change_number: number,
    };
    Event { fact_id: format!("{class}-"), ..event(when, &closed) }
}

/// L1 goes into L2 and that into L3, S0 into S1, 130302 into 130303, which moves; the trainee's second move is to a class that is closed
/// later. L1 had U1 and gets U2 when it is no more.
fn endings(person_id: &str) -> Vec<Event> {
    use enrollment::PlaceKind::{Class, Region, School};
    let class = enrollment::ClassCreated {
        programme_id: PROGRAMME.to_owned(),
        class_id: "L1".to_owned(),
        region_code: "130302".to_owned(),
        tutor_id: "U1".to_owned(),
    };
    let replaced = enrollment::TutorReplaced {
        programme_id: PROGRAMME.to_owned(),
        class_id: "L1".to_owned(),
        change_number: 1,
        new_tutor_id: "U2".to_owned(),
        ..enrollment::TutorReplaced::default()
    };
    vec![
        registration(person_id),
        transfer(person_id, "130304", "L5", "12-01T00:00:00"),
        merged(Class, 1, "L1", "L2", "10-01T00:00:00"),
        merged(Class, 2, "L2", "L3", "10-10T00:00:00"),
        closed(3, "L5", "12-10T00:00:00"),
        merged(School, 1, "S0", "S1", "10-05T00:00:00"),
        merged(Region, 1, "130302", "130303", "10-20T00:00:00"),
        region("130302", "county", "130300", "130000"),
        region("130303", "county", "130600", "130000"),
        region_move("130303", 1, "133100", "11-01T00:00:00"),
        event("07-01T00:00:00", &class),
        event("10-15T00:00:00", &replaced),
    ]
}

async fn who_stood_in_what_has_ended_stands_in_its_successor_in_any_order(kit: TestKit) {
    for order in rotations(endings("E1").len()) {
        let events = endings("E1");
        let mut tx = kit.kit.database().begin_write().await.unwrap();
        for place in order.iter().chain(&order) {
            apply(&mut tx, std::slice::from_ref(&events[*place])).await.unwrap();
        }
        let found = member(&mut tx, &programme(), TRAINEE, &id("E1")).await.unwrap().unwrap();
        for (when, expected) in [
            ("09-30T23:59:59", "130302 S0 L1"),
            ("10-01T00:00:00", "130302 S0 L2"),
            ("10-05T00:00:00", "130302 S1 L2"),
            ("10-10T00:00:00", "130302 S1 L3"),
            ("10-20T00:00:00", "130303 S1 L3"),
            ("12-01T00:00:00", "130304 S1 L5"),
            ("12-10T00:00:00", "130304 S1 "),
        ] {
            let place = found.places.at(instant(when));
            let said = format!("{} {} {}", place.county_text(), place.school_text(), place.class_text());
            assert_eq!(said, expected, "{when} {order:?}");
        }
        let class = shipei_mirror::class(&mut tx, &programme(), &id("L1")).await.unwrap().unwrap();
        assert_eq!(class.tutors.before(instant("10-01T00:00:00")), &Some(id("U1")));
        assert_eq!((class.tutors.at(instant("10-01T00:00:00")), class.tutors.last()), (&None, &None));
        assert_eq!(class.regions.last(), &id::<RegionCode>("130303"));
        for (region, when, expected) in [
            ("130300", "10-19T23:59:59", "130302"),
            ("130600", "10-20T00:00:00", "130302 130303"),
            ("133100", "11-01T00:00:00", "130302 130303"),
            ("130303", "11-01T00:00:00", "130302 130303"),
            ("130300", "11-01T00:00:00", ""),
        ] {
            let within = tree::within(&mut tx, PROGRAMME, region, instant(when)).await.unwrap();
            assert_eq!(within.join(" "), expected, "{region} {when} {order:?}");
        }
        // Without the second merge L2 goes on; without the first, L1 does.
        for (fallen, expected) in [("L2-L3", "L2"), ("L1-L2", "L1"), ("130302-130303", "L1")] {
            shipei_store::retraction::learn(&mut tx, "enrollment", &[(PROGRAMME, fallen)]).await.unwrap();
            let told: Vec<Event> = events.iter().filter(|event| event.fact_id == fallen).cloned().collect();
            assert_eq!(told.len(), 1);
            apply(&mut tx, &told).await.unwrap();
            let found = member(&mut tx, &programme(), TRAINEE, &id("E1")).await.unwrap().unwrap();
            let place = found.places.at(instant("11-15T00:00:00"));
            assert_eq!(place.class_text(), expected, "without {fallen}");
            assert_eq!(place.county_text() == "130302", fallen.starts_with("1303"), "without {fallen}");
        }
        let within = tree::within(&mut tx, PROGRAMME, "133100", instant("12-01T00:00:00")).await.unwrap();
        assert!(!within.contains(&"130302".to_owned()), "{within:?}");
        tx.rollback().await.unwrap();
    }
}

/// Who had been enrolled by mistake is nobody, whichever is told first, and somebody again when that falls.
async fn who_was_removed_is_nobody_in_any_order(kit: TestKit) {
    for (number, order) in [[0, 1], [1, 0]].iter().enumerate() {
        let person = format!("R{number}");
        let id = id::<PersonId>(&person);
        let told = removal(&person, Role::Trainee, "12-01T00:00:00");
        let told = Event { fact_id: format!("X{number}"), ..told };
        let events = [registration(&person), told];
        let mut tx = kit.kit.database().begin_write().await.unwrap();
        for place in order {
            apply(&mut tx, &events[*place..=*place]).await.unwrap();
        }
        assert_eq!(member(&mut tx, &programme(), TRAINEE, &id).await.unwrap(), None, "{order:?}");
        let fallen = [(PROGRAMME, events[1].fact_id.as_str())];
        shipei_store::retraction::learn(&mut tx, "enrollment", &fallen).await.unwrap();
        apply(&mut tx, &events[1..]).await.unwrap();
        let back = member(&mut tx, &programme(), TRAINEE, &id).await.unwrap().unwrap();
        assert_eq!((back.role, back.places.first().class_text()), (TRAINEE, "L1"));
        tx.commit().await.unwrap();
    }
}
