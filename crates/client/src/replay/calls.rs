//! From a season's line to the one RPC that it stands for.

mod amend;
mod origin;
mod place;

use anyhow::Result;
use shipei_contracts::{
    assignment::v1 as assignment,
    common::v1 as common,
    enrollment::v1 as enrollment,
    event::v1::{self as event, RetractRequest},
    learning::v1 as learning,
    offline::v1 as offline,
    services::{ASSESSMENT_DECISIONS, ASSIGNMENT_GRADING, ENROLLMENT, LEARNING_PROGRESS, OFFLINE_ACTIVITY},
};
use shipei_rules::vocabulary::Role;
use shipei_service_kit::to_int32;
use tonic::{Response, Status};

pub use origin::timestamp;
use origin::{Origin, stage};

use crate::{
    client::Clients,
    season::{
        Numbered,
        line::{Event, Grade, Source},
    },
};

/// What a line's call must keep its order with: the calls that name the same thing. `authors` gives the trainees who say
/// that a submission is theirs: whether it may still be reviewed depends on what else its author hands in.
pub fn keys_of(event: &Event, authors: impl Fn(&str) -> Vec<String>) -> Vec<String> {
    let person = |person: &String| format!("person/{person}");
    match event {
        Event::RosterReported { county, .. }
        | Event::RemittanceSent { county, .. }
        | Event::RemittanceConfirmed { county, .. }
        | Event::InvoiceIssued { county, .. }
        | Event::LearningOpened { county } => vec![format!("county/{county}")],
        Event::RosterCompiled { .. } => Vec::new(),
        Event::OfflinePlanSubmitted { county, .. } | Event::OfflineResultsSubmitted { county, .. } => {
            vec![format!("offline/{county}")]
        }
        Event::PersonLoggedIn { person: id }
        | Event::PreJobAttended { person: id }
        | Event::TraineeWithdrawn { person: id, .. }
        | Event::TraineeReturned { person: id, .. }
        | Event::TraineeTransferred { person: id, .. }
        | Event::PersonRemoved { person: id, .. }
        | Event::PersonsMerged { person: id, .. }
        | Event::SessionVoided { person: id, .. }
        | Event::CourseSelected { person: id, .. } => vec![person(id)],
        Event::TutorChosen { tutor, .. } => vec![person(tutor)],
        Event::TutorReplaced { class, .. } => vec![format!("class/{class}")],
        // In the order of lines: of two of one instant, and of what is merged twice, the first is the first.
        Event::PlaceRenamed(_) | Event::PlaceMerged(_) | Event::PlaceClosed(_) => vec!["places".to_owned()],
        Event::StudySession(session) => vec![person(&session.person)],
        Event::TimeGranted(grant) => vec![person(&grant.person)],
        Event::ItemAdjusted(decision) => vec![format!("decision/{}", decision.person)],
        Event::EvidenceSubmitted(line) => vec![format!("evidence/{}{}", line.person, line.region)],
        Event::EvidenceSentBack(line) => vec![format!("evidence/{}{}", line.person, line.region)],
        Event::ExtensionGranted(line) => vec![format!("extension/{}", line.extension)],
        Event::CourseCorrected(line) => vec![format!("course/{}", line.course)],
        Event::CourseRetired(line) => vec![format!("course/{}", line.course)],
        Event::AssignmentSubmitted { person: id, submission, .. } => {
            vec![person(id), format!("submission/{submission}")]
        }
        Event::AssignmentReviewed { submission, .. } | Event::AssignmentReturned { submission, .. } => {
            let mut keys = vec![format!("submission/{submission}")];
            keys.extend(authors(submission).iter().map(person));
            keys
        }
        Event::SeminarOpened { seminar, .. } | Event::SeminarSummarised { seminar, .. } => {
            vec![format!("seminar/{seminar}")]
        }
        Event::SeminarPosted { person: id, seminar, .. } => vec![person(id), format!("seminar/{seminar}")],
        Event::BulletinPublished { class, .. } => vec![format!("bulletin/{class}")],
        Event::OfflineActivityHeld { activity, .. } => vec![format!("activity/{activity}")],
        Event::OfflineAttended { activity, persons, .. } => {
            let mut keys = vec![format!("activity/{activity}")];
            keys.extend(persons.iter().map(person));
            keys
        }
        Event::OfflineScored { activity, person: id, .. } => {
            vec![format!("activity/{activity}"), person(id)]
        }
        // Before or behind what it retracts, it means the same.
        Event::FactRetracted { retracts, .. } => vec![format!("fact/{retracts}")],
    }
}

