//! Experts' choices of excellent tutors.

use shipei_service_kit::{
    Reach,
    reach::{AsOf, Columns},
};
use shipei_store::{StoreError, Tx, execute, fetch_list, fetch_one};

use super::Stamp;
use crate::domain::Time;

#[derive(Debug, Clone, sqlx::FromRow)]
pub(crate) struct ChoiceRow {
    pub(crate) tutor_id: String,
    pub(crate) expert_id: String,
    pub(crate) occurred_at: Time,
}

/// Notes when an expert first chose a tutor; false when it was by then.
pub(crate) async fn note_choice(
    tx: &mut Tx,
    programme_id: &str,
    tutor_id: &str,
    expert_id: &str,
    stamp: &Stamp,
) -> Result<bool, StoreError> {
    let changed = execute!(
        tx,
        "INSERT INTO tutor_choice (programme_id, tutor_id, expert_id, occurred_at, recorded_at, actor) \
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (programme_id, tutor_id, expert_id) DO UPDATE SET \
         occurred_at = excluded.occurred_at, recorded_at = excluded.recorded_at, actor = excluded.actor \
         WHERE excluded.occurred_at < tutor_choice.occurred_at",
        programme_id,
        tutor_id,
        expert_id,
        stamp.occurred_at,
        stamp.recorded_at,
        stamp.actor.as_str()
    )?;
    Ok(changed == 1)
}

/// The choice of a tutor by an expert, which is there.
pub(crate) async fn choice(
    tx: &mut Tx,
    programme_id: &str,
    tutor_id: &str,
    expert_id: &str,
) -> Result<ChoiceRow, StoreError> {
    fetch_one!(
        tx,
        ChoiceRow,
        "SELECT tutor_id, expert_id, occurred_at FROM tutor_choice \
         WHERE programme_id = $1 AND tutor_id = $2 AND expert_id = $3",
        programme_id,
        tutor_id,
        expert_id
    )
}

/// Choices by tutor, then expert, each reached by where the tutor's county lay then; an empty city is any.
pub(crate) async fn choices(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &str,
    city_code: &str,
    (after_tutor, after_expert): (&str, &str),
    limit: i64,
) -> Result<Vec<ChoiceRow>, StoreError> {
    let columns = Columns {
        region: "p.county_code",
        person: "c.tutor_id",
        ..Columns::none("c.programme_id", AsOf::Row("c.occurred_at"))
    };
    let city = Reach::region(city_code);
    fetch_list!(
        tx,
        ChoiceRow,
        [
            "SELECT c.tutor_id, c.expert_id, c.occurred_at FROM tutor_choice c \
             JOIN person p ON p.programme_id = c.programme_id AND p.person_id = c.tutor_id WHERE c.programme_id = ",
            programme_id,
            " AND (c.tutor_id, c.expert_id) > (",
            after_tutor,
            ", ",
            after_expert,
            ")",
            city.over(columns),
            "",
            reach.over(columns),
            " ORDER BY c.tutor_id, c.expert_id LIMIT ",
            limit
        ]
    )
}
