//! AssignmentService: submissions, reviews, returns; the tutor's list for Sunday is in `marking`.

use chrono::{DateTime, Utc};
use shipei_contracts::assignment::v1::{self as proto, assignment_service_server::AssignmentService};
use shipei_mirror::Member;
use shipei_rules::{
    ids::{ProgrammeId, SubmissionId, text_of},
    submission::MarkKind,
    vocabulary::{Grade, Role},
};
use shipei_service_kit::{Listing, ReadUnit, Result, Unit};
use shipei_store::{Tx, list::Listed};
use tonic::Request;

use super::{Answer, Handler, after_time, recorded, trainee, tutor, whose};
use crate::{
    convert::{self, MarkCommand, Submit},
    domain::{self, Mark, Standing, StandingChange, Submission},
    error::{already_exists, not_found},
    store,
};

#[tonic::async_trait]
impl AssignmentService for Handler {
    async fn submit_assignment(
        &self,
        request: Request<proto::SubmitAssignmentRequest>,
    ) -> Answer<proto::SubmitAssignmentResponse> {
        self.kit.write(self, request, Self::submit).await
    }

    async fn review_submission(
        &self,
        request: Request<proto::ReviewSubmissionRequest>,
    ) -> Answer<proto::ReviewSubmissionResponse> {
        self.kit.write(self, request, Self::review).await
    }

    async fn return_submission(
        &self,
        request: Request<proto::ReturnSubmissionRequest>,
    ) -> Answer<proto::ReturnSubmissionResponse> {
        self.kit.write(self, request, Self::give_back).await
    }

    async fn get_submission(
        &self,
        request: Request<proto::GetSubmissionRequest>,
    ) -> Answer<proto::GetSubmissionResponse> {
        self.kit.read(self, request, Self::get_one).await
    }

    async fn list_submissions(
        &self,
        request: Request<proto::ListSubmissionsRequest>,
    ) -> Answer<proto::ListSubmissionsResponse> {
        self.kit.read(self, request, Self::list).await
    }

    async fn list_marking(
        &self,
        request: Request<proto::ListMarkingRequest>,
    ) -> Answer<proto::ListMarkingResponse> {
        self.kit.read(self, request, Self::marking).await
    }
}

impl Handler {
    async fn submit(
        self,
        mut unit: Unit,
        request: proto::SubmitAssignmentRequest,
    ) -> Result<(Unit, proto::SubmitAssignmentResponse)> {
        let command = convert::submit(&request)?;
        let programme = &command.programme;
        let windows = self.programmes.windows(&mut unit.tx, programme).await?;
        let trainee = trainee(&mut unit.tx, &command.programme, &command.person).await?;
        store::lock_trainee(&mut unit.tx, programme, &trainee.person_id).await?;
        let fact_id = unit.new_fact_id()?;
        let stands = !unit.is_retracted(programme.as_str(), &fact_id).await?;
        let new = submission_of(&command, &trainee, unit.occurred_at, (fact_id, stands));
        let there = store::submission(&mut unit.tx, programme, &new.submission_id).await?;
        if let Some(there) = there
            && domain::is_same_submission(&there, &new, command.stated_at)
        {
            return answer_submitted(unit, programme, there).await;
        }

        let scheme = windows.of_member(&trainee);
        let works = store::works_of(&mut unit.tx, programme, &new.person_id).await?;
        let number = works.next_number();
        let changes = domain::decide_submission(&scheme, &trainee, &new, works)?;
        let whose = whose(programme, &new.person_id, &scheme, new.submitted_at);
        unit.take_from_quota("submissions", whose, new.title.len() + new.text.len()).await?;
        let recorded = recorded(&unit);
        if !store::insert_submission(&mut unit.tx, programme, (&new, number), &recorded).await? {
            return Err(already_exists("submission_id").into());
        }
        emit_submitted(&mut unit, programme, &trainee, (&new, number));
        // What was retracted before it came changes nothing.
        let changes = if stands { changes } else { Vec::new() };
        save_standings(&mut unit, programme, &trainee, &new.submission_id, &changes).await?;
        let own = changes.into_iter().find(|change| change.submission_id == new.submission_id);
        let standing = own.map_or(Standing::Counts, |change| change.standing);
        answer_submitted(unit, programme, Submission { standing, ..new }).await
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
        let (programme, at) = (&command.programme, unit.occurred_at);
        let windows = self.programmes.windows(&mut unit.tx, programme).await?;
        let mut submission = locked_submission(&mut unit.tx, programme, &command.submission).await?;
        let tutor = tutor(&mut unit.tx, &command.programme, &command.tutor).await?;
        let trainee =
            shipei_mirror::member(&mut unit.tx, programme, Role::Trainee, &submission.person_id).await?;
        let trainee = trainee.ok_or_else(|| not_found("submission_id"))?;
        let scheme = windows.of_member(&trainee);
        let class = match &trainee.places.at(at).class_id {
            Some(class_id) => shipei_mirror::class(&mut unit.tx, programme, class_id).await?,
            None => None,
        };
        let submission_id = submission.submission_id.clone();
        let mut marks = store::marks_of(&mut unit.tx, programme, &submission_id).await?;

        let people = (&tutor, class.as_ref(), &trainee);
        domain::decide_mark(&scheme, people, (&submission, &marks), &command.comment, at)?;
        let mut works = store::works_of(&mut unit.tx, programme, &trainee.person_id).await?;
        let fact_id = unit.new_fact_id()?;
        let mark = Mark {
            stands: !unit.is_retracted(programme.as_str(), &fact_id).await?,
            fact_id,
            number: works.next_number(),
            kind: command.kind,
            comment: command.comment.clone(),
            tutor_id: tutor.person_id,
            marked_at: at,
            counts: true,
        };
        let recorded = recorded(&unit);
        store::insert_mark(&mut unit.tx, programme, &submission_id, &mark, &recorded).await?;
        emit_marked(&mut unit, programme, &trainee, &submission_id, &mark, domain::grade_of(&marks));
        if mark.stands {
            works.add_mark(&submission_id, &mark);
        }
        let changes = works.changes(&scheme);
        save_standings(&mut unit, programme, &trainee, &submission_id, &changes).await?;
        if let Some(own) = changes.into_iter().find(|change| change.submission_id == submission_id) {
            submission.standing = own.standing;
        }
        marks.push(mark);
        Ok((unit, convert::submission_to_proto(submission, marks)))
    }

