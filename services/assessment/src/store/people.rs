//! The tables that have rows about people. Nothing in them is private: all of it follows from facts, which say no more than ids.

use shipei_service_kit::PersonTable;

/// All of them.
pub(crate) const PEOPLE: &[PersonTable] = &[
    PersonTable::of("adjustment", &["person_id"]),
    PersonTable::of("attendance", &["person_id"]),
    PersonTable::of("duty_fact", &["person_id"]),
    PersonTable::of("mark", &["person_id"]),
    PersonTable::of("offline_score", &["person_id"]),
    PersonTable::of("phase_achieved", &["person_id"]),
    PersonTable::of("post", &["person_id"]),
    PersonTable::of("submission", &["person_id"]),
    PersonTable::of("trainee_place", &["person_id"]),
    PersonTable::of("trainee_score", &["person_id"]),
    PersonTable::of("tutor_choice", &["tutor_id", "expert_id"]),
    PersonTable::of("tutor_score", &["person_id"]),
];
