//! The study of one person who has several ids, by the one that is kept: read from what each of them was credited
//! (`domain/united`), in the background, whenever something of it or a merge has changed (`store/united`).
//!
//! Each id keeps its own study and what is told of that, so that a merge may come before study or behind it, and be retracted.

use std::collections::BTreeMap;
use std::sync::Arc;

use shipei_mirror::{Member, Programmes, Windows};
use shipei_rules::ids::{CourseId, PersonId, ProgrammeId, SessionId};
use shipei_rules::scheme::Scheme;
use shipei_rules::vocabulary::Role;
use shipei_service_kit::{Error, Kit, Result, Unit};
use shipei_store::{StoreError, Tx};

use crate::catalogue::{Catalogue, Catalogues};
use crate::domain::course::Asked;
use crate::domain::dated::{Achievements, DatedCredit, achievements};
use crate::domain::study::{Phase, Session};
use crate::domain::united::{Studied, unite};
use crate::store::correction::{self, GrantRow};
use crate::store::session;
use crate::store::united::{self as store, Due};
use crate::store::{phase as stored_phase, study};
use crate::whole::restate_phase;

/// The most persons that are looked for in one round.
const DUE_PER_ROUND: i64 = 100;

/// All study of a person with several ids.
pub(crate) struct UnitedStudy {
    pub(crate) scheme: Arc<Scheme>,
    catalogue: Arc<Catalogue>,
    asked: shipei_mirror::History<Asked>,
    /// By id, the one that is kept first.
    of_ids: Vec<OfId>,
}

/// What was recorded for one of the ids.
#[derive(Default)]
struct OfId {
    sessions: Vec<(SessionId, CourseId, Session)>,
    grants: Vec<GrantRow>,
}

impl UnitedStudy {
    /// Reads the study of all ids of a member whose id is kept.
    pub(crate) async fn load(
        tx: &mut Tx,
        windows: &Windows,
        catalogue: Arc<Catalogue>,
        programme_id: &ProgrammeId,
        member: &Member,
    ) -> Result<UnitedStudy> {
        let scheme = windows.of_person(member);
        let ids: Vec<&PersonId> = member.ids().collect();
        let place_of: BTreeMap<&PersonId, usize> = ids.iter().copied().zip(0..).collect();
        let mut of_ids: Vec<OfId> = ids.iter().map(|_| OfId::default()).collect();
        for row in session::all_sessions(tx, programme_id, &ids).await? {
            let session = row.session()?;
            let place = place_of.get(&row.person_id).copied();
            if let Some(of) = place.and_then(|place| of_ids.get_mut(place)) {
                of.sessions.push((row.session_id, row.course_id, session));
            }
        }
        for row in correction::grants(tx, programme_id, &ids).await? {
            let place = place_of.get(&row.person_id).copied();
            if let Some(of) = place.and_then(|place| of_ids.get_mut(place)) {
                of.grants.push(row);
            }
        }
        let phases: Vec<_> = scheme.trainee.online.iter().map(|entry| entry.categories.as_slice()).collect();
        let main_line = catalogue.main_line();
        let asked = main_line.asked(&member.teaching, |teaching| main_line.totals(&phases, teaching.into()));
        Ok(UnitedStudy { scheme, catalogue, asked, of_ids })
    }

    /// What counts of it, nothing twice.
    pub(crate) fn credits(&self) -> Vec<DatedCredit<'_>> {
        let mut of_ids = Vec::with_capacity(self.of_ids.len());
        for OfId { sessions, grants } in &self.of_ids {
            let mut studied = Vec::new();
            for (session_id, course_id, session) in sessions {
                if let Some(course) = self.catalogue.course(course_id) {
                    studied.extend(Studied::of_session(course, session_id, session));
                }
            }
            for grant in grants {
                if let Some(course) = self.catalogue.course(&grant.course_id) {
                    studied.push(Studied::of_grant(course, grant.granted_at, grant.micros));
                }
            }
            of_ids.push(studied);
        }
        unite(&self.scheme, of_ids)
    }

    /// What the person achieved by that.
    pub(crate) fn achievements<'a>(&'a self, credits: &[DatedCredit<'a>]) -> Achievements<'a> {
        achievements(&self.scheme, &self.asked, credits.to_vec())
    }
}

/// Reads one person anew, and tells what is otherwise.
async fn restate(unit: &mut Unit, programmes: &Programmes, catalogues: &Catalogues, due: &Due) -> Result<()> {
    let Due { programme_id, person_id } = due;
    let member = shipei_mirror::member(&mut unit.tx, programme_id, Role::Trainee, person_id).await?;
    let Some(member) = member else {
        // Who was removed is nobody, of whom nothing is scored; being there again is told.
        store::take(&mut unit.tx, due).await?;
        return Ok(());
    };
    let mut ids: Vec<&PersonId> = member.ids().collect();
    ids.sort_unstable();
    for id in &ids {
        study::begin_learner(&mut unit.tx, programme_id, id).await?;
    }
    study::lock_learners(&mut unit.tx, programme_id, &ids).await?;
    if !store::take(&mut unit.tx, due).await? {
        return Ok(());
    }
    // As it is behind the locks: another merge may have come.
    let member = shipei_mirror::member(&mut unit.tx, programme_id, Role::Trainee, person_id).await?;
    let Some(member) = member.filter(|member| !member.merged.is_empty()) else { return Ok(()) };
    let windows = programmes.windows(&mut unit.tx, programme_id).await?;
    let catalogue = catalogues.held(&mut unit.tx, programme_id).await?;
    let united = UnitedStudy::load(&mut unit.tx, &windows, catalogue, programme_id, &member).await?;
    let credits = united.credits();
    let found = united.achievements(&credits);
    let entries = &united.scheme.trainee.online;
    let mut phases = vec![Phase::default(); entries.len()];
    for row in stored_phase::united_phases(&mut unit.tx, programme_id, &[person_id]).await? {
        let place = usize::try_from(row.phase_index)
            .map_err(|_| StoreError::corrupt_row("united_phase", "phase_index", person_id))?;
        if let Some(phase) = phases.get_mut(place) {
            *phase = row.phase()?;
        }
    }
    for (index, (entry, phase)) in entries.iter().zip(&mut phases).enumerate() {
        let now = (&found.sums[index], found.phases[index]);
        restate_phase(unit, (programme_id, &member, true), (index, entry), phase, now);
    }
    let changed = (0_i64..).zip(&phases).filter(|(_, phase)| phase.changed);
    let changed: Vec<_> = changed.map(|(index, phase)| (person_id, index, phase)).collect();
    stored_phase::save_united_phases(&mut unit.tx, programme_id, &changed).await?;
    Ok(())
}

/// Reads anew whoever waits for it; returns when nobody is left.
pub(crate) async fn finish(kit: &Kit, programmes: &Programmes, catalogues: &Catalogues) -> Result<()> {
    loop {
        let looking = kit.retry(|| async {
            let mut tx = kit.database().begin_read().await?;
            let waiting = store::due(&mut tx, DUE_PER_ROUND).await?;
            tx.rollback().await?;
            Ok::<_, Error>(waiting)
        });
        let waiting = looking.await?;
        if waiting.is_empty() {
            return Ok(());
        }
        for due in waiting {
            kit.write_by_itself("study of several ids read anew", |mut unit| {
                let due = due.clone();
                async move {
                    restate(&mut unit, programmes, catalogues, &due).await?;
                    Ok((unit, ()))
                }
            })
            .await?;
        }
    }
}