fn grade(grade: Grade) -> i32 {
    match grade {
        Grade::Excellent => assignment::Grade::Excellent.into(),
        Grade::Pass => assignment::Grade::Pass.into(),
        Grade::Fail => assignment::Grade::Fail.into(),
    }
}

/// Makes one call until the service answers, notes the token, and leaves only whether it was taken.
#[macro_export]
macro_rules! send {
    ($clients:expr, $service:expr, $client:path, $method:ident, $message:expr) => {{
        let message = $message;
        let channel = $clients.channel($service);
        let response = $clients
            .call(|| {
                let request = $clients.unary(message.clone());
                let mut client = <$client>::new(channel.clone());
                async move { client.$method(request).await }
            })
            .await;
        $crate::replay::calls::taken($clients, $service, response)
    }};
}
pub use send;

/// The error is the service's refusal. Of the tokens only enrollment's is kept: it is the one log that the services
/// called here follow, and a token of all logs would weigh kilobytes in each of a season's calls.
pub fn taken<T>(
    clients: &Clients,
    service: &str,
    response: Result<Response<T>, Status>,
) -> Result<(), Status> {
    let response = response?;
    if service == ENROLLMENT {
        clients.note(&response);
    }
    Ok(())
}

/// The request id of a line that has a name, which is also its fact's id.
fn named(programme: &str, fact: &str) -> String {
    format!("{programme}:fact.{fact}")
}

/// A request message from an [`Origin`] and its own fields.
macro_rules! message {
    ($origin:ident, $module:ident :: $message:ident { $($field:ident: $value:expr),* $(,)? }) => {
        $module::$message {
            programme_id: $origin.programme_id,
            request_id: $origin.request_id,
            occurred_at: $origin.occurred_at,
            correction: None,
            $($field: $value,)*
        }
    };
}

/// The request id of a line. Letters keep its digits apart: 15 of them in a row, whatever marks are between them, are taken for
/// somebody's identity number, and an id that holds one is refused.
fn line_id(programme: &str, numbered: &Numbered) -> String {
    let (high, low) = (numbered.digest >> 32, numbered.digest & 0xffff_ffff);
    format!("{programme}:l{}:x{high:08x}x{low:08x}", numbered.number)
}

