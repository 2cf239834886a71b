//! The tables that have rows about people, and what in them is private beside names and numbers: reasons, which somebody wrote.

use shipei_service_kit::{PersonTable, forget_why_retracted};

/// All of them.
pub(crate) const PEOPLE: &[PersonTable] = &[
    PersonTable::of("class", &["tutor_id", "created_tutor_id"]),
    PersonTable::of("class_tutor", &["old_tutor_id", "new_tutor_id"]).erasing(&[
        "UPDATE class_tutor SET reason = '' WHERE programme_id = $1 AND (old_tutor_id = $2 OR new_tutor_id = $2)",
        forget_why_retracted!("class_tutor", "old_tutor_id"),
        forget_why_retracted!("class_tutor", "new_tutor_id"),
    ]),
    PersonTable::of("county_fact", &["person_id"]),
    PersonTable::of("extension", &["person_id"]).erasing(&[
        "UPDATE extension SET reason = '' WHERE programme_id = $1 AND person_id = $2",
        forget_why_retracted!("extension", "person_id"),
    ]),
    // Emptied by `person_erasure`.
    PersonTable::of("person", &["person_id"]),
    PersonTable::of("person_change", &["person_id"]).erasing(&[
        "UPDATE person_change SET reason = '' WHERE programme_id = $1 AND person_id = $2",
        forget_why_retracted!("person_change", "person_id"),
    ]),
    PersonTable::of("person_erasure", &["person_id"]),
    PersonTable::of("person_fact", &["person_id"]).erasing(&[
        "UPDATE person_fact SET reason = '' WHERE programme_id = $1 AND person_id = $2",
        forget_why_retracted!("person_fact", "person_id"),
    ]),
    PersonTable::of("person_key", &["person_id"])
        .erasing(&["DELETE FROM person_key WHERE programme_id = $1 AND person_id = $2"]),
    PersonTable::of("person_merge", &["merged_id", "kept_id"]).erasing(&[
        "UPDATE person_merge SET reason = '' WHERE programme_id = $1 AND (merged_id = $2 OR kept_id = $2)",
        forget_why_retracted!("person_merge", "merged_id"),
        forget_why_retracted!("person_merge", "kept_id"),
    ]),
    PersonTable::of("transfer", &["person_id"]).erasing(&[forget_why_retracted!("transfer", "person_id")]),
    // Whose number is empty is found as somebody barred no more; that is emptied by `person_erasure`.
    PersonTable::of("tutor_bar", &["tutor_id"]).erasing(&[
        "UPDATE tutor_bar SET reason = '' WHERE programme_id = $1 AND tutor_id = $2",
        forget_why_retracted!("tutor_bar", "tutor_id"),
    ]),
    PersonTable::of("tutor_choice", &["tutor_id", "expert_id"]),
];
