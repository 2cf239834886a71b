//! AssignmentService: submissions, reviews, returns, and the tutor's list for Sunday.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use shipei_contracts::assignment::v1::{self as proto, assignment_service_server::AssignmentService};
use shipei_mirror::Member;
use shipei_rules::{marking_weeks, scheme::Scheme, trainee::MarkKind, vocabulary::Grade};
use shipei_service_kit::{ReadUnit, Result, Unit, convert::to_timestamp};
use shipei_store::Tx;
use tonic::Request;

use super::{Answer, BEGINNING, Handler, SMALL_FIELDS_BYTES, after_time, recorded, time_key, trainee, tutor};
use crate::{
    convert::{self, MarkCommand, Submit},
    domain::{self, Mark, Standing, Submission},
    error::{already_exists, not_found},
    store::{self, AfterTime, LateFact},
};

/// How many submissions are read at a time when late weeks are counted.
const LATE_FACTS_PER_READ: i64 = 1_000;

#[tonic::async_trait]
impl AssignmentService for Handler {
    async fn submit_assignment(
        &self,
        request: Request<proto::SubmitAssignmentRequest>,
    ) -> Answer<proto::SubmitAssignmentResponse> {
        self.kit.write(request, |unit, request| self.clone().submit(unit, request)).await
    }

    async fn review_submission(
        &self,
        request: Request<proto::ReviewSubmissionRequest>,
    ) -> Answer<proto::ReviewSubmissionResponse> {
        self.kit.write(request, |unit, request| self.clone().review(unit, request)).await
    }

    async fn return_submission(
        &self,
        request: Request<proto::ReturnSubmissionRequest>,
    ) -> Answer<proto::ReturnSubmissionResponse> {
        self.kit.write(request, |unit, request| self.clone().give_back(unit, request)).await
    }

    async fn get_submission(
        &self,
        request: Request<proto::GetSubmissionRequest>,
    ) -> Answer<proto::GetSubmissionResponse> {
        self.kit.read(request, |unit, request| self.clone().get_one(unit, request)).await
    }

    async fn list_submissions(
        &self,
        request: Request<proto::ListSubmissionsRequest>,
    ) -> Answer<proto::ListSubmissionsResponse> {
        self.kit.read(request, |unit, request| self.clone().list(unit, request)).await
    }

    async fn list_marking(
        &self,
        request: Request<proto::ListMarkingRequest>,
    ) -> Answer<proto::ListMarkingResponse> {
        self.kit.read(request, |unit, request| self.clone().marking(unit, request)).await
    }
}

impl Handler {
    async fn submit(
        self,
        mut unit: Unit,
        request: proto::SubmitAssignmentRequest,
    ) -> Result<(Unit, proto::SubmitAssignmentResponse)> {
        let command = convert::submit(&request)?;
        let programme = command.programme.as_str();
        let (_, scheme) = self.programmes.scheme(&mut unit.tx, programme).await?;
        let trainee = trainee(&mut unit.tx, &command.programme, &command.person).await?;
        store::lock_trainee(&mut unit.tx, programme, &trainee.person_id).await?;
        let new = submission_of(&command, &trainee, unit.occurred_at);
        let there = store::submission(&mut unit.tx, programme, &new.submission_id).await?;
        if let Some(there) = there
            && domain::is_same_submission(&there, &new, command.stated_at)
        {
            return answer_submitted(unit, programme, there).await;
        }

        let newest = store::newest_submission(&mut unit.tx, programme, &new.person_id).await?;
        let marks = match &newest {
            Some(newest) => store::marks_of(&mut unit.tx, programme, &newest.submission_id).await?,
            None => Vec::new(),
        };
        let following = store::following_submission(&mut unit.tx, programme, &new).await?;
        let newest = newest.as_ref().map(|newest| (newest, marks.as_slice()));
        let standing = domain::decide_submission(&scheme, &trainee, &new, newest, following.as_ref())?;

        let recorded = recorded(&unit);
        if !store::insert_submission(&mut unit.tx, programme, &new, &recorded).await? {
            return Err(already_exists("submission_id").into());
        }
        let new = emit_submitted(&mut unit, programme, &trainee, new, standing).await?;
        answer_submitted(unit, programme, new).await
    }

    async fn review(
        self,
        unit: Unit,
        request: proto::ReviewSubmissionRequest,
    ) -> Result<(Unit, proto::ReviewSubmissionResponse)> {
        let command = convert::review(&request)?;
        let (unit, submission) = self.mark(unit, &command).await?;
        Ok((unit, proto::ReviewSubmissionResponse { submission: Some(submission) }))
    }

