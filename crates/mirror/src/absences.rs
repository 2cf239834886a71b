//! When people were away from a role, of the withdrawals and returns that stand, as rows that lists can ask.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use shipei_rules::{
    absence::Absences,
    ids::{PersonId, ProgrammeId},
    vocabulary::Role,
};
use shipei_service_kit::Result;
use shipei_store::{Tx, bulk_insert, execute, fetch_all, learned_stands, select_by_keys};

/// The most withdrawals and returns of one person that are looked at.
const TURNS_MAX: i64 = 10_000;

/// After every fact: when somebody comes back who left for good.
fn never() -> DateTime<Utc> {
    DateTime::from_timestamp(253_402_214_400, 0).unwrap_or(DateTime::<Utc>::MAX_UTC) // 9999-12-31
}

/// Puts in place what follows from the withdrawals and returns of a person in a role that stand.
pub(crate) async fn put(tx: &mut Tx, programme_id: &str, person_id: &str, role: &str) -> Result<()> {
    let turns: Vec<(String, DateTime<Utc>)> = fetch_all!(
        tx,
        (String, DateTime<Utc>),
        concat!(
            "SELECT f.kind, f.happened_at FROM mirror_person_fact f WHERE",
            learned_stands!("f", "enrollment"),
            "AND f.programme_id = $1 AND f.person_id = $2 AND f.as_role = $3 AND f.kind IN ('withdrawal', 'return') \
             ORDER BY f.happened_at LIMIT $4"
        ),
        programme_id,
        person_id,
        role,
        TURNS_MAX
    )?;
    let of = |kind: &str| -> Vec<DateTime<Utc>> {
        turns.iter().filter(|(of_kind, _)| of_kind == kind).map(|(_, at)| *at).collect()
    };
    let absences = Absences::of(of("withdrawal"), of("return"));
    execute!(
        tx,
        "DELETE FROM mirror_absence WHERE programme_id = $1 AND person_id = $2 AND as_role = $3",
        programme_id,
        person_id,
        role
    )?;
    let rows = absences.all();
    bulk_insert!(
        tx,
        "INSERT INTO mirror_absence (programme_id, person_id, as_role, from_at, until_at)",
        rows,
        |away| (programme_id, person_id, role, away.from, away.until.unwrap_or_else(never))
    )?;
    Ok(())
}

#[derive(sqlx::FromRow)]
struct AbsenceRow {
    #[sqlx(try_from = "String")]
    person_id: PersonId,
    from_at: DateTime<Utc>,
    until_at: DateTime<Utc>,
}

/// Withdrawals and returns.
type Turns = (Vec<DateTime<Utc>>, Vec<DateTime<Utc>>);

/// When these people were away from a role.
pub(crate) async fn of_people(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    role: Role,
    person_ids: &[&PersonId],
) -> Result<BTreeMap<PersonId, Absences>> {
    let rows: Vec<AbsenceRow> = select_by_keys!(
        tx,
        AbsenceRow,
        [
            "SELECT person_id, from_at, until_at FROM mirror_absence WHERE programme_id = ",
            programme_id.as_str(),
            " AND as_role = ",
            role.as_str(),
            " AND person_id IN "
        ],
        person_ids,
        |person_id| (person_id.as_str())
    )?;
    let mut turns: BTreeMap<PersonId, Turns> = BTreeMap::new();
    for row in rows {
        let (withdrawals, returns) = turns.entry(row.person_id).or_default();
        withdrawals.push(row.from_at);
        returns.extend(Some(row.until_at).filter(|until| *until < never()));
    }
    let of = |(person_id, (withdrawals, returns))| (person_id, Absences::of(withdrawals, returns));
    Ok(turns.into_iter().map(of).collect())
}