    async fn get_one(
        self,
        mut unit: ReadUnit,
        request: proto::GetSubmissionRequest,
    ) -> Result<(ReadUnit, proto::GetSubmissionResponse)> {
        let (programme, submission) = convert::get_submission(&request)?;
        self.programmes.scheme(&mut unit.tx, &programme).await?;
        let found = store::submission(&mut unit.tx, &programme, &submission).await?;
        let found = found.ok_or_else(|| not_found("submission_id"))?;
        let marks = store::marks_of(&mut unit.tx, &programme, &submission).await?;
        let submission = Some(convert::submission_to_proto(found, marks));
        Ok((unit, proto::GetSubmissionResponse { submission }))
    }

    pub(super) async fn list(
        self,
        mut unit: ReadUnit,
        request: proto::ListSubmissionsRequest,
    ) -> Result<(ReadUnit, proto::ListSubmissionsResponse)> {
        let (programme, class, person) = convert::list_submissions(&request)?;
        self.programmes.scheme(&mut unit.tx, &programme).await?;
        let (class, person) = (class.as_ref(), person.as_ref());
        let page = self.kit.page::<proto::ListSubmissionsRequest>(
            &[
                programme.as_str(),
                text_of(class),
                text_of(person),
                if request.with_retracted { "all" } else { "" },
            ],
            request.page_size,
            &request.page_token,
        )?;
        let after = after_time(&page)?;
        let rows = store::list_submissions(
            &mut unit.tx,
            &unit.reach,
            &programme,
            (class, person, request.with_retracted),
            &after,
            page.limit(),
        )
        .await?;
        let readable = rows.iter().filter_map(Listed::readable);
        let ids: Vec<SubmissionId> = readable.map(|row| row.submission_id.clone()).collect();
        let mut marks = store::marks(&mut unit.tx, &programme, &ids.iter().collect::<Vec<_>>()).await?;
        let Listing { entries: submissions, next_page_token, broken } = page.list(rows, |row| {
            let marks = marks.remove(&row.submission_id).unwrap_or_else(|| Ok(Vec::new()))?;
            Ok(convert::submission_to_proto(Submission::try_from(row)?, marks))
        })?;
        Ok((unit, proto::ListSubmissionsResponse { submissions, next_page_token, broken }))
    }
}