    async fn give_back(
        self,
        unit: Unit,
        request: proto::ReturnSubmissionRequest,
    ) -> Result<(Unit, proto::ReturnSubmissionResponse)> {
        let command = convert::give_back(&request)?;
        let (unit, submission) = self.mark(unit, &command).await?;
        Ok((unit, proto::ReturnSubmissionResponse { submission: Some(submission) }))
    }

    /// A review or a return.
    async fn mark(self, mut unit: Unit, command: &MarkCommand) -> Result<(Unit, proto::Submission)> {
        let (programme, at) = (command.programme.as_str(), unit.occurred_at);
        let (_, scheme) = self.programmes.scheme(&mut unit.tx, programme).await?;
        let submission = locked_submission(&mut unit.tx, programme, command.submission.as_str()).await?;
        let tutor = tutor(&mut unit.tx, &command.programme, &command.tutor).await?;
        let trainee = shipei_mirror::member(&mut unit.tx, programme, &submission.person_id).await?;
        let trainee = trainee.ok_or_else(|| not_found("submission_id"))?;
        let class_id = &trainee.places.at(at).class_id;
        let class = shipei_mirror::class(&mut unit.tx, programme, class_id).await?;
        let mut marks = store::marks_of(&mut unit.tx, programme, &submission.submission_id).await?;

        let people = (&tutor, class.as_ref(), &trainee);
        let change = domain::decide_mark(&scheme, people, (&submission, &marks), &command.comment, at)?;
        let mark = Mark {
            number: change.number,
            kind: command.kind,
            comment: command.comment.clone(),
            tutor_id: tutor.person_id,
            marked_at: at,
        };
        let recorded = recorded(&unit);
        store::insert_mark(&mut unit.tx, programme, &submission.submission_id, &mark, &recorded).await?;
        emit_marked(&mut unit, programme, &trainee, &submission.submission_id, &mark, change.old);
        marks.push(mark);
        Ok((unit, convert::submission_to_proto(submission, marks)))
    }

    async fn get_one(
        self,
        mut unit: ReadUnit,
        request: proto::GetSubmissionRequest,
    ) -> Result<(ReadUnit, proto::GetSubmissionResponse)> {
        let (programme, submission) = convert::get_submission(&request)?;
        self.programmes.scheme(&mut unit.tx, programme.as_str()).await?;
        let found = store::submission(&mut unit.tx, programme.as_str(), submission.as_str()).await?;
        let found = found.ok_or_else(|| not_found("submission_id"))?;
        let marks = store::marks_of(&mut unit.tx, programme.as_str(), submission.as_str()).await?;
        let submission = Some(convert::submission_to_proto(found, marks));
        Ok((unit, proto::GetSubmissionResponse { submission }))
    }

    async fn list(
        self,
        mut unit: ReadUnit,
        request: proto::ListSubmissionsRequest,
    ) -> Result<(ReadUnit, proto::ListSubmissionsResponse)> {
        let (programme, class, person) = convert::list_submissions(&request)?;
        let programme = programme.as_str();
        self.programmes.scheme(&mut unit.tx, programme).await?;
        let class = class.as_ref().map_or("", |class| class.as_str());
        let person = person.as_ref().map_or("", |person| person.as_str());
        let page = self.kit.page::<proto::ListSubmissionsRequest>(
            &[programme, class, person],
            request.page_size,
            &request.page_token,
        )?;
        let after = after_time(&page)?;
        let rows =
            store::list_submissions(&mut unit.tx, programme, (class, person), &after, page.limit()).await?;
        let ids: Vec<&str> = rows.iter().map(|row| row.submission_id.as_str()).collect();
        let mut marks = store::marks(&mut unit.tx, programme, &ids).await?;
        let bytes =
            |row: &Submission| bytes_of(row, marks.get(&row.submission_id).map_or(&[], Vec::as_slice));
        let (rows, next_page_token) = page.cut_within(rows, bytes, key_of);
        let mut submissions = Vec::with_capacity(rows.len());
        for row in rows {
            let marks = marks.remove(&row.submission_id).unwrap_or_default();
            submissions.push(convert::submission_to_proto(row, marks));
        }
        Ok((unit, proto::ListSubmissionsResponse { submissions, next_page_token }))
    }

