//! From requests to commands, by field name, and from state to answers. No SQL, no decisions. To add a request: its
//! command and its function here; every text has a limit from this file.

use std::ops::RangeInclusive;

use chrono::{DateTime, Utc};
use prost_types::Timestamp;
use shipei_contracts::assignment::v1 as proto;
use shipei_rules::{
    ids::{ClassId, PersonId, ProgrammeId, SeminarId, SubmissionId, text_of},
    region::RegionCode,
    submission::MarkKind,
    vocabulary::Grade,
};
use shipei_service_kit::{
    Result,
    convert::{Fields, to_int32, to_timestamp},
};

use crate::{
    domain::{
        Bulletin, Mark, Post, Seminar, Standing, Submission,
        similarity::{PERCENT_MIN, PERCENT_USUAL},
    },
    store::similarity::Sought,
};

/// The most characters of a title or topic.
const TITLE_CHARS_MAX: usize = 2_000;
/// The most characters of a work, a comment, a post, a summary, a bulletin.
const TEXT_CHARS_MAX: usize = 200_000;

/// How often a comment was given at least, in a list that does not say.
const TIMES_USUAL: i64 = 5;

/// SubmitAssignment.
#[derive(Debug, Clone)]
pub(crate) struct Submit {
    pub(crate) programme: ProgrammeId,
    pub(crate) person: PersonId,
    pub(crate) submission: SubmissionId,
    pub(crate) kind: String,
    pub(crate) title: String,
    pub(crate) text: String,
    /// When it happened, if the caller said so.
    pub(crate) stated_at: Option<DateTime<Utc>>,
}

/// Reads a SubmitAssignment. A kind of any form is taken: one that the scheme has not is INVALID_KIND.
pub(crate) fn submit(request: &proto::SubmitAssignmentRequest) -> Result<Submit> {
    let mut fields = Fields::new();
    let programme = fields.id("programme_id", &request.programme_id, ProgrammeId::parse);
    let person = fields.id("person_id", &request.person_id, PersonId::parse);
    let submission = fields.id("submission_id", &request.submission_id, SubmissionId::parse);
    let title = title(&mut fields, "title", &request.title);
    let text = long_text(&mut fields, "text", &request.text);
    let stated_at = fields.optional_timestamp("occurred_at", request.occurred_at);
    let (programme, person, submission, title, text, stated_at) =
        fields.all((programme, person, submission, title, text, stated_at))?;
    Ok(Submit { programme, person, submission, kind: request.kind.clone(), title, text, stated_at })
}

/// ReviewSubmission or ReturnSubmission.
#[derive(Debug, Clone)]
pub(crate) struct MarkCommand {
    pub(crate) programme: ProgrammeId,
    pub(crate) tutor: PersonId,
    pub(crate) submission: SubmissionId,
    pub(crate) kind: MarkKind,
    /// May be blank: then it is refused, but only after what comes before in the order of refusals.
    pub(crate) comment: String,
}

/// Reads a ReviewSubmission.
pub(crate) fn review(request: &proto::ReviewSubmissionRequest) -> Result<MarkCommand> {
    let mut fields = Fields::new();
    let programme = fields.id("programme_id", &request.programme_id, ProgrammeId::parse);
    let tutor = fields.id("tutor_id", &request.tutor_id, PersonId::parse);
    let submission = fields.id("submission_id", &request.submission_id, SubmissionId::parse);
    let grade = fields.choice::<proto::Grade>("grade", request.grade);
    let comment = comment(&mut fields, &request.comment);
    let (programme, tutor, submission, grade, comment) =
        fields.all((programme, tutor, submission, grade, comment))?;
    let kind = grade.known().map_or(MarkKind::Returned, MarkKind::Graded);
    Ok(MarkCommand { programme, tutor, submission, kind, comment })
}

/// Reads a ReturnSubmission.
pub(crate) fn give_back(request: &proto::ReturnSubmissionRequest) -> Result<MarkCommand> {
    let mut fields = Fields::new();
    let programme = fields.id("programme_id", &request.programme_id, ProgrammeId::parse);
    let tutor = fields.id("tutor_id", &request.tutor_id, PersonId::parse);
    let submission = fields.id("submission_id", &request.submission_id, SubmissionId::parse);
    let comment = comment(&mut fields, &request.comment);
    let (programme, tutor, submission, comment) = fields.all((programme, tutor, submission, comment))?;
    Ok(MarkCommand { programme, tutor, submission, kind: MarkKind::Returned, comment })
}

