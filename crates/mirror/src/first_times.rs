//! When members first did something, of the facts that stand: each fact is a row, and the first times are folded into the
//! member's row, which is read for every heartbeat.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use shipei_service_kit::Result;
use shipei_store::{Tx, bulk_insert, learned_stands, select_by_keys};

use crate::absences;

/// What somebody did or what befell them.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PersonFact {
    pub(crate) person_id: String,
    pub(crate) programme_id: String,
    /// `login`, `pre_job`, `withdrawal`, `return` or `removal`.
    pub(crate) kind: &'static str,
    pub(crate) at: DateTime<Utc>,
    pub(crate) fact_id: String,
}

#[derive(sqlx::FromRow)]
struct FirstRow {
    person_id: String,
    kind: String,
    happened_at: DateTime<Utc>,
}

/// Keeps what people did, and in their rows the first times that stand: also of those whose facts are told again because they
/// fell. The rows are there, and held.
pub(crate) async fn save(tx: &mut Tx, facts: &BTreeSet<PersonFact>) -> Result<()> {
    let rows: Vec<_> = facts.iter().collect();
    bulk_insert!(
        tx,
        "INSERT INTO mirror_person_fact (person_id, programme_id, kind, happened_at, fact_id)",
        rows,
        |fact| (&fact.person_id, &fact.programme_id, fact.kind, fact.at, &fact.fact_id),
        " ON CONFLICT (person_id, programme_id, kind, happened_at, fact_id) DO NOTHING"
    )?;
    let mut people: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for fact in facts {
        people.entry(&fact.programme_id).or_default().insert(&fact.person_id);
    }
    for (programme_id, person_ids) in people {
        let person_ids: Vec<&str> = person_ids.into_iter().collect();
        let firsts: Vec<FirstRow> = select_by_keys!(
            tx,
            FirstRow,
            [
                concat!(
                    "SELECT f.person_id, f.kind, MIN(f.happened_at) AS happened_at FROM mirror_person_fact f WHERE",
                    learned_stands!("f", "enrollment"),
                    "AND f.programme_id = "
                ),
                programme_id,
                " AND f.person_id IN "
            ],
            person_ids,
            |person_id| (*person_id),
            " GROUP BY f.person_id, f.kind"
        )?;
        let first = |person_id: &str, kind: &str| {
            let found = firsts.iter().find(|row| row.person_id == person_id && row.kind == kind);
            found.map(|row| row.happened_at)
        };
        let rows: Vec<FirstTimes> = person_ids
            .iter()
            .map(|person_id| FirstTimes {
                person_id: (*person_id).to_owned(),
                login_at: first(person_id, "login"),
                pre_job_at: first(person_id, "pre_job"),
                withdrawn_at: first(person_id, "withdrawal"),
                removed: first(person_id, "removal").is_some(),
            })
            .collect();
        bulk_insert!(
            tx,
            "INSERT INTO mirror_member (programme_id, person_id, role, registered_role, removed, education_stage, \
             development_stage, subject, county_code, school_code, class_id, is_merged, login_at, pre_job_at, withdrawn_at)",
            rows,
            |row| (
                programme_id,
                &row.person_id,
                "",
                "",
                row.removed,
                "",
                "",
                "",
                "",
                "",
                "",
                false,
                row.login_at,
                row.pre_job_at,
                row.withdrawn_at
            ),
            " ON CONFLICT (programme_id, person_id) DO UPDATE SET login_at = excluded.login_at, \
             pre_job_at = excluded.pre_job_at, withdrawn_at = excluded.withdrawn_at, removed = excluded.removed, \
             role = CASE WHEN excluded.removed THEN '' ELSE mirror_member.registered_role END"
        )?;
    }
    let turns = facts.iter().filter(|fact| matches!(fact.kind, "withdrawal" | "return"));
    let turned: BTreeSet<(&str, &str)> =
        turns.map(|fact| (fact.programme_id.as_str(), fact.person_id.as_str())).collect();
    for (programme_id, person_id) in turned {
        absences::put(tx, programme_id, person_id).await?;
    }
    Ok(())
}

/// The first times of one person that stand.
struct FirstTimes {
    person_id: String,
    login_at: Option<DateTime<Utc>>,
    pre_job_at: Option<DateTime<Utc>>,
    withdrawn_at: Option<DateTime<Utc>>,
    removed: bool,
}