    async fn marking(
        self,
        mut unit: ReadUnit,
        request: proto::ListMarkingRequest,
    ) -> Result<(ReadUnit, proto::ListMarkingResponse)> {
        let (programme, tutor_id, stated_as_of) = convert::list_marking(&request)?;
        let as_of = stated_as_of.unwrap_or(unit.now);
        let (_, scheme) = self.programmes.scheme(&mut unit.tx, programme.as_str()).await?;
        let tutor = tutor(&mut unit.tx, &programme, &tutor_id).await?;
        let (programme, tutor) = (programme.as_str(), tutor.person_id.as_str());
        let stated = stated_as_of.map_or_else(String::new, |at| at.timestamp_micros().to_string());
        let page = self.kit.page::<proto::ListMarkingRequest>(
            &[programme, tutor, &stated],
            request.page_size,
            &request.page_token,
        )?;
        let after = after_time(&page)?;
        let times = (as_of, domain::owing_as_of(&scheme, as_of));
        let rows = store::list_marking(&mut unit.tx, programme, tutor, times, &after, page.limit()).await?;
        let (rows, next_page_token) = page.cut_within(rows, |row| bytes_of(row, &[]), key_of);
        let mut items = Vec::with_capacity(rows.len());
        for row in rows {
            let due_at = marking_weeks::week_of(&scheme, row.submitted_at).map(|week| week.deadline);
            items.push(proto::MarkingItem {
                // Not marked by `as_of`: marks that came later don't belong to this list.
                submission: Some(convert::submission_to_proto(row, Vec::new())),
                due_time: due_at.map(to_timestamp),
                late: due_at.is_some_and(|due_at| due_at <= as_of),
            });
        }
        let late_weeks = late_weeks(&mut unit.tx, &scheme, (programme, tutor), as_of).await?;
        let disqualify_at = scheme.tutor.marking.late_week.disqualify_at;
        Ok((unit, proto::ListMarkingResponse { items, next_page_token, late_weeks, disqualify_at }))
    }
}

fn submission_of(command: &Submit, trainee: &Member, at: DateTime<Utc>) -> Submission {
    Submission {
        submission_id: command.submission.to_string(),
        person_id: trainee.person_id.clone(),
        class_id: trainee.places.at(at).class_id.clone(),
        kind: command.kind.clone(),
        title: command.title.clone(),
        text: command.text.clone(),
        submitted_at: at,
        superseded_at: None,
    }
}

/// A submission, read after the lock of its trainee was taken.
async fn locked_submission(tx: &mut Tx, programme: &str, submission_id: &str) -> Result<Submission> {
    let found = store::submission(tx, programme, submission_id).await?;
    let found = found.ok_or_else(|| not_found("submission_id"))?;
    store::lock_trainee(tx, programme, &found.person_id).await?;
    let found = store::submission(tx, programme, submission_id).await?;
    Ok(found.ok_or_else(|| not_found("submission_id"))?)
}

/// Says that it was submitted, and what it replaces or is replaced by; the submission as it stands then.
async fn emit_submitted(
    unit: &mut Unit,
    programme: &str,
    trainee: &Member,
    mut new: Submission,
    standing: Standing,
) -> Result<Submission> {
    let region_at = |at| trainee.places.at(at).county_code.as_str();
    let submitted = proto::AssignmentSubmitted {
        programme_id: programme.to_owned(),
        submission_id: new.submission_id.clone(),
        person_id: new.person_id.clone(),
        class_id: new.class_id.clone(),
        kind: new.kind.clone(),
    };
    unit.emit(region_at(new.submitted_at), &new.submission_id, &submitted);
    let (old, by, at) = match standing {
        Standing::Newest { replaces: None } => return Ok(new),
        Standing::Newest { replaces: Some(old) } => (old, new.submission_id.clone(), new.submitted_at),
        Standing::Late { superseded_by, superseded_at } => {
            new.superseded_at = Some(superseded_at);
            (new.submission_id.clone(), superseded_by, superseded_at)
        }
    };
    store::supersede(&mut unit.tx, programme, &old, &by, at).await?;
    let superseded = proto::AssignmentSuperseded {
        programme_id: programme.to_owned(),
        submission_id: old.clone(),
        person_id: new.person_id.clone(),
        superseded_by: by.clone(),
    };
    unit.emit_caused(region_at(at), &old, &by, at, &superseded);
    Ok(new)
}

