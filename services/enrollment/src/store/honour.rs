//! Experts' choices of excellent tutors.

use shipei_rules::{
    ids::{PersonId, ProgrammeId, text_of},
    region::RegionCode,
};
use shipei_service_kit::{
    Reach,
    reach::{AsOf, Columns},
};
use shipei_store::{StoreError, Tx, execute, fetch_optional, fetch_page, list::Listed, stands};

use super::{Stamp, things::taught_by};
use crate::domain::Time;

#[derive(Debug, Clone, sqlx::FromRow)]
pub(crate) struct ChoiceRow {
    #[sqlx(try_from = "String")]
    pub(crate) tutor_id: PersonId,
    #[sqlx(try_from = "String")]
    pub(crate) expert_id: PersonId,
    pub(crate) occurred_at: Time,
    pub(crate) fact_id: String,
}

/// Notes that an expert chose a tutor; the first choice that stands counts.
pub(crate) async fn note_choice(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    tutor_id: &PersonId,
    expert_id: &PersonId,
    (stamp, fact_id): (&Stamp, &str),
) -> Result<(), StoreError> {
    execute!(
        tx,
        "INSERT INTO tutor_choice (programme_id, tutor_id, expert_id, occurred_at, recorded_at, actor, fact_id) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        programme_id.as_str(),
        tutor_id.as_str(),
        expert_id.as_str(),
        stamp.occurred_at,
        stamp.recorded_at,
        stamp.actor.as_str(),
        fact_id
    )?;
    Ok(())
}

/// A condition: of the choices of a tutor by an expert, `c` is the first one that stands.
macro_rules! counts {
    () => {
        concat!(
            stands!("c"),
            "AND NOT EXISTS (SELECT 1 FROM tutor_choice e WHERE e.programme_id = c.programme_id \
             AND e.tutor_id = c.tutor_id AND e.expert_id = c.expert_id \
             AND (e.occurred_at, e.fact_id) < (c.occurred_at, c.fact_id) AND",
            stands!("e"),
            ") "
        )
    };
}

/// The choice of a tutor by an expert that counts.
pub(crate) async fn choice(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    tutor_id: &PersonId,
    expert_id: &PersonId,
) -> Result<Option<ChoiceRow>, StoreError> {
    fetch_optional!(
        tx,
        ChoiceRow,
        concat!(
            "SELECT c.tutor_id, c.expert_id, c.occurred_at, c.fact_id FROM tutor_choice c \
             WHERE c.programme_id = $1 AND c.tutor_id = $2 AND c.expert_id = $3 AND",
            counts!()
        ),
        programme_id.as_str(),
        tutor_id.as_str(),
        expert_id.as_str()
    )
}

/// Choices by tutor, then expert, each reached by where the tutor's county lay then; an absent city is any.
pub(crate) async fn choices(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &ProgrammeId,
    city_code: Option<RegionCode>,
    (after_tutor, after_expert): (&str, &str),
    limit: i64,
) -> Result<Vec<Listed<ChoiceRow>>, StoreError> {
    let columns = Columns {
        region: "p.county_code",
        person: "c.tutor_id",
        subject: taught_by!("c.programme_id", "c.tutor_id", "'class_tutor'"),
        ..Columns::none("c.programme_id", AsOf::Row("c.occurred_at"))
    };
    let city = Reach::region(text_of(city_code.as_ref()));
    fetch_page!(
        tx,
        ChoiceRow,
        "tutor_choice" by ["tutor_id", "expert_id"],
        [
            concat!(
                "SELECT c.tutor_id, c.expert_id, c.occurred_at, c.fact_id FROM tutor_choice c \
                 JOIN person p ON p.programme_id = c.programme_id AND p.person_id = c.tutor_id AND p.role = 'class_tutor' WHERE",
                counts!(),
                "AND c.programme_id = "
            ),
            programme_id.as_str(),
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
