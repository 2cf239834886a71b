//! Tutors with their classes and facts, and their scores.

use std::collections::{BTreeMap, BTreeSet};

use shipei_mirror::{Class, Windows, members};
use shipei_rules::{
    ids::{ClassId, PersonId, ProgrammeId, SubmissionId, text_of},
    region::RegionCode,
    scheme::Scheme,
    tutor::{ClassFacts, SeminarFacts, TutorFacts, TutorScore},
    vocabulary::Role,
};
use shipei_service_kit::Result;
use shipei_store::Tx;

use crate::{
    assemble::{people, trainees},
    domain::marking::{self, ClassMarking},
    facts::Instant,
    store::classes,
};

/// The most trainees that are loaded at once to see whose marks are owed.
const SUBMITTERS_PER_STEP: usize = 1_000;

/// Where it comes from what classes answer for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marking {
    /// As stored, for the programme's end: a few rows.
    Stored,
    /// From the facts of all who submitted, for any time.
    AsOf(Instant),
}

/// A registered tutor.
#[derive(Debug, Clone)]
pub struct TutorRecord {
    /// Their county, where enrollment names one.
    pub county_code: Option<RegionCode>,
    /// Their classes, by id.
    pub classes: Vec<Class>,
    /// What the rules judge.
    pub facts: TutorFacts,
}

impl TutorRecord {
    /// Their score.
    pub fn score(&self, scheme: &Scheme, as_of: Instant) -> TutorScore {
        shipei_rules::tutor::score(scheme, &self.facts, as_of)
    }

    /// The region that their events belong to: their county, else the region of their first class.
    pub fn region_code(&self) -> &str {
        text_of(self.county_code.as_ref().or(self.classes.first().map(|class| &class.region_code)))
    }
}

/// The registered tutors among these people, by id; who counts for another id is none. What was done under the ids that count for a
/// tutor is theirs: classes, bulletins, seminars and marks, the training before the job, the choice of an expert.
pub async fn load(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    windows: &Windows,
    tutor_ids: &[&PersonId],
    source: Marking,
) -> Result<BTreeMap<PersonId, TutorRecord>> {
    let mut tutors = BTreeMap::new();
    let mut ids_of: BTreeMap<PersonId, Vec<PersonId>> = BTreeMap::new();
    for member in members(tx, programme_id, Role::ClassTutor, tutor_ids).await? {
        if member.counts_for.is_some() {
            continue;
        }
        let prejob_attended_at = people::of_all_ids(tx, programme_id, &member).await?.pre_job_at;
        let facts = TutorFacts { prejob_attended_at, ..TutorFacts::default() };
        let county_code = member.places.first().county_code;
        let record = TutorRecord { county_code, classes: Vec::new(), facts };
        ids_of.insert(member.person_id.clone(), member.ids().cloned().collect());
        tutors.insert(member.person_id, record);
    }
    let mut counting: BTreeMap<&PersonId, &PersonId> = BTreeMap::new();
    for (kept_id, ids) in &ids_of {
        counting.extend(ids.iter().map(|id| (id, kept_id)));
    }
    let ids: Vec<&PersonId> = counting.keys().copied().collect();
    for choice in classes::choices(tx, programme_id, &ids).await? {
        if let Some(tutor) = counting.get(&choice.tutor_id).and_then(|kept_id| tutors.get_mut(*kept_id)) {
            let first = tutor.facts.chosen_at.unwrap_or(choice.chosen_at);
            tutor.facts.chosen_at = Some(choice.chosen_at.min(first));
        }
    }
    let mut classes_ever = classes::classes_of(tx, programme_id, &ids).await?;
    for class in &mut classes_ever {
        class.tutors = class
            .tutors
            .map(|had_by| had_by.as_ref().map(|id| counting.get(id).copied().unwrap_or(id).clone()));
    }
    let class_ids: Vec<&ClassId> = classes_ever.iter().map(|class| &class.class_id).collect();
    let class_facts = load_classes(tx, programme_id, &windows.scheme, &class_ids).await?;
    let found = match source {
        Marking::Stored => stored_marking(tx, programme_id, &class_ids).await?,
        Marking::AsOf(as_of) => marking_as_of(tx, programme_id, windows, &class_ids, as_of).await?,
    };
    for class in &classes_ever {
        let tutors_ever: BTreeSet<&PersonId> = class.tutors.all().flatten().collect();
        for tutor_id in tutors_ever {
            let Some(tutor) = tutors.get_mut(tutor_id) else { continue };
            tutor.classes.push(class.clone());
            tutor.facts.classes.extend(class_facts.get(&class.class_id).map(|facts| ClassFacts {
                scheme: Some(windows.of_class(class, &all_ids(&ids_of, tutor_id))),
                held: class.tutors.map(|held_by| held_by.as_ref() == Some(tutor_id)),
                ..facts.clone()
            }));
        }
    }
    let as_of = match source {
        Marking::Stored => windows.scheme.final_as_of(),
        Marking::AsOf(as_of) => as_of,
    };
    give_marking(windows, &mut tutors, &classes_ever, found, as_of);
    Ok(tutors)
}

