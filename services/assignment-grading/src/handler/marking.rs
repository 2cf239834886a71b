//! The tutor's list for Sunday: the submissions that wait for a mark of theirs, and their late weeks.
//!
//! What is owed is read from all work of a person, under whichever of their ids it was handed in, as scores do: what one id had waiting
//! is owed no more once the other one has handed in something newer, or has been graded; what is disregarded by its own id counts for
//! neither. The rows of each id keep the standing that they have by that id alone, so that a merge changes nothing that is kept.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use shipei_contracts::assignment::v1 as proto;
use shipei_mirror::{Class, Member, Place, Windows, members};
use shipei_rules::{
    ids::{PersonId, ProgrammeId, SubmissionId},
    marking::{self, Elsewhere, TraineeWork},
    submission as rules,
    vocabulary::Role,
};
use shipei_service_kit::{Listing, ReadUnit, Result, to_int32, to_timestamp};
use shipei_store::Tx;

use super::{Handler, after_time, tutor};
use crate::{
    convert,
    domain::{self, Standing, Submission},
    store,
};

/// How many trainees are read at a time.
const TRAINEES_PER_READ: i64 = 500;

impl Handler {
    pub(super) async fn marking(
        self,
        mut unit: ReadUnit,
        request: proto::ListMarkingRequest,
    ) -> Result<(ReadUnit, proto::ListMarkingResponse)> {
        let (programme, tutor_id, stated_as_of) = convert::list_marking(&request)?;
        let as_of = stated_as_of.unwrap_or(unit.now);
        let windows = self.programmes.windows(&mut unit.tx, &programme).await?;
        let scheme = &windows.scheme;
        let tutor = tutor(&mut unit.tx, &programme, &tutor_id).await?;
        // A tutor with several ids owes what the classes of all of them do; each of the others is shown its own classes.
        let tutor_ids: Vec<&PersonId> = tutor.ids().collect();
        let stated = stated_as_of.map_or_else(String::new, |at| at.timestamp_micros().to_string());
        let page = self.kit.page::<proto::ListMarkingRequest>(
            &[programme.as_str(), tutor.person_id.as_str(), &stated],
            request.page_size,
            &request.page_token,
        )?;
        let after = after_time(&page)?;
        let times = (as_of, domain::owing_as_of(scheme, as_of));
        let (late_weeks, not_owed) =
            read_together(&mut unit.tx, &windows, (&programme, &tutor_ids), as_of).await?;
        let rows = store::list_marking(
            &mut unit.tx,
            &unit.reach,
            &programme,
            (&tutor_ids, &not_owed),
            times,
            &after,
            page.limit(),
        )
        .await?;
        let Listing { entries: items, next_page_token, broken } = page.list(rows, |row| {
            let row = Submission::try_from(row)?;
            let due_at = marking::week_of(scheme, row.submitted_at).map(|week| week.deadline);
            Ok(proto::MarkingItem {
                // Not marked by `as_of`: marks that came later don't belong to this list.
                submission: Some(convert::submission_to_proto(row, Vec::new())),
                due_time: due_at.map(to_timestamp),
                late: due_at.is_some_and(|due_at| due_at <= as_of),
            })
        })?;
        let late_weeks = i32::try_from(late_weeks.len()).unwrap_or(i32::MAX);
        let disqualify_at = to_int32(scheme.tutor.marking.late_week.disqualify_at);
        Ok((unit, proto::ListMarkingResponse { items, next_page_token, late_weeks, disqualify_at, broken }))
    }
}