fn emit_marked(
    unit: &mut Unit,
    programme: &str,
    trainee: &Member,
    submission_id: &str,
    mark: &Mark,
    old: Option<Grade>,
) {
    let place = trainee.places.at(mark.marked_at);
    let mut reviewed = proto::SubmissionReviewed {
        programme_id: programme.to_owned(),
        submission_id: submission_id.to_owned(),
        person_id: trainee.person_id.clone(),
        class_id: place.class_id.clone(),
        tutor_id: mark.tutor_id.clone(),
        mark_number: mark.number,
        new: 0,
        old: convert::grade_to_proto(old).into(),
    };
    if let MarkKind::Graded(grade) = mark.kind {
        reviewed.new = convert::grade_to_proto(Some(grade)).into();
        unit.emit(&place.county_code, submission_id, &reviewed);
        return;
    }
    let returned = proto::SubmissionReturned {
        programme_id: reviewed.programme_id,
        submission_id: reviewed.submission_id,
        person_id: reviewed.person_id,
        class_id: reviewed.class_id,
        tutor_id: reviewed.tutor_id,
        mark_number: reviewed.mark_number,
        old: reviewed.old,
    };
    unit.emit(&place.county_code, submission_id, &returned);
}

async fn answer_submitted(
    mut unit: Unit,
    programme: &str,
    submission: Submission,
) -> Result<(Unit, proto::SubmitAssignmentResponse)> {
    let marks = store::marks_of(&mut unit.tx, programme, &submission.submission_id).await?;
    let submission = Some(convert::submission_to_proto(submission, marks));
    Ok((unit, proto::SubmitAssignmentResponse { submission }))
}

fn key_of(row: &Submission) -> Vec<String> {
    time_key(row.submitted_at, &row.submission_id)
}

/// About how long a submission is in an answer.
fn bytes_of(row: &Submission, marks: &[Mark]) -> usize {
    let comments: usize = marks.iter().map(|mark| mark.comment.len() + SMALL_FIELDS_BYTES).sum();
    row.text.len() + row.title.len() + comments + SMALL_FIELDS_BYTES
}

/// The late weeks of a tutor by `as_of`, counted as the tutor's score counts them (shipei_rules::tutor): what settles
/// a submission is its first mark, its replacement or the trainee's withdrawal, whichever came first; the week is the
/// class's in which the trainee stood at its deadline (assessment's domain/marking.rs).
async fn late_weeks(
    tx: &mut Tx,
    scheme: &Scheme,
    (programme, tutor): (&str, &str),
    as_of: DateTime<Utc>,
) -> Result<i64> {
    let classes = shipei_mirror::classes_of_tutor(tx, programme, tutor).await?;
    let mut late = BTreeSet::new();
    let (mut at, mut id) = (BEGINNING, String::new());
    loop {
        let after = AfterTime { at, id: &id };
        let facts = store::late_facts(tx, programme, tutor, as_of, &after, LATE_FACTS_PER_READ).await?;
        let trainees = trainees_of(tx, programme, &facts).await?;
        for fact in &facts {
            let Some(trainee) = trainees.get(&fact.person_id) else { continue };
            let settled_at = [fact.first_mark_at, fact.superseded_at, trainee.withdrawn_at];
            let settled_at = settled_at.into_iter().flatten().min();
            let week = marking_weeks::late_week(scheme, fact.submitted_at, settled_at, as_of);
            let Some(week) = week else { continue };
            let class_id = &trainee.places.before(week.deadline).class_id;
            if classes.iter().any(|class| class.class_id == *class_id) {
                late.insert(week.index);
            }
        }
        let is_last = facts.len() < usize::try_from(LATE_FACTS_PER_READ).unwrap_or(usize::MAX);
        let Some(last) = facts.into_iter().last() else { break };
        (at, id) = (last.submitted_at, last.submission_id);
        if is_last {
            break;
        }
    }
    Ok(i64::try_from(late.len()).unwrap_or(i64::MAX))
}

/// The trainees of these submissions, by id.
async fn trainees_of(tx: &mut Tx, programme: &str, facts: &[LateFact]) -> Result<BTreeMap<String, Member>> {
    let ids: BTreeSet<&str> = facts.iter().map(|fact| fact.person_id.as_str()).collect();
    let ids: Vec<&str> = ids.into_iter().collect();
    let members = shipei_mirror::members(tx, programme, &ids).await?;
    Ok(members.into_iter().map(|member| (member.person_id.clone(), member)).collect())
}
