//! Two ids of one person, of the merges that stand: for whom an id counts, and which ids count for it. No chains: enrollment refuses
//! them.

use std::collections::{BTreeMap, BTreeSet};

use shipei_rules::{
    ids::{PersonId, ProgrammeId},
    vocabulary::Role,
};
use shipei_service_kit::Result;
use shipei_store::{Tx, bulk_insert, fetch_optional, learned_stands, select_by_keys};

/// A merge, as its event has it.
#[derive(Debug)]
pub(crate) struct MergeFact {
    pub(crate) kept_id: String,
    /// The role in which.
    pub(crate) role: &'static str,
    pub(crate) fact_id: String,
}

/// A merge is kept once, by the id that is merged and its number.
pub(crate) async fn save(tx: &mut Tx, merges: &BTreeMap<(String, String, i64), MergeFact>) -> Result<()> {
    let rows: Vec<_> = merges.iter().collect();
    bulk_insert!(
        tx,
        "INSERT INTO mirror_merge (programme_id, merged_id, kept_id, as_role, merge_number, fact_id)",
        rows,
        |((programme_id, merged_id, number), merge)| (
            programme_id,
            merged_id,
            &merge.kept_id,
            merge.role,
            *number,
            &merge.fact_id
        ),
        " ON CONFLICT (merged_id, programme_id, merge_number) DO NOTHING"
    )?;
    Ok(())
}

/// An id, and the one that it counts for.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Merge {
    /// The id that counts for the other one.
    #[sqlx(try_from = "String")]
    pub merged_id: PersonId,
    /// The id that is kept.
    #[sqlx(try_from = "String")]
    pub kept_id: PersonId,
}

/// The beginning of a statement: merges `g` that stand and are the last ones of their ids and role that do, of a programme.
macro_rules! standing {
    () => {
        concat!(
            "SELECT g.merged_id, g.kept_id FROM mirror_merge g WHERE",
            learned_stands!("g", "enrollment"),
            "AND NOT EXISTS (SELECT 1 FROM mirror_merge n WHERE n.programme_id = g.programme_id \
             AND n.merged_id = g.merged_id AND n.as_role = g.as_role AND n.merge_number > g.merge_number AND",
            learned_stands!("n", "enrollment"),
            ") AND g.programme_id = "
        )
    };
}

/// The merges of a role that stand in which these ids take part, on either side, by the id that is merged.
pub async fn merges(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    role: Role,
    person_ids: &[&PersonId],
) -> Result<Vec<Merge>> {
    // Most programmes have none, and whoever applies events asks for everybody whom they touch.
    let any = "SELECT merged_id FROM mirror_merge WHERE programme_id = $1 LIMIT 1";
    if fetch_optional!(tx, (String,), any, programme_id.as_str())?.is_none() {
        return Ok(Vec::new());
    }
    let mut found: BTreeMap<PersonId, PersonId> = BTreeMap::new();
    for of_side in [" AND g.merged_id IN ", " AND g.kept_id IN "] {
        let rows: Vec<Merge> = select_by_keys!(
            tx,
            Merge,
            [standing!(), programme_id.as_str(), " AND g.as_role = ", role.as_str(), of_side],
            person_ids,
            |person_id| (person_id.as_str())
        )?;
        found.extend(rows.into_iter().map(|row| (row.merged_id, row.kept_id)));
    }
    Ok(found.into_iter().map(|(merged_id, kept_id)| Merge { merged_id, kept_id }).collect())
}

#[derive(sqlx::FromRow)]
struct RemovedRow {
    #[sqlx(try_from = "String")]
    person_id: PersonId,
}

/// Those of these people who were removed from a role.
pub(crate) async fn removed(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    role: Role,
    person_ids: &[&PersonId],
) -> Result<BTreeSet<PersonId>> {
    let rows: Vec<RemovedRow> = select_by_keys!(
        tx,
        RemovedRow,
        [
            "SELECT person_id FROM mirror_member WHERE removed AND as_role = ",
            role.as_str(),
            " AND programme_id = ",
            programme_id.as_str(),
            " AND person_id IN "
        ],
        person_ids,
        |person_id| (person_id.as_str())
    )?;
    Ok(rows.into_iter().map(|row| row.person_id).collect())
}