/// The late weeks of a tutor by `as_of`, as the tutor's score counts them ([`marking::answering`]), and which submissions of people with
/// several ids are not owed, though by their own id they wait for a mark.
async fn read_together(
    tx: &mut Tx,
    windows: &Windows,
    (programme, tutor_ids): (&ProgrammeId, &[&PersonId]),
    as_of: DateTime<Utc>,
) -> Result<(BTreeSet<i64>, BTreeSet<SubmissionId>)> {
    let mut classes: Vec<Class> = Vec::new();
    for tutor_id in tutor_ids {
        classes.append(&mut shipei_mirror::classes_of_tutor(tx, programme, tutor_id).await?);
    }
    let (mut late, mut not_owed) = (BTreeSet::new(), BTreeSet::new());
    let mut after = None;
    loop {
        let people =
            store::people_of_tutor(tx, programme, tutor_ids, after.as_ref(), TRAINEES_PER_READ).await?;
        let Some(last) = people.last() else { return Ok((late, not_owed)) };
        after = Some(last.clone());
        let ids: Vec<&PersonId> = people.iter().collect();
        for person in work_of(tx, programme, &ids).await? {
            // Nobody answers for their own work.
            if person.member.ids().any(|id| tutor_ids.contains(&id)) {
                continue;
            }
            let work = TraineeWork {
                submissions: &person.submissions,
                places: &person.member.places,
                absences: &person.member.absences,
                elsewhere: &person.elsewhere,
            };
            let mut owed: BTreeSet<&SubmissionId> = BTreeSet::new();
            for answering in marking::answering(&windows.of_person(&person.member), &work, as_of) {
                if answering.owed_in.is_some() {
                    owed.insert(&answering.submission.id);
                }
                let Some((week, place)) = answering.late else { continue };
                let class = classes.iter().find(|class| Some(&class.class_id) == place.class_id.as_ref());
                let tutor = class.and_then(|class| class.tutors.before(week.deadline).as_ref());
                if tutor.is_some_and(|tutor| tutor_ids.contains(&tutor)) {
                    late.insert(week.index);
                }
            }
            if !person.member.merged.is_empty() {
                not_owed.extend(person.not_owed(&owed, as_of).cloned());
            }
        }
    }
}

impl Person {
    /// What waits for a mark by what its own id says, and is not owed.
    fn not_owed<'p>(
        &'p self,
        owed: &BTreeSet<&SubmissionId>,
        as_of: DateTime<Utc>,
    ) -> impl Iterator<Item = &'p SubmissionId> {
        let waiting = self.told.iter().filter(move |(_, standing)| match standing {
            Standing::Counts => true,
            Standing::Superseded { at, .. } => *at > as_of,
            Standing::Disregarded { .. } => false,
        });
        waiting.map(|(submission_id, _)| submission_id).filter(move |id| !owed.contains(*id))
    }
}

/// A trainee with their work, under whichever of their ids it was handed in.
struct Person {
    /// As the id says that is kept.
    member: Member,
    submissions: Vec<rules::Submission>,
    /// Where the other ids stood, of what was handed in under them.
    elsewhere: Elsewhere<Place>,
    /// Where each submission stands by its own id alone.
    told: BTreeMap<SubmissionId, Standing>,
}

/// Those whose ids these are, each once, with the work of all of their ids. Who has handed in nothing may be among them.
async fn work_of(tx: &mut Tx, programme: &ProgrammeId, ids: &[&PersonId]) -> Result<Vec<Person>> {
    let mut known: BTreeMap<PersonId, Member> = BTreeMap::new();
    known.extend(by_id(members(tx, programme, Role::Trainee, ids).await?));
    let kept: BTreeSet<PersonId> = known.values().filter_map(|member| member.counts_for.clone()).collect();
    let kept: Vec<&PersonId> = kept.iter().filter(|id| !known.contains_key(*id)).collect();
    let kept = members(tx, programme, Role::Trainee, &kept).await?;
    known.extend(by_id(kept));
    let merged: BTreeSet<PersonId> = known
        .values()
        .flat_map(|member| &member.merged)
        .filter(|id| !known.contains_key(*id))
        .cloned()
        .collect();
    let merged: Vec<&PersonId> = merged.iter().collect();
    let merged = members(tx, programme, Role::Trainee, &merged).await?;
    known.extend(by_id(merged));

    let everybody: Vec<&PersonId> = known.keys().collect();
    let mut works = store::works(tx, programme, &everybody).await?;
    let mut people = Vec::new();
    for member in known.values().filter(|member| member.counts_for.is_none()) {
        let mut person = Person {
            member: member.clone(),
            submissions: Vec::new(),
            elsewhere: Elsewhere::new(),
            told: BTreeMap::new(),
        };
        for id in member.ids() {
            let (Some(own), Some(of)) = (works.remove(id), known.get(id)) else { continue };
            if id != &member.person_id {
                let stood = (of.places.clone(), of.absences.clone());
                let elsewhere = own.submissions.iter().map(|work| (work.id.clone(), stood.clone()));
                person.elsewhere.extend(elsewhere);
            }
            let alone = member.merged.is_empty();
            person.submissions.extend(own.submissions.into_iter().filter(|work| {
                alone || !matches!(own.told.get(&work.id), Some(Standing::Disregarded { .. }))
            }));
            person.told.extend(own.told);
        }
        people.push(person);
    }
    Ok(people)
}

fn by_id(members: Vec<Member>) -> impl Iterator<Item = (PersonId, Member)> {
    members.into_iter().map(|member| (member.person_id.clone(), member))
}
