//! From touched people to stored scores and their events, in the transaction that brought the facts.
//!
//! Stored scores are as of the programme's end (`Scheme::final_as_of`): all facts, whatever the clock says, so that they
//! depend on nothing but the facts. Each change is an event with what was before and the event that led to it. Trainees
//! come first, because tutors (whose marks are owed) and counties (counts) follow from them; see `store/scores.rs` for
//! the locks. To score one more kind of thing: a file here, its touch in `facts::Touched`, its step in [`run`].

mod counties;
pub mod rescore;
mod trainees;
mod tutors;

use std::{collections::BTreeMap, sync::Arc};

use shipei_contracts::common::v1::ErrorReason;
use shipei_mirror::{Programmes, Windows};
use shipei_rules::{
    ids::{PersonId, ProgrammeId},
    region::RegionCode,
    scheme::Scheme,
};
use shipei_service_kit::{Error, Result, Unit};
use shipei_store::Tx;

use crate::{
    facts::{Cause, Touched},
    store::{classes, counts, due, scores},
};

/// How many of those who are due are scored at once.
const DUE_PAGE: i64 = 4_000;

/// What every step of one recomputation shares.
pub(crate) struct Work<'work> {
    pub(crate) programme_id: &'work ProgrammeId,
    pub(crate) scheme: Arc<Scheme>,
    /// The scheme with the windows that apply to some.
    pub(crate) windows: Windows,
}

/// The scheme of a programme, once it has arrived.
pub(crate) async fn known_windows(
    schemes: &Programmes,
    tx: &mut Tx,
    programme_id: &ProgrammeId,
) -> Result<Option<Windows>> {
    match schemes.windows(tx, programme_id).await {
        Ok(windows) => Ok(Some(windows)),
        Err(Error::Refused(refusal)) if refusal.reason == ErrorReason::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Scores everybody who was touched. Before the scheme has arrived only their rows are made, and the scheme's arrival
/// scores them all.
///
/// # Errors
/// What the database does, and rows that can't be.
pub async fn run(
    unit: &mut Unit,
    schemes: &Programmes,
    programme_id: &ProgrammeId,
    mut touched: Touched,
) -> Result<()> {
    if touched.is_empty() {
        return Ok(());
    }
    let Some(windows) = known_windows(schemes, &mut unit.tx, programme_id).await? else {
        return make_rows(&mut unit.tx, programme_id, &touched).await;
    };
    let work = Work { programme_id, scheme: Arc::clone(&windows.scheme), windows };
    let authors = std::mem::take(&mut touched.authors);
    let difference = trainees::run(unit, &work, &mut touched).await?;
    touch_classes_of(unit, programme_id, &authors, &mut touched).await?;
    tutors::run(unit, &work, &touched).await?;
    counties::run(unit, &work, &touched, &difference).await
}

/// Scores a page of those who are due; false when nobody is. Which classes and counties follow from trainees is due then
/// too, so that each is scored once after all trainees.
///
/// # Errors
/// What the database does, and rows that can't be.
pub async fn run_due(unit: &mut Unit, schemes: &Programmes, programme_id: &ProgrammeId) -> Result<bool> {
    scores::lock_programme(&mut unit.tx, programme_id, false).await?;
    let mut touched = due::take(&mut unit.tx, programme_id, DUE_PAGE).await?;
    if touched.is_empty() {
        return Ok(false);
    }
    if touched.trainees.is_empty() {
        run(unit, schemes, programme_id, touched).await?;
        return Ok(true);
    }
    let Some(windows) = known_windows(schemes, &mut unit.tx, programme_id).await? else {
        make_rows(&mut unit.tx, programme_id, &touched).await?;
        return Ok(true);
    };
    let work = Work { programme_id, scheme: Arc::clone(&windows.scheme), windows };
    // It is not kept who of them stands elsewhere; all are scored once behind much that was learned.
    let authors = touched.trainees.clone();
    let difference = trainees::run(unit, &work, &mut touched).await?;
    touch_classes_of(unit, programme_id, &authors, &mut touched).await?;
    counts::add(&mut unit.tx, programme_id, &difference).await?;
    due::add(&mut unit.tx, programme_id, &touched).await?;
    Ok(true)
}

/// Touches the classes to which these trainees posted. Asked for behind the trainees' locks, which are held by now: of a post and of where its
/// author stands, that two shards learn at once, the one that is later sees the other, and scores the class with both.
async fn touch_classes_of(
    unit: &mut Unit,
    programme_id: &ProgrammeId,
    authors: &BTreeMap<PersonId, Cause>,
    touched: &mut Touched,
) -> Result<()> {
    let person_ids: Vec<&PersonId> = authors.keys().collect();
    for posted in classes::classes_posted_in(&mut unit.tx, programme_id, &person_ids).await? {
        if let Some(cause) = authors.get(&posted.person_id) {
            touched.class(&posted.class_id, cause);
        }
    }
    Ok(())
}

/// Makes the rows by which scoring anew finds everybody.
async fn make_rows(tx: &mut Tx, programme_id: &ProgrammeId, touched: &Touched) -> Result<()> {
    let trainees: Vec<&PersonId> = touched.trainees.keys().collect();
    scores::make_trainees(tx, programme_id, &trainees).await?;
    let tutors: Vec<&PersonId> = touched.tutors.keys().collect();
    scores::lock_tutors(tx, programme_id, &tutors).await?;
    let counties: Vec<RegionCode> = touched.counties.keys().copied().collect();
    let mut rows = Vec::new();
    for (county_code, mut row) in scores::lock_counties(tx, programme_id, &counties).await? {
        let latest = touched.counties.get(&county_code).and_then(|touch| touch.latest_fact_at);
        row.latest_fact_at = row.latest_fact_at.max(latest);
        rows.push(row);
    }
    scores::save_counties(tx, programme_id, &rows).await?;
    Ok(())
}
