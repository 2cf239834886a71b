//! The tables that have rows about people, and what in them is private: reasons, which somebody wrote, and what stands on certificates.

use shipei_service_kit::{PersonTable, forget_why_retracted};

/// All of them.
pub(crate) const PEOPLE: &[PersonTable] = &[
    PersonTable::of("adjustment", &["person_id"]).erasing(&[
        "UPDATE adjustment SET reason = '' WHERE programme_id = $1 AND person_id = $2",
        forget_why_retracted!("adjustment", "person_id"),
    ]),
    PersonTable::of("adjustment_number", &["person_id"]),
    // The number, its version and whether it was revoked stay; what stood on it is gone.
    PersonTable::of("certificate", &["person_id"]).erasing(&[
        "UPDATE certificate SET sealed_code = substr(sealed_code, 1, 0), revoke_reason = '' \
         WHERE programme_id = $1 AND person_id = $2",
    ]),
    PersonTable::of("evidence", &["person_id"]).erasing(&[
        forget_why_retracted!("evidence", "person_id"),
        "UPDATE evidence_sent_back SET reason = '' WHERE programme_id = $1 AND evidence_fact_id IN (SELECT e.fact_id \
         FROM evidence e WHERE e.programme_id = $1 AND e.person_id = $2)",
        "UPDATE retraction SET reason = '' WHERE programme_id = $1 AND reason <> '' AND fact_id IN (SELECT b.fact_id \
         FROM evidence_sent_back b JOIN evidence e ON e.programme_id = b.programme_id AND e.fact_id = b.evidence_fact_id \
         WHERE e.programme_id = $1 AND e.person_id = $2)",
    ]),
    PersonTable::of("evidence_number", &["person_id"]),
    PersonTable::of("final_score", &["person_id"]).found_by(
        "person_id = $2 AND version IN (SELECT v.version FROM final_version v WHERE v.programme_id = $1)",
    ),
];