/// Calls the RPC that a line stands for. The error is the service's answer.
pub async fn send_line(clients: &Clients, programme: &str, numbered: &Numbered) -> Result<(), Status> {
    use assignment::{
        assignment_service_client::AssignmentServiceClient as Assignment,
        bulletin_service_client::BulletinServiceClient as Bulletin,
        seminar_service_client::SeminarServiceClient as Seminar,
    };
    use enrollment::{
        county_service_client::CountyServiceClient as County,
        honour_service_client::HonourServiceClient as Honour,
        person_service_client::PersonServiceClient as Person,
        region_service_client::RegionServiceClient as Region,
    };
    use event::correction_service_client::CorrectionServiceClient as Corrections;
    use learning::{
        course_service_client::CourseServiceClient as Course,
        study_service_client::StudyServiceClient as Study,
    };
    use offline::offline_service_client::OfflineServiceClient as Offline;
    let origin = Origin {
        programme_id: programme.to_owned(),
        request_id: match &numbered.line.fact {
            Some(fact) => named(programme, fact),
            None => line_id(programme, numbered),
        },
        occurred_at: Some(timestamp(numbered.line.at)),
    };
    // Every event there is: one that is not sent does not compile.
    match numbered.line.event.clone() {
        Event::RosterReported { county, counselor } => {
            let message = message!(
                origin,
                enrollment::ReportRosterRequest { county_code: county, counselor_id: counselor }
            );
            send!(clients, ENROLLMENT, County<_>, report_roster, message)
        }
        Event::RosterCompiled { city, lead } => {
            let message =
                message!(origin, enrollment::CompileRosterRequest { city_code: city, lead_id: lead });
            send!(clients, ENROLLMENT, County<_>, compile_roster, message)
        }
        Event::RemittanceSent { county, reference, amount_fen } => {
            let message = message!(
                origin,
                enrollment::SendRemittanceRequest {
                    county_code: county,
                    r#ref: reference,
                    amount_fen: amount_fen,
                }
            );
            send!(clients, ENROLLMENT, County<_>, send_remittance, message)
        }
        Event::RemittanceConfirmed { county, reference } => {
            let message = message!(
                origin,
                enrollment::ConfirmRemittanceRequest { county_code: county, r#ref: reference }
            );
            send!(clients, ENROLLMENT, County<_>, confirm_remittance, message)
        }
        Event::InvoiceIssued { county, reference } => {
            let message =
                message!(origin, enrollment::IssueInvoiceRequest { county_code: county, r#ref: reference });
            send!(clients, ENROLLMENT, County<_>, issue_invoice, message)
        }
        Event::LearningOpened { county } => {
            let message = message!(origin, enrollment::OpenLearningRequest { county_code: county });
            send!(clients, ENROLLMENT, County<_>, open_learning, message)
        }
        Event::PersonLoggedIn { person } => {
            let message = message!(origin, enrollment::RecordLoginRequest { person_id: person });
            send!(clients, ENROLLMENT, Person<_>, record_login, message)
        }
        Event::PreJobAttended { person } => {
            let message = message!(origin, enrollment::RecordPreJobTrainingRequest { person_id: person });
            send!(clients, ENROLLMENT, Person<_>, record_pre_job_training, message)
        }
        Event::TraineeWithdrawn { person, reason } => {
            let message =
                message!(origin, enrollment::WithdrawTraineeRequest { person_id: person, reason: reason });
            send!(clients, ENROLLMENT, Person<_>, withdraw_trainee, message)
        }
        Event::TraineeReturned { person, reason } => {
            let message =
                message!(origin, enrollment::ReturnTraineeRequest { person_id: person, reason: reason });
            send!(clients, ENROLLMENT, Person<_>, return_trainee, message)
        }
        Event::TraineeTransferred { person, county, school, class } => {
            let message = message!(
                origin,
                enrollment::TransferTraineeRequest {
                    person_id: person,
                    county_code: county,
                    school_code: school,
                    class_id: class,
                }
            );
            send!(clients, ENROLLMENT, Person<_>, transfer_trainee, message)
        }
        Event::PersonRemoved { person, reason, role } => {
            let role = Role::parse(&role).map_or(0, |role| common::Role::from(role).into());
            let message = message!(
                origin,
                enrollment::RemovePersonRequest { person_id: person, reason: reason, role: role }
            );
            send!(clients, ENROLLMENT, Person<_>, remove_person, message)
        }
        Event::PersonsMerged { person, merged, reason } => {
            amend::merge(clients, origin, (person, merged), reason).await
        }
        Event::TutorReplaced { class, tutor, reason } => {
            let message = message!(
                origin,
                enrollment::ReplaceTutorRequest { class_id: class, tutor_id: tutor, reason: reason }
            );
            send!(clients, ENROLLMENT, Region<_>, replace_tutor, message)
        }
        Event::SessionVoided { person, session, reason } => {
            let message = learning::VoidSessionRequest {
                programme_id: origin.programme_id,
                person_id: person,
                session_id: session,
                reason,
                request_id: origin.request_id,
                correction: None,
            };
            send!(clients, LEARNING_PROGRESS, Study<_>, void_session, message)
        }
        Event::TutorChosen { expert, tutor } => {
            let message = message!(
                origin,
                enrollment::ChooseExcellentTutorRequest { expert_id: expert, tutor_id: tutor }
            );
            send!(clients, ENROLLMENT, Honour<_>, choose_excellent_tutor, message)
        }
        Event::CourseSelected { person, course } => {
            let message =
                message!(origin, learning::SelectCourseRequest { person_id: person, course_id: course });
            send!(clients, LEARNING_PROGRESS, Course<_>, select_course, message)
        }
        Event::AssignmentSubmitted { person, submission, kind, title } => {
            let message = message!(
                origin,
                assignment::SubmitAssignmentRequest {
                    person_id: person,
                    submission_id: submission,
                    kind: kind,
                    title: title,
                    text: String::new(),
                }
            );
            send!(clients, ASSIGNMENT_GRADING, Assignment<_>, submit_assignment, message)
        }
        Event::AssignmentReviewed { tutor, submission, grade: given, comment } => {
            let message = message!(
                origin,
                assignment::ReviewSubmissionRequest {
                    tutor_id: tutor,
                    submission_id: submission,
                    grade: grade(given),
                    comment: comment,
                }
            );
            send!(clients, ASSIGNMENT_GRADING, Assignment<_>, review_submission, message)
        }
        Event::AssignmentReturned { tutor, submission, comment } => {
            let message = message!(
                origin,
                assignment::ReturnSubmissionRequest {
                    tutor_id: tutor,
                    submission_id: submission,
                    comment: comment,
                }
            );
            send!(clients, ASSIGNMENT_GRADING, Assignment<_>, return_submission, message)
        }
        Event::SeminarOpened { tutor, class, seminar, topic } => {
            let message = message!(
                origin,
                assignment::OpenSeminarRequest {
                    tutor_id: tutor,
                    class_id: class,
                    seminar_id: seminar,
                    topic: topic,
                }
            );
            send!(clients, ASSIGNMENT_GRADING, Seminar<_>, open_seminar, message)
        }
        Event::SeminarPosted { person, seminar, text } => {
            let message = message!(
                origin,
                assignment::PostToSeminarRequest { person_id: person, seminar_id: seminar, text: text }
            );
            send!(clients, ASSIGNMENT_GRADING, Seminar<_>, post_to_seminar, message)
        }
        Event::SeminarSummarised { tutor, seminar, summary } => {
            let message = message!(
                origin,
                assignment::SummariseSeminarRequest {
                    tutor_id: tutor,
                    seminar_id: seminar,
                    summary: summary,
                }
            );
            send!(clients, ASSIGNMENT_GRADING, Seminar<_>, summarise_seminar, message)
        }
        Event::BulletinPublished { tutor, class, number, title } => {
            let message = message!(
                origin,
                assignment::PublishBulletinRequest {
                    tutor_id: tutor,
                    class_id: class,
                    number: to_int32(number),
                    title: title,
                    text: String::new(),
                }
            );
            send!(clients, ASSIGNMENT_GRADING, Bulletin<_>, publish_bulletin, message)
        }
        Event::OfflinePlanSubmitted { counselor, county, education_stage, title } => {
            let message = message!(
                origin,
                offline::SubmitPlanRequest {
                    counselor_id: counselor,
                    county_code: county,
                    education_stage: stage(education_stage),
                    title: title,
                }
            );
            send!(clients, OFFLINE_ACTIVITY, Offline<_>, submit_plan, message)
        }
        Event::OfflineActivityHeld { counselor, county, education_stage, activity, theme } => {
            let message = message!(
                origin,
                offline::HoldActivityRequest {
                    counselor_id: counselor,
                    county_code: county,
                    education_stage: stage(education_stage),
                    activity_id: activity,
                    theme: theme,
                }
            );
            send!(clients, OFFLINE_ACTIVITY, Offline<_>, hold_activity, message)
        }
        Event::OfflineAttended { counselor, activity, persons } => {
            let message = message!(
                origin,
                offline::RecordAttendanceRequest {
                    counselor_id: counselor,
                    activity_id: activity,
                    person_ids: persons,
                    validate_only: false,
                    // All of them or none: a line of a season is taken or refused.
                    all_or_none: true,
                }
            );
            send!(clients, OFFLINE_ACTIVITY, Offline<_>, record_attendance, message)
        }
        Event::OfflineScored { counselor, activity, person, score } => {
            let message = message!(
                origin,
                offline::ScoreAttendeeRequest {
                    counselor_id: counselor,
                    activity_id: activity,
                    person_id: person,
                    score: to_int32(score),
                    validate_only: false,
                }
            );
            send!(clients, OFFLINE_ACTIVITY, Offline<_>, score_attendee, message)
        }
        Event::OfflineResultsSubmitted { counselor, county, education_stage, title } => {
            let message = message!(
                origin,
                offline::SubmitResultsRequest {
                    counselor_id: counselor,
                    county_code: county,
                    education_stage: stage(education_stage),
                    title: title,
                }
            );
            send!(clients, OFFLINE_ACTIVITY, Offline<_>, submit_results, message)
        }
        Event::FactRetracted { source, retracts, person, reason } => {
            let source = match source {
                Source::Enrollment => ENROLLMENT,
                Source::LearningProgress => LEARNING_PROGRESS,
                Source::AssignmentGrading => ASSIGNMENT_GRADING,
                Source::OfflineActivity => OFFLINE_ACTIVITY,
                Source::AssessmentDecisions => ASSESSMENT_DECISIONS,
            };
            let fact_id = match named(programme, &retracts) {
                fact if person.is_empty() => fact,
                fact => format!("{fact}:{person}"),
            };
            let message = RetractRequest {
                source: source.to_owned(),
                programme_id: origin.programme_id,
                fact_id,
                reason,
                request_id: origin.request_id,
                occurred_at: origin.occurred_at,
            };
            send!(clients, source, Corrections<_>, retract, message)
        }
        Event::ExtensionGranted(line) => amend::extend(clients, origin, line).await,
        Event::TimeGranted(line) => amend::grant(clients, origin, line).await,
        Event::ItemAdjusted(line) => amend::adjust(clients, origin, line).await,
        Event::EvidenceSubmitted(line) => amend::submit_evidence(clients, origin, line).await,
        Event::EvidenceSentBack(line) => {
            let fact_id = named(programme, &line.evidence);
            amend::send_back_evidence(clients, origin, fact_id, line).await
        }
        Event::CourseCorrected(line) => amend::correct(clients, origin, line).await,
        Event::CourseRetired(line) => amend::retire(clients, origin, line).await,
        Event::PlaceRenamed(line) => place::rename(clients, origin, line).await,
        Event::PlaceMerged(line) => place::merge(clients, origin, line).await,
        Event::PlaceClosed(line) => place::close(clients, origin, line).await,
        // Heartbeats go by stream, see `study.rs`.
        Event::StudySession(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::season::line::Line;

    #[test]
    fn review_keeps_its_order_with_all_who_claim_the_submission() {
        let line = r#"{"at":"2019-11-05T00:00:00+08:00","type":"assignment.reviewed","tutor":"U1","submission":"A1",
                       "grade":"pass","comment":"c"}"#;
        let event = Line::parse(line).expect("a right line").event;
        let authors = |submission: &str| {
            assert_eq!(submission, "A1");
            vec!["T1".to_owned(), "T2".to_owned()]
        };
        assert_eq!(keys_of(&event, authors), ["submission/A1", "person/T1", "person/T2"]);
    }
}
