//! The tables that have rows about people. What they and their tutors wrote as work stays; why a fact was retracted is private.

use shipei_service_kit::{PersonTable, forget_why_retracted};

/// All of them.
pub(crate) const PEOPLE: &[PersonTable] = &[
    PersonTable::of("bulletin", &["tutor_id"]),
    // What was said of somebody's work is about them, too.
    PersonTable::of("mark", &["tutor_id"]).found_by(
        "tutor_id = $2 OR submission_id IN (SELECT s.submission_id FROM submission s WHERE s.programme_id = $1 AND s.person_id = $2)",
    ),
    PersonTable::of("post", &["person_id"]).erasing(&[forget_why_retracted!("post", "person_id")]),
    PersonTable::of("seminar", &["tutor_id"]),
    PersonTable::of("seminar_summary", &["tutor_id"]),
    PersonTable::of("submission", &["person_id"]).erasing(&[forget_why_retracted!("submission", "person_id")]),
    PersonTable::of("trainee_work", &["person_id"]),
];