fn submission_of(
    command: &Submit,
    trainee: &Member,
    at: DateTime<Utc>,
    (fact_id, stands): (String, bool),
) -> Submission {
    Submission {
        submission_id: command.submission.clone(),
        person_id: trainee.person_id.clone(),
        class_id: trainee.places.at(at).class_id.clone(),
        kind: command.kind.clone(),
        title: command.title.clone(),
        text: command.text.clone(),
        submitted_at: at,
        standing: Standing::Counts,
        fact_id,
        stands,
    }
}

/// A submission, read after the lock of its trainee was taken.
async fn locked_submission(
    tx: &mut Tx,
    programme: &ProgrammeId,
    submission_id: &SubmissionId,
) -> Result<Submission> {
    let found = store::submission(tx, programme, submission_id).await?;
    let found = found.ok_or_else(|| not_found("submission_id"))?;
    store::lock_trainee(tx, programme, &found.person_id).await?;
    let found = store::submission(tx, programme, submission_id).await?;
    Ok(found.ok_or_else(|| not_found("submission_id"))?)
}

fn emit_submitted(
    unit: &mut Unit,
    programme: &ProgrammeId,
    trainee: &Member,
    (new, number): (&Submission, i64),
) {
    let submitted = proto::AssignmentSubmitted {
        programme_id: programme.to_string(),
        submission_id: new.submission_id.to_string(),
        person_id: new.person_id.to_string(),
        class_id: text_of(new.class_id.as_ref()).to_owned(),
        kind: new.kind.clone(),
        number,
    };
    let region = trainee.places.at(new.submitted_at).county_text();
    unit.emit_fact(&new.fact_id, region, new.submission_id.as_str(), &submitted);
}

/// Keeps and says what the submission or mark of `about` changes in the standing of the trainee's submissions.
pub(super) async fn save_standings(
    unit: &mut Unit,
    programme: &ProgrammeId,
    trainee: &Member,
    about: &SubmissionId,
    changes: &[StandingChange],
) -> Result<()> {
    let region_at = |at| trainee.places.at(at).county_text();
    for change in changes {
        store::save_standing(&mut unit.tx, programme, change).await?;
        let id = change.submission_id.as_str();
        let (programme_id, submission_id) = (programme.to_string(), id.to_owned());
        let person_id = trainee.person_id.to_string();
        match &change.standing {
            Standing::Superseded { by, at } => {
                let superseded_by = by.to_string();
                let event =
                    proto::AssignmentSuperseded { programme_id, submission_id, person_id, superseded_by };
                unit.emit_caused(region_at(*at), id, by.as_str(), *at, &event);
            }
            Standing::Disregarded { graded } => {
                let graded_submission_id = graded.to_string();
                let event = proto::AssignmentDisregarded {
                    programme_id,
                    submission_id,
                    person_id,
                    graded_submission_id,
                };
                let at = change.submitted_at;
                unit.emit_caused(region_at(at), id, graded.as_str(), at, &event);
            }
            Standing::Counts => {
                let event = proto::AssignmentReinstated { programme_id, submission_id, person_id };
                let at = unit.occurred_at;
                unit.emit_caused(region_at(at), id, about.as_str(), at, &event);
            }
        }
    }
    Ok(())
}

fn emit_marked(
    unit: &mut Unit,
    programme: &ProgrammeId,
    trainee: &Member,
    submission_id: &SubmissionId,
    mark: &Mark,
    old: Option<Grade>,
) {
    let place = trainee.places.at(mark.marked_at);
    let mut reviewed = proto::SubmissionReviewed {
        programme_id: programme.to_string(),
        submission_id: submission_id.to_string(),
        person_id: trainee.person_id.to_string(),
        class_id: place.class_text().to_owned(),
        tutor_id: mark.tutor_id.to_string(),
        mark_number: mark.number,
        new: 0,
        old: convert::grade_to_proto(old).into(),
    };
    if let MarkKind::Graded(grade) = mark.kind {
        reviewed.new = convert::grade_to_proto(Some(grade)).into();
        unit.emit_fact(&mark.fact_id, place.county_text(), submission_id.as_str(), &reviewed);
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
    unit.emit_fact(&mark.fact_id, place.county_text(), submission_id.as_str(), &returned);
}

async fn answer_submitted(
    mut unit: Unit,
    programme: &ProgrammeId,
    submission: Submission,
) -> Result<(Unit, proto::SubmitAssignmentResponse)> {
    let marks = store::marks_of(&mut unit.tx, programme, &submission.submission_id).await?;
    let submission = Some(convert::submission_to_proto(submission, marks));
    Ok((unit, proto::SubmitAssignmentResponse { submission }))
}
