//! Who the models are about: city 130300 with counties 130302 (counselor K1) and 130303 (K2); T1 and T2 in class L1 of U1 and
//! county 130302, T3 in class L2 of U2 and county 130303.

use shipei_contracts::{
    common::v1::{EducationStage, Role},
    enrollment::v1 as enrollment,
    event::v1::Event,
};
use shipei_mirror::testing::{PROGRAMME, event, region};

pub(crate) const SCHEME: &str = include_str!("../../crates/rules/data/qinhuangdao-2019.toml");
const START: &str = "06-20T00:00:00";

/// Trainees, each with county, class and the class's tutor.
pub(crate) const TRAINEES: [(&str, &str, &str, &str); 3] =
    [("T1", "130302", "L1", "U1"), ("T2", "130302", "L1", "U1"), ("T3", "130303", "L2", "U2")];
/// Counselors, each with their county.
pub(crate) const COUNSELORS: [(&str, &str); 2] = [("K1", "130302"), ("K2", "130303")];

/// What enrollment told of all of them. Learning is open, and every trainee has logged in.
pub(crate) fn roster() -> Vec<Event> {
    let programme_id = || PROGRAMME.to_owned();
    let created = enrollment::ProgrammeCreated {
        programme_id: programme_id(),
        region_code: "130300".to_owned(),
        scheme_toml: SCHEME.to_owned(),
        scheme_version: 1,
    };
    let mut events = vec![
        event(START, &created),
        region("130300", "city", "130000", "130000"),
        region("130302", "county", "130300", "130000"),
        region("130303", "county", "130300", "130000"),
    ];
    for (class_id, region_code, tutor_id) in [("L1", "130302", "U1"), ("L2", "130303", "U2")] {
        let created = enrollment::ClassCreated {
            programme_id: programme_id(),
            class_id: class_id.to_owned(),
            region_code: region_code.to_owned(),
            tutor_id: tutor_id.to_owned(),
        };
        events.push(event(START, &created));
        let opened =
            enrollment::LearningOpened { programme_id: programme_id(), county_code: region_code.to_owned() };
        events.push(event("09-10T08:00:00", &opened));
    }
    for (person_id, county_code, class_id, _) in TRAINEES {
        events.push(registration(person_id, Role::Trainee, county_code, class_id));
        let logged_in =
            enrollment::PersonLoggedIn { programme_id: programme_id(), person_id: person_id.to_owned() };
        events.push(event("09-11T08:00:00", &logged_in));
    }
    for (person_id, county_code) in COUNSELORS {
        events.push(registration(person_id, Role::CountyCounselor, county_code, ""));
    }
    for person_id in ["U1", "U2"] {
        events.push(registration(person_id, Role::ClassTutor, "", ""));
    }
    events
}

fn registration(person_id: &str, role: Role, county_code: &str, class_id: &str) -> Event {
    let education_stage = match role {
        Role::Trainee => EducationStage::Compulsory,
        _ => EducationStage::Unspecified,
    };
    let registered = enrollment::PersonRegistered {
        programme_id: PROGRAMME.to_owned(),
        person_id: person_id.to_owned(),
        role: role.into(),
        county_code: county_code.to_owned(),
        class_id: class_id.to_owned(),
        education_stage: education_stage.into(),
        subject: "语文".to_owned(),
        ..enrollment::PersonRegistered::default()
    };
    event(START, &registered)
}
