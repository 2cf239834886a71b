//! Courses, from proto and to it.

use shipei_contracts::common::v1 as common;
use shipei_contracts::learning::v1 as proto;
use shipei_rules::ids::{CourseId, ProgrammeId};
use shipei_rules::subjects;
use shipei_service_kit::{Fields, Result, to_int32, to_timestamp};

use super::{NAME_CHARACTERS_MAX, REASON_CHARACTERS_MAX};
use crate::domain::course::{Course, LENGTH_SECONDS_MAX, Terms};
use crate::domain::course_change::CourseChange;

/// Which courses: the programme, the category's word (empty for all), the subject (empty for all).
pub(crate) fn courses(request: &proto::ListCoursesRequest) -> Result<(ProgrammeId, &'static str, String)> {
    let mut fields = Fields::new();
    let programme = fields.id("programme_id", &request.programme_id, ProgrammeId::parse);
    let category = fields.optional_choice::<proto::CourseCategory>("category", request.category);
    let subject = fields.name("subject", &request.subject, NAME_CHARACTERS_MAX);
    let (programme, category, subject) = fields.all((programme, category, subject))?;
    Ok((programme, category.map_or("", proto::CourseCategory::word), subject))
}

/// A new course.
pub(crate) fn new_course(request: &proto::CreateCourseRequest) -> Result<(ProgrammeId, Course)> {
    let mut fields = Fields::new();
    let programme = fields.id("programme_id", &request.programme_id, ProgrammeId::parse);
    let course = fields.required("course", request.course.as_ref());
    let course = course.and_then(|course| fields.inner("course", |fields| read_course(fields, course)));
    fields.all((programme, course))
}

fn read_course(fields: &mut Fields, course: &proto::Course) -> Option<Course> {
    let id = fields.id("course_id", &course.course_id, CourseId::parse);
    let title = fields.name("title", &course.title, NAME_CHARACTERS_MAX);
    let category = fields.choice::<proto::CourseCategory>("category", course.category);
    let length = read_length(fields, course.length_seconds);
    let subject =
        fields.name("subject", &course.subject, NAME_CHARACTERS_MAX).map(|text| subjects::written(&text));
    let stage = fields.optional_choice::<common::EducationStage>("education_stage", course.education_stage);
    if course.retired_time.is_some() {
        return fields.fault("retired_time", "RetireCourse says so");
    }
    let terms = Terms {
        category: category.and_then(proto::CourseCategory::known)?,
        main_line: course.main_line,
        length_seconds: length?,
        subject: subject?,
        education_stage: stage?.and_then(common::EducationStage::known),
        retired: false,
    };
    Some(Course { id: id?, title: title?, terms: terms.into() })
}

fn read_length(fields: &mut Fields, length_seconds: i32) -> Option<i64> {
    fields.integer("length_seconds", i64::from(length_seconds), 0..=LENGTH_SECONDS_MAX)
}

/// Which course, and what is right of it, and why.
pub(crate) fn corrected(
    request: &proto::CorrectCourseRequest,
) -> Result<(ProgrammeId, CourseId, CourseChange, String)> {
    let mut fields = Fields::new();
    let programme = fields.id("programme_id", &request.programme_id, ProgrammeId::parse);
    let course = fields.id("course_id", &request.course_id, CourseId::parse);
    let terms = fields.required("terms", request.terms.as_ref());
    let change = terms.and_then(|terms| fields.inner("terms", |fields| read_terms(fields, terms)));
    let since = fields.optional_timestamp("since_time", request.since_time);
    let reason = fields.text("reason", &request.reason, REASON_CHARACTERS_MAX);
    let (programme, course, change, since, reason) =
        fields.all((programme, course, change, since, reason))?;
    Ok((programme, course, CourseChange { since, ..change }, reason))
}

fn read_terms(fields: &mut Fields, terms: &proto::CourseTerms) -> Option<CourseChange> {
    if terms.retired.is_some() {
        return fields.fault("retired", "RetireCourse says so");
    }
    if *terms == proto::CourseTerms::default() {
        return fields.fault("", "give what is right");
    }
    let title = given(terms.title.as_ref(), |text| fields.name("title", text, NAME_CHARACTERS_MAX));
    let category = fields.optional_choice::<proto::CourseCategory>("category", terms.category);
    let length = given(terms.length_seconds, |length| read_length(fields, length));
    let subject = given(terms.subject.as_ref(), |text| {
        fields.name("subject", text, NAME_CHARACTERS_MAX).map(|text| subjects::written(&text))
    });
    let stage = given(terms.education_stage, |stage| {
        fields.optional_choice::<common::EducationStage>("education_stage", stage)
    });
    Some(CourseChange {
        title: title?,
        category: category?.and_then(proto::CourseCategory::known),
        main_line: terms.main_line,
        length_seconds: length?,
        subject: subject?,
        education_stage: stage?.map(|stage| stage.and_then(common::EducationStage::known)),
        ..CourseChange::default()
    })
}

/// A value that may be unset: `Some(None)`.
fn given<V, T>(value: Option<V>, read: impl FnOnce(V) -> Option<T>) -> Option<Option<T>> {
    match value {
        None => Some(None),
        Some(value) => read(value).map(Some),
    }
}

/// Which course is retired, since when, if that is stated, and why.
pub(crate) fn retired(
    request: &proto::RetireCourseRequest,
) -> Result<(ProgrammeId, CourseId, CourseChange, String)> {
    let mut fields = Fields::new();
    let programme = fields.id("programme_id", &request.programme_id, ProgrammeId::parse);
    let course = fields.id("course_id", &request.course_id, CourseId::parse);
    let since = fields.optional_timestamp("since_time", request.since_time);
    let reason = fields.text("reason", &request.reason, REASON_CHARACTERS_MAX);
    let (programme, course, since, reason) = fields.all((programme, course, since, reason))?;
    Ok((programme, course, CourseChange { since, retired: Some(true), ..CourseChange::default() }, reason))
}

/// A course as proto, as it stands in the end.
pub(crate) fn course_to_proto(course: &Course) -> proto::Course {
    let terms = course.terms.last();
    proto::Course {
        course_id: course.id.as_str().to_owned(),
        title: course.title.clone(),
        category: proto::CourseCategory::from(terms.category).into(),
        main_line: terms.main_line,
        length_seconds: to_int32(terms.length_seconds),
        subject: terms.subject.clone(),
        education_stage: common::EducationStage::from(terms.education_stage).into(),
        retired_time: course.retired_at().map(to_timestamp),
    }
}

/// What a change says, as proto.
pub(crate) fn terms_to_proto(change: &CourseChange) -> proto::CourseTerms {
    let category = change.category.map(proto::CourseCategory::from).unwrap_or_default();
    proto::CourseTerms {
        title: change.title.clone(),
        category: category.into(),
        main_line: change.main_line,
        length_seconds: change.length_seconds.map(to_int32),
        subject: change.subject.clone(),
        education_stage: change.education_stage.map(|stage| common::EducationStage::from(stage).into()),
        retired: change.retired,
    }
}

/// A change as proto, without why and when.
pub(crate) fn change_to_proto(change: &CourseChange) -> proto::CourseChange {
    proto::CourseChange {
        change_number: change.number,
        since_time: change.since.map(to_timestamp),
        terms: Some(terms_to_proto(change)),
        ..proto::CourseChange::default()
    }
}