/// GetSubmission: programme and submission.
pub(crate) fn get_submission(request: &proto::GetSubmissionRequest) -> Result<(ProgrammeId, SubmissionId)> {
    let mut fields = Fields::new();
    let programme = fields.id("programme_id", &request.programme_id, ProgrammeId::parse);
    let submission = fields.id("submission_id", &request.submission_id, SubmissionId::parse);
    fields.all((programme, submission))
}

/// ListSubmissions: programme, class, trainee.
pub(crate) fn list_submissions(
    request: &proto::ListSubmissionsRequest,
) -> Result<(ProgrammeId, Option<ClassId>, Option<PersonId>)> {
    let mut fields = Fields::new();
    let programme = fields.id("programme_id", &request.programme_id, ProgrammeId::parse);
    let class = fields.optional_id("class_id", &request.class_id, ClassId::parse);
    let person = fields.optional_id("person_id", &request.person_id, PersonId::parse);
    fields.all((programme, class, person))
}

/// ListSimilarSubmissions.
pub(crate) fn list_similar(request: &proto::ListSimilarSubmissionsRequest) -> Result<Sought> {
    let least = match request.min_percent {
        0 => PERCENT_USUAL,
        percent => percent.into(),
    };
    let ids = (request.programme_id.as_str(), request.class_id.as_str(), request.region_code.as_str());
    sought(ids, ("min_percent", least, PERCENT_MIN..=100))
}

/// ListRepeatedComments.
pub(crate) fn list_repeated(request: &proto::ListRepeatedCommentsRequest) -> Result<Sought> {
    let least = match request.min_times {
        0 => TIMES_USUAL,
        times => times.into(),
    };
    let ids = (request.programme_id.as_str(), request.class_id.as_str(), request.region_code.as_str());
    sought(ids, ("min_times", least, 2..=1_000_000))
}

fn sought(
    (programme_id, class_id, region_code): (&str, &str, &str),
    (field, least, range): (&str, i64, RangeInclusive<i64>),
) -> Result<Sought> {
    let mut fields = Fields::new();
    let programme = fields.id("programme_id", programme_id, ProgrammeId::parse);
    let class = fields.optional_id("class_id", class_id, ClassId::parse);
    let region = fields.optional_id("region_code", region_code, RegionCode::parse);
    let least = fields.integer(field, least, range);
    let (programme, class, region, least) = fields.all((programme, class, region, least))?;
    Ok(Sought { programme, class, region, least })
}

/// CompareSubmissions: programme and both works.
pub(crate) fn compare_submissions(
    request: &proto::CompareSubmissionsRequest,
) -> Result<(ProgrammeId, SubmissionId, SubmissionId)> {
    let mut fields = Fields::new();
    let programme = fields.id("programme_id", &request.programme_id, ProgrammeId::parse);
    let own = fields.id("submission_id", &request.submission_id, SubmissionId::parse);
    let other = fields.id("other_submission_id", &request.other_submission_id, SubmissionId::parse);
    fields.all((programme, own, other))
}

/// ListMarking: programme, tutor, as of when.
pub(crate) fn list_marking(
    request: &proto::ListMarkingRequest,
) -> Result<(ProgrammeId, PersonId, Option<DateTime<Utc>>)> {
    let mut fields = Fields::new();
    let programme = fields.id("programme_id", &request.programme_id, ProgrammeId::parse);
    let tutor = fields.id("tutor_id", &request.tutor_id, PersonId::parse);
    let as_of = fields.optional_timestamp("as_of", request.as_of);
    fields.all((programme, tutor, as_of))
}

/// OpenSeminar.
#[derive(Debug, Clone)]
pub(crate) struct Open {
    pub(crate) programme: ProgrammeId,
    pub(crate) tutor: PersonId,
    pub(crate) class: ClassId,
    pub(crate) seminar: SeminarId,
    pub(crate) topic: String,
    /// When it happened, if the caller said so.
    pub(crate) stated_at: Option<DateTime<Utc>>,
}

