//! Who was erased. The mirror has neither names nor numbers; what a service has that is private of somebody, it says by its tables.

use std::collections::BTreeSet;

use shipei_contracts::{enrollment::v1 as enrollment, event::v1::Event};
use shipei_service_kit::{Fact, Handles, PersonTable, Result, Unit, dispatch, handles, people};
use shipei_store::{StoreError, Tx, execute};

/// The mirror's tables with rows about people. Nothing in them is private.
pub const PEOPLE: &[PersonTable] = &[
    PersonTable::of("mirror_class", &["tutor_id"]),
    PersonTable::of("mirror_class_tutor", &["tutor_id"]),
    PersonTable::of("mirror_extension", &["person_id"]),
    PersonTable::of("mirror_member", &["person_id"]),
    PersonTable::of("mirror_person_fact", &["person_id"]),
    PersonTable::of("mirror_teaching", &["person_id"]),
    PersonTable::of("mirror_absence", &["person_id"]),
    PersonTable::of("mirror_merge", &["merged_id", "kept_id"]),
    PersonTable::of("mirror_transfer", &["person_id"]),
];

/// Programmes and people.
type Erased = BTreeSet<(String, String)>;

const EVENTS: &[Handles<Erased>] = handles![Erased:
    enrollment::PersonErased => erased,
];

/// The types of the events that tell of it.
pub(crate) fn types() -> Vec<String> {
    dispatch::types(EVENTS)
}

/// Empties what is private in a service's tables of those who were erased by these events.
///
/// # Errors
/// What the database does, and events that can't be.
pub async fn erase(unit: &mut Unit, events: &[Event], tables: &[PersonTable]) -> Result<()> {
    let mut erased = Erased::new();
    dispatch::gather(EVENTS, &mut erased, events)?;
    // In the order of ids, so that two who do this never wait for each other in a circle.
    for (programme_id, person_id) in &erased {
        hold_member(&mut unit.tx, programme_id, person_id).await?;
        people::erase(&mut unit.tx, &[tables], (programme_id, person_id)).await?;
    }
    Ok(())
}

fn erased(into: &mut Erased, fact: enrollment::PersonErased, _: &Fact<'_>) -> Result<()> {
    into.insert((fact.programme_id, fact.person_id));
    Ok(())
}

/// Holds somebody until the transaction ends: what is written meanwhile with their name in it, asked of enrollment behind this, is
/// there when they are erased here, or was asked of enrollment when they had been erased there.
///
/// # Errors
/// What the database does.
pub async fn hold_member(
    tx: &mut Tx,
    programme_id: &str,
    person_id: &str,
) -> std::result::Result<(), StoreError> {
    if tx.is_postgres() {
        execute!(
            tx,
            "SELECT as_role FROM mirror_member WHERE programme_id = $1 AND person_id = $2 ORDER BY as_role FOR UPDATE",
            programme_id,
            person_id
        )?;
    }
    Ok(())
}
