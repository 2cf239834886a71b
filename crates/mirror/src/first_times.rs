//! When members first did something, of the facts that stand: each fact is a row, and the first times are folded into the
//! member's row, which is read for every heartbeat. A log-in counts in all roles of a person and is folded into the row of the trainee: one
//! row for each person, which is held by whoever writes it, whichever of their roles is told first. Those who are staff are few, and asked of
//! the facts.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use shipei_rules::ids::{PersonId, ProgrammeId};
use shipei_service_kit::Result;
use shipei_store::{Tx, bulk_insert, learned_stands, select_by_keys};

use crate::absences;

/// What somebody did or what befell them.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PersonFact {
    pub(crate) person_id: String,
    pub(crate) programme_id: String,
    /// In which role; empty for what counts in all of them.
    pub(crate) role: &'static str,
    /// `login`, `pre_job`, `withdrawal`, `return` or `removal`.
    pub(crate) kind: &'static str,
    pub(crate) at: DateTime<Utc>,
    pub(crate) fact_id: String,
}

/// The role in whose row what counts in all of them is folded.
pub(crate) const TRAINEE: &str = "trainee";

impl PersonFact {
    /// The role of the row that it is folded into.
    pub(crate) fn row_role(&self) -> &'static str {
        if self.role.is_empty() { TRAINEE } else { self.role }
    }
}

#[derive(sqlx::FromRow)]
struct FirstRow {
    person_id: String,
    as_role: String,
    kind: String,
    happened_at: DateTime<Utc>,
}

/// Keeps what people did, and in their rows the first times that stand: also of those whose facts are told again because they
/// fell. The rows are there, and held.
pub(crate) async fn save(tx: &mut Tx, facts: &BTreeSet<PersonFact>) -> Result<()> {
    let rows: Vec<_> = facts.iter().collect();
    bulk_insert!(
        tx,
        "INSERT INTO mirror_person_fact (person_id, programme_id, as_role, kind, happened_at, fact_id)",
        rows,
        |fact| (&fact.person_id, &fact.programme_id, fact.role, fact.kind, fact.at, &fact.fact_id),
        " ON CONFLICT (person_id, programme_id, as_role, kind, happened_at, fact_id) DO NOTHING"
    )?;
    let mut people: BTreeMap<&str, BTreeSet<(&str, &'static str)>> = BTreeMap::new();
    for fact in facts {
        people.entry(&fact.programme_id).or_default().insert((&fact.person_id, fact.row_role()));
    }
    for (programme_id, people) in people {
        let person_ids: BTreeSet<&str> = people.iter().map(|(person_id, _)| *person_id).collect();
        let person_ids: Vec<&str> = person_ids.into_iter().collect();
        let firsts: Vec<FirstRow> = select_by_keys!(
            tx,
            FirstRow,
            [
                concat!(
                    "SELECT f.person_id, f.as_role, f.kind, MIN(f.happened_at) AS happened_at FROM mirror_person_fact f WHERE",
                    learned_stands!("f", "enrollment"),
                    "AND f.programme_id = "
                ),
                programme_id,
                " AND f.person_id IN "
            ],
            person_ids,
            |person_id| (*person_id),
            " GROUP BY f.person_id, f.as_role, f.kind"
        )?;
        let first = |person_id: &str, role: &str, kind: &str| {
            let is_sought =
                |row: &&FirstRow| (&*row.person_id, &*row.as_role, &*row.kind) == (person_id, role, kind);
            firsts.iter().find(is_sought).map(|row| row.happened_at)
        };
        let rows: Vec<FirstTimes> = people
            .iter()
            .map(|(person_id, role)| FirstTimes {
                person_id: (*person_id).to_owned(),
                role,
                login_at: first(person_id, "", "login").filter(|_| *role == TRAINEE),
                withdrawn_at: first(person_id, role, "withdrawal"),
                removed: first(person_id, role, "removal").is_some(),
            })
            .collect();
        bulk_insert!(
            tx,
            "INSERT INTO mirror_member (programme_id, person_id, as_role, role, removed, education_stage, \
             development_stage, subject, county_code, school_code, class_id, is_merged, login_at, withdrawn_at)",
            rows,
            |row| (
                programme_id,
                &row.person_id,
                row.role,
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
                row.withdrawn_at
            ),
            " ON CONFLICT (programme_id, person_id, as_role) DO UPDATE SET login_at = excluded.login_at, \
             withdrawn_at = excluded.withdrawn_at, removed = excluded.removed, \
             role = CASE WHEN excluded.removed OR mirror_member.registered_at IS NULL THEN '' ELSE mirror_member.as_role END"
        )?;
    }
    let turns = facts.iter().filter(|fact| matches!(fact.kind, "withdrawal" | "return"));
    let turned: BTreeSet<(&str, &str, &str)> =
        turns.map(|fact| (fact.programme_id.as_str(), fact.person_id.as_str(), fact.role)).collect();
    for (programme_id, person_id, role) in turned {
        absences::put(tx, programme_id, person_id, role).await?;
    }
    Ok(())
}

/// When these people first logged in and attended the training before the job, of the facts that stand, by person and kind.
pub(crate) async fn of_people(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    person_ids: &[&PersonId],
) -> Result<BTreeMap<(String, String), DateTime<Utc>>> {
    let rows: Vec<FirstRow> = select_by_keys!(
        tx,
        FirstRow,
        [
            concat!(
                "SELECT f.person_id, f.as_role, f.kind, MIN(f.happened_at) AS happened_at FROM mirror_person_fact f \
                 WHERE f.as_role = '' AND",
                learned_stands!("f", "enrollment"),
                "AND f.programme_id = "
            ),
            programme_id.as_str(),
            " AND f.person_id IN "
        ],
        person_ids,
        |person_id| (person_id.as_str()),
        " GROUP BY f.person_id, f.as_role, f.kind"
    )?;
    Ok(rows.into_iter().map(|row| ((row.person_id, row.kind), row.happened_at)).collect())
}

/// The first times of one person in a role that stand.
struct FirstTimes {
    person_id: String,
    role: &'static str,
    login_at: Option<DateTime<Utc>>,
    withdrawn_at: Option<DateTime<Utc>>,
    removed: bool,
}
