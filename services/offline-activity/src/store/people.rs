//! The tables that have rows about people. Why a fact was retracted is private.

use shipei_service_kit::{PersonTable, forget_why_retracted};

/// The attendances of a person, by which their records and scores are found.
macro_rules! of_attendance {
    () => {
        "person_id = $2 AND activity_id IN (SELECT a.activity_id FROM attendance a WHERE a.programme_id = $1 AND a.person_id = $2)"
    };
}

/// All of them. What a counselor recorded of others is theirs.
pub(crate) const PEOPLE: &[PersonTable] = &[
    PersonTable::of("activity", &["counselor_id"]),
    PersonTable::of("attendance", &["person_id"])
        .erasing(&[forget_why_retracted!("attendance", "person_id")]),
    PersonTable::of("attendance_record", &["person_id"])
        .found_by(of_attendance!())
        .erasing(&[forget_why_retracted!("attendance_record", where "told.", of_attendance!())]),
    PersonTable::of("attendance_score", &["person_id"])
        .found_by(of_attendance!())
        .erasing(&[forget_why_retracted!("attendance_score", where "told.", of_attendance!())]),
    PersonTable::of("plan", &["counselor_id"]),
    PersonTable::of("plan_version", &["counselor_id"]),
    PersonTable::of("results", &["counselor_id"]),
];