/// Reads an OpenSeminar.
pub(crate) fn open(request: &proto::OpenSeminarRequest) -> Result<Open> {
    let mut fields = Fields::new();
    let programme = fields.id("programme_id", &request.programme_id, ProgrammeId::parse);
    let tutor = fields.id("tutor_id", &request.tutor_id, PersonId::parse);
    let class = fields.id("class_id", &request.class_id, ClassId::parse);
    let seminar = fields.id("seminar_id", &request.seminar_id, SeminarId::parse);
    let topic = title(&mut fields, "topic", &request.topic);
    let stated_at = fields.optional_timestamp("occurred_at", request.occurred_at);
    let (programme, tutor, class, seminar, topic, stated_at) =
        fields.all((programme, tutor, class, seminar, topic, stated_at))?;
    Ok(Open { programme, tutor, class, seminar, topic, stated_at })
}

/// PostToSeminar.
#[derive(Debug, Clone)]
pub(crate) struct PostCommand {
    pub(crate) programme: ProgrammeId,
    pub(crate) person: PersonId,
    pub(crate) seminar: SeminarId,
    pub(crate) text: String,
}

/// Reads a PostToSeminar. A text of nothing is too short, which is for the domain to say.
pub(crate) fn post(request: &proto::PostToSeminarRequest) -> Result<PostCommand> {
    let mut fields = Fields::new();
    let programme = fields.id("programme_id", &request.programme_id, ProgrammeId::parse);
    let person = fields.id("person_id", &request.person_id, PersonId::parse);
    let seminar = fields.id("seminar_id", &request.seminar_id, SeminarId::parse);
    let text = long_text(&mut fields, "text", &request.text);
    let (programme, person, seminar, text) = fields.all((programme, person, seminar, text))?;
    Ok(PostCommand { programme, person, seminar, text })
}

/// SummariseSeminar.
#[derive(Debug, Clone)]
pub(crate) struct Summarise {
    pub(crate) programme: ProgrammeId,
    pub(crate) tutor: PersonId,
    pub(crate) seminar: SeminarId,
    pub(crate) summary: String,
}

/// Reads a SummariseSeminar. The law asks for a published summary and of a comment alone that it is not blank.
pub(crate) fn summarise(request: &proto::SummariseSeminarRequest) -> Result<Summarise> {
    let mut fields = Fields::new();
    let programme = fields.id("programme_id", &request.programme_id, ProgrammeId::parse);
    let tutor = fields.id("tutor_id", &request.tutor_id, PersonId::parse);
    let seminar = fields.id("seminar_id", &request.seminar_id, SeminarId::parse);
    let summary = long_text(&mut fields, "summary", &request.summary);
    let (programme, tutor, seminar, summary) = fields.all((programme, tutor, seminar, summary))?;
    Ok(Summarise { programme, tutor, seminar, summary })
}

/// GetSeminar and ListPosts: programme and seminar.
pub(crate) fn seminar_key(programme_id: &str, seminar_id: &str) -> Result<(ProgrammeId, SeminarId)> {
    let mut fields = Fields::new();
    let programme = fields.id("programme_id", programme_id, ProgrammeId::parse);
    let seminar = fields.id("seminar_id", seminar_id, SeminarId::parse);
    fields.all((programme, seminar))
}

/// ListSeminars and ListBulletins: programme and class.
pub(crate) fn class_filter(programme_id: &str, class_id: &str) -> Result<(ProgrammeId, Option<ClassId>)> {
    let mut fields = Fields::new();
    let programme = fields.id("programme_id", programme_id, ProgrammeId::parse);
    let class = fields.optional_id("class_id", class_id, ClassId::parse);
    fields.all((programme, class))
}

/// PublishBulletin.
#[derive(Debug, Clone)]
pub(crate) struct Publish {
    pub(crate) programme: ProgrammeId,
    pub(crate) tutor: PersonId,
    pub(crate) class: ClassId,
    pub(crate) number: i64,
    pub(crate) title: String,
    pub(crate) text: String,
}

