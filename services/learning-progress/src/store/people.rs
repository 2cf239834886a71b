//! The tables that have rows about people, and what in them is private: reasons and what shows them, which somebody wrote.

use shipei_service_kit::{PersonTable, forget_why_retracted};

/// All of them.
pub(crate) const PEOPLE: &[PersonTable] = &[
    PersonTable::of("course_progress", &["person_id"]),
    PersonTable::of("granted_time", &["person_id"]).erasing(&[
        "UPDATE granted_time SET reason = '', evidence = '' WHERE programme_id = $1 AND person_id = $2",
        forget_why_retracted!("granted_time", "person_id"),
    ]),
    PersonTable::of("learner", &["person_id"]),
    PersonTable::of("phase_course_progress", &["person_id"]),
    PersonTable::of("phase_progress", &["person_id"]),
    PersonTable::of("selection", &["person_id"]).erasing(&[forget_why_retracted!("selection", "person_id")]),
    PersonTable::of("session", &["person_id"]),
    PersonTable::of("session_voided", &["person_id"]).erasing(&[
        "UPDATE session_voided SET reason = '' WHERE programme_id = $1 AND person_id = $2",
        forget_why_retracted!("session_voided", "person_id"),
    ]),
    PersonTable::of("study_day", &["person_id"]),
    PersonTable::of("united_due", &["person_id"]),
    PersonTable::of("united_phase", &["person_id"]),
];