fn all_ids<'a>(ids_of: &'a BTreeMap<PersonId, Vec<PersonId>>, tutor_id: &PersonId) -> Vec<&'a PersonId> {
    ids_of.get(tutor_id).into_iter().flatten().collect()
}

/// Bulletins and seminars of classes.
async fn load_classes(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    scheme: &Scheme,
    class_ids: &[&ClassId],
) -> Result<BTreeMap<ClassId, ClassFacts>> {
    let mut facts_of = BTreeMap::new();
    for class_id in class_ids {
        let facts = ClassFacts {
            class_id: (*class_id).clone(),
            scheme: None,
            held: true.into(),
            bulletins: Vec::new(),
            seminars: Vec::new(),
        };
        facts_of.insert((*class_id).clone(), facts);
    }
    for row in classes::bulletins(tx, programme_id, class_ids).await? {
        if let Some(class) = facts_of.get_mut(&row.class_id) {
            class.bulletins.push((row.bulletin_number, row.published_at));
        }
    }
    let posts_from = scheme.tutor.seminar.period.from;
    for row in classes::seminars(tx, programme_id, class_ids, posts_from).await? {
        let (Some(class), Some(opened_at)) = (facts_of.get_mut(&row.class_id), row.opened_at) else {
            continue;
        };
        class.seminars.push(SeminarFacts {
            seminar: row.seminar_id,
            opened_at,
            first_post_at: row.first_post_at,
            summarised_at: row.summarised_at,
        });
    }
    Ok(facts_of)
}

async fn stored_marking(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    class_ids: &[&ClassId],
) -> Result<Vec<ClassMarking>> {
    let mut found: BTreeMap<SubmissionId, ClassMarking> = BTreeMap::new();
    for row in classes::stored_marking(tx, programme_id, class_ids).await? {
        let marking = ClassMarking {
            submission_id: row.submission_id.clone(),
            person_id: row.person_id,
            submitted_at: row.submitted_at,
            owed_class_id: row.owed_class_id,
            late_class_id: row.late_class_id,
        };
        found.insert(row.submission_id, marking);
    }
    Ok(found.into_values().collect())
}

async fn marking_as_of(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    windows: &Windows,
    class_ids: &[&ClassId],
    as_of: Instant,
) -> Result<Vec<ClassMarking>> {
    let submitters = classes::submitters_of(tx, programme_id, class_ids).await?;
    let mut found = Vec::new();
    for step in submitters.chunks(SUBMITTERS_PER_STEP) {
        let person_ids: Vec<&PersonId> = step.iter().collect();
        for trainee in trainees::load(tx, programme_id, windows, &person_ids).await?.values() {
            found.extend(marking::of_trainee(trainee, as_of));
        }
    }
    Ok(found)
}

/// Hands each submission to who answers for it: the tutor of the class at the time that counts.
fn give_marking(
    windows: &Windows,
    tutors: &mut BTreeMap<PersonId, TutorRecord>,
    classes: &[Class],
    found: Vec<ClassMarking>,
    as_of: Instant,
) {
    let by_id: BTreeMap<&ClassId, &Class> = classes.iter().map(|class| (&class.class_id, class)).collect();
    for marking in found {
        let owed_by = |class| owed_by(class, windows, as_of);
        let whose = marking.by_tutor(&windows.scheme, |id| by_id.get(id).copied(), owed_by);
        for (tutor_id, work) in whose {
            if let Some(tutor) = tutors.get_mut(tutor_id) {
                tutor.facts.marking.push(work);
            }
        }
    }
}

/// Who owes the marks that a class owes as of a time: its tutor then, and from the end of reviews on its tutor just before that.
fn owed_by<'c>(class: &'c Class, windows: &Windows, as_of: Instant) -> Option<&'c PersonId> {
    let review_until = windows.of_class(class, &[]).trainee.assignment.review_until;
    let tutor = if as_of < review_until { class.tutors.at(as_of) } else { class.tutors.before(review_until) };
    tutor.as_ref()
}