/// Reads a PublishBulletin. Any number is taken: one that the scheme does not have is NOT_FOUND.
pub(crate) fn publish(request: &proto::PublishBulletinRequest) -> Result<Publish> {
    let mut fields = Fields::new();
    let programme = fields.id("programme_id", &request.programme_id, ProgrammeId::parse);
    let tutor = fields.id("tutor_id", &request.tutor_id, PersonId::parse);
    let class = fields.id("class_id", &request.class_id, ClassId::parse);
    let title = title(&mut fields, "title", &request.title);
    let text = long_text(&mut fields, "text", &request.text);
    let (programme, tutor, class, title, text) = fields.all((programme, tutor, class, title, text))?;
    Ok(Publish { programme, tutor, class, number: request.number.into(), title, text })
}

/// A title or topic, which may be empty: no annex asks for one.
fn title(fields: &mut Fields, field: &str, value: &str) -> Option<String> {
    fields.name(field, value, TITLE_CHARS_MAX)
}

/// A comment, which may be blank as yet.
fn comment(fields: &mut Fields, value: &str) -> Option<String> {
    fields.optional_text("comment", value, TEXT_CHARS_MAX)
}

/// A long text, which may be empty. It is kept as it was written: Chinese paragraphs begin with blanks.
fn long_text(fields: &mut Fields, field: &str, value: &str) -> Option<String> {
    fields.written_text(field, value, TEXT_CHARS_MAX)
}

/// A submission with its marks, for an answer.
pub(crate) fn submission_to_proto(submission: Submission, marks: Vec<Mark>) -> proto::Submission {
    let graded_submission_id = match &submission.standing {
        Standing::Disregarded { graded } => graded.to_string(),
        Standing::Counts | Standing::Superseded { .. } => String::new(),
    };
    proto::Submission {
        submission_id: submission.submission_id.to_string(),
        person_id: submission.person_id.into(),
        class_id: text_of(submission.class_id.as_ref()).to_owned(),
        kind: submission.kind,
        title: submission.title,
        text: submission.text,
        submitted_time: Some(to_timestamp(submission.submitted_at)),
        superseded_time: submission.standing.superseded_at().map(to_timestamp),
        marks: marks.into_iter().map(mark_to_proto).collect(),
        graded_submission_id,
        fact_id: submission.fact_id,
        retracted: !submission.stands,
    }
}

fn mark_to_proto(mark: Mark) -> proto::Mark {
    proto::Mark {
        number: mark.number,
        grade: grade_to_proto(mark.kind.grade()).into(),
        comment: mark.comment,
        tutor_id: mark.tutor_id.into(),
        marked_time: Some(to_timestamp(mark.marked_at)),
        fact_id: mark.fact_id,
        retracted: !mark.stands,
        by_another: !mark.counts,
    }
}

/// A grade, or that there is none.
pub(crate) fn grade_to_proto(grade: Option<Grade>) -> proto::Grade {
    grade.into()
}

/// A seminar, for an answer.
pub(crate) fn seminar_to_proto(seminar: Seminar) -> proto::Seminar {
    proto::Seminar {
        seminar_id: seminar.seminar_id.into(),
        class_id: seminar.class_id.into(),
        tutor_id: seminar.tutor_id.into(),
        topic: seminar.topic,
        opened_time: Some(to_timestamp(seminar.opened_at)),
        summary: seminar.summary,
        summarised_time: seminar.summarised_at.map(to_timestamp),
        summary_fact_id: seminar.summary_fact_id,
        fact_id: seminar.fact_id,
        retracted: !seminar.stands,
    }
}

/// A post, for an answer.
pub(crate) fn post_to_proto(post: Post) -> proto::Post {
    proto::Post {
        number: to_int32(post.number),
        person_id: post.person_id.into(),
        text: post.text,
        characters: to_int32(post.characters),
        posted_time: Some(to_timestamp(post.posted_at)),
        fact_id: post.fact_id,
        retracted: !post.stands,
    }
}

/// A bulletin, for an answer.
pub(crate) fn bulletin_to_proto(bulletin: Bulletin) -> proto::Bulletin {
    let published_time: Timestamp = to_timestamp(bulletin.published_at);
    proto::Bulletin {
        class_id: bulletin.class_id.into(),
        number: to_int32(bulletin.number),
        title: bulletin.title,
        text: bulletin.text,
        tutor_id: bulletin.tutor_id.into(),
        published_time: Some(published_time),
        fact_id: bulletin.fact_id,
        retracted: !bulletin.stands,
    }
}
