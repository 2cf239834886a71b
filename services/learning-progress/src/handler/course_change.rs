//! Courses put right and retired. A change is kept as a fact, the course is what the changes that stand say, and everybody's study is
//! read anew by that in the background (`anew`), unless it was only a title.

use shipei_contracts::common::v1::ErrorReason;
use shipei_contracts::learning::v1::{
    CorrectCourseRequest, CorrectCourseResponse, CourseCorrected, CourseRetired, RetireCourseRequest,
    RetireCourseResponse,
};
use shipei_rules::ids::{CourseId, ProgrammeId};
use shipei_service_kit::{Refusal, Result, StoredFact, Unit, to_timestamp};
use shipei_store::Tx;

use super::{CourseHandler, not_found};
use crate::convert;
use crate::domain::course::Course;
use crate::domain::course_change::CourseChange;
use crate::store::{
    anew,
    course::{self as store},
    course_change as changes,
};

impl CourseHandler {
    pub(super) async fn correct(
        self,
        mut unit: Unit,
        request: CorrectCourseRequest,
    ) -> Result<(Unit, CorrectCourseResponse)> {
        let (programme, course, change, reason) = convert::corrected(&request)?;
        let (course, kept) = self.change(&mut unit, &programme, &course, (change, &reason)).await?;
        let Some(Kept { fact_id, region, before, change }) = kept else {
            return Ok((unit, CorrectCourseResponse { course: Some(course), fact_id: String::new() }));
        };
        let event = CourseCorrected {
            programme_id: programme.to_string(),
            course_id: course.course_id.clone(),
            change_number: change.number,
            since_time: change.since.map(to_timestamp),
            old: Some(convert::terms_to_proto(&change.of_before(&before))),
            new: Some(convert::terms_to_proto(&change)),
        };
        unit.emit_fact(&fact_id, &region, &course.course_id, &event);
        Ok((unit, CorrectCourseResponse { course: Some(course), fact_id }))
    }

    pub(super) async fn retire(
        self,
        mut unit: Unit,
        request: RetireCourseRequest,
    ) -> Result<(Unit, RetireCourseResponse)> {
        let (programme, course, change, reason) = convert::retired(&request)?;
        let change = CourseChange { since: change.since.or(Some(unit.occurred_at)), ..change };
        let (course, kept) = self.change(&mut unit, &programme, &course, (change, &reason)).await?;
        let Some(Kept { fact_id, region, change, .. }) = kept else {
            return Ok((unit, RetireCourseResponse { course: Some(course), fact_id: String::new() }));
        };
        let event = CourseRetired {
            programme_id: programme.to_string(),
            course_id: course.course_id.clone(),
            change_number: change.number,
            since_time: change.since.map(to_timestamp),
        };
        unit.emit_fact(&fact_id, &region, &course.course_id, &event);
        Ok((unit, RetireCourseResponse { course: Some(course), fact_id }))
    }

    /// Keeps a change, unless nothing is otherwise by it; gives the course as it stands.
    async fn change(
        &self,
        unit: &mut Unit,
        programme: &ProgrammeId,
        course_id: &CourseId,
        (mut change, reason): (CourseChange, &str),
    ) -> Result<(shipei_contracts::learning::v1::Course, Option<Kept>)> {
        let (_, scheme) = self.programmes.scheme(&mut unit.tx, programme).await?;
        change.decide(unit.now)?;
        let fact_id = unit.new_fact_id()?;
        // Who retracts it meanwhile comes before or after, never between.
        unit.is_retracted(programme.as_str(), &fact_id).await?;
        store::take_catalogue(&mut unit.tx, programme).await?;
        let known = store::course(&mut unit.tx, programme, course_id).await?;
        let (before, rows) = known.ok_or_else(|| not_found("course_id"))?;
        change.leave_out_what_is_so(&before);
        if change.is_empty() {
            return Ok((convert::course_to_proto(&before), None));
        }
        change.number = changes::next_change_number(&mut unit.tx, programme, course_id).await?;
        if change.number >= changes::CHANGES_MAX {
            let refusal = Refusal::new(ErrorReason::LimitReached);
            return Err(refusal.with("kept_max", changes::CHANGES_MAX.to_string()).into());
        }
        let (actor, now) = (unit.actor().to_owned(), unit.now);
        if rows.is_empty() {
            let created = CourseChange::creation(&before);
            let told = ("", now, actor.as_str(), "");
            changes::insert_change(&mut unit.tx, programme, course_id, &created, told).await?;
        }
        let told = (reason, now, actor.as_str(), fact_id.as_str());
        changes::insert_change(&mut unit.tx, programme, course_id, &change, told).await?;
        let after = put(&mut unit.tx, programme, course_id, &before).await?;
        let region = scheme.region.as_str().to_owned();
        Ok((convert::course_to_proto(&after), Some(Kept { fact_id, region, before, change })))
    }
}

/// A change that was kept, and what it is told with.
struct Kept {
    fact_id: String,
    region: String,
    before: Course,
    change: CourseChange,
}

/// Brings a course to what stands of it, and has study read anew if that counts for study.
async fn put(tx: &mut Tx, programme: &ProgrammeId, course_id: &CourseId, before: &Course) -> Result<Course> {
    let version = store::next_catalogue_version(tx, programme).await?;
    let known = store::course(tx, programme, course_id).await?;
    let (after, _) = known.ok_or_else(|| not_found("course_id"))?;
    changes::put_course(tx, programme, &after, version).await?;
    if after.terms != before.terms {
        anew::begin(tx, programme).await?;
    }
    Ok(after)
}

/// A change of a course fell: the course is what the others say.
pub(super) async fn refold(
    unit: &mut Unit,
    fact: &StoredFact,
    (programme, course_id): (&str, &str),
) -> Result<()> {
    let programme = fact.id(programme, ProgrammeId::parse)?;
    let course_id = fact.id(course_id, CourseId::parse)?;
    store::take_catalogue(&mut unit.tx, &programme).await?;
    let version = store::next_catalogue_version(&mut unit.tx, &programme).await?;
    let known = store::course(&mut unit.tx, &programme, &course_id).await?;
    let (after, _) = known.ok_or_else(|| not_found("course_id"))?;
    changes::put_course(&mut unit.tx, &programme, &after, version).await?;
    // What it had been before the retraction is not known any more.
    anew::begin(&mut unit.tx, &programme).await?;
    Ok(())
}
