//! What learners read: `GetProgress` and `ListSessions`.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use shipei_contracts::common::v1::ErrorReason;
use shipei_contracts::learning::v1::{
    CourseProgress, GetProgressRequest, GetProgressResponse, ListSessionsRequest, ListSessionsResponse,
    PhaseProgress, Session,
};
use shipei_rules::ids::{CourseId, text_of};
use shipei_rules::scheme::Scheme;
use shipei_rules::study_time::whole_seconds;
use shipei_service_kit::{Listing, ReadUnit, Refusal, Result, to_int32, to_timestamp};
use shipei_store::{StoreError, list::Listed};

use super::{StudyHandler, trainee};
use crate::catalogue::Catalogue;
use crate::convert;
use crate::domain::course::{Course, Teaches, main_line_total};
use crate::domain::study::Phase;
use crate::store::{self, correction};
use crate::united::UnitedStudy;

impl StudyHandler {
    pub(super) async fn progress(
        self,
        mut unit: ReadUnit,
        request: GetProgressRequest,
    ) -> Result<(ReadUnit, GetProgressResponse)> {
        let (programme, person) = convert::person(&request.programme_id, &request.person_id)?;
        let (programme_id, person_id) = (&programme, &person);
        let windows = self.programmes.windows(&mut unit.tx, programme_id).await?;
        let member = trainee(&mut unit.tx, &programme, &person).await?;
        let catalogue = self.catalogues.current(&mut unit.tx, programme_id).await?;
        let teaches = member.teaching.at(unit.now).into();
        if !member.merged.is_empty() {
            let tx = &mut unit.tx;
            let of = Arc::clone(&catalogue);
            let united = UnitedStudy::load(tx, &windows, of, programme_id, &member).await?;
            let (phases, courses) = united_progress(&united, &catalogue, teaches, unit.now);
            return Ok((unit, GetProgressResponse { phases, courses, counts_for_id: String::new() }));
        }
        let mut known: HashMap<i64, Phase> = HashMap::new();
        for row in store::phase::phases(&mut unit.tx, programme_id, &[person_id]).await? {
            known.insert(row.phase_index, row.phase()?);
        }
        let held =
            store::progress::phase_courses(&mut unit.tx, &unit.reach, programme_id, person_id, unit.now)
                .await?;
        let held: Vec<_> = held.iter().map(|row| (&row.course_id, row.phase_index, row.complete)).collect();
        let scheme = windows.of_member(&member);
        let phases = phases_to_proto(&scheme, &catalogue, teaches, &known, &held, unit.now);

        let mut courses = Vec::new();
        for row in
            store::progress::courses(&mut unit.tx, &unit.reach, programme_id, person_id, unit.now).await?
        {
            let course = catalogue.course(&row.course_id);
            let course = course
                .ok_or_else(|| StoreError::corrupt_row("course_progress", "course_id", &row.course_id))?;
            let length_seconds = course.terms.at(unit.now).length_seconds;
            courses.push(CourseProgress {
                credited_seconds: to_int32(whole_seconds(row.credited_micros)),
                length_seconds: to_int32(length_seconds),
                complete: row.completed_at.is_some() || length_seconds == 0,
                course_id: row.course_id.into(),
            });
        }
        let counts_for_id = text_of(member.counts_for.as_ref()).to_owned();
        Ok((unit, GetProgressResponse { phases, courses, counts_for_id }))
    }

    pub(super) async fn sessions(
        self,
        mut unit: ReadUnit,
        request: ListSessionsRequest,
    ) -> Result<(ReadUnit, ListSessionsResponse)> {
        let (programme, person, course) = convert::sessions(&request)?;
        let filter = [programme.as_str(), person.as_str(), text_of(course.as_ref())];
        let page = self.kit.page::<ListSessionsRequest>(&filter, request.page_size, &request.page_token)?;
        let after =
            if page.is_first() { DateTime::UNIX_EPOCH - YEARS_BEFORE } else { time_of(page.after(0))? };
        self.programmes.scheme(&mut unit.tx, &programme).await?;
        trainee(&mut unit.tx, &programme, &person).await?;
        let place = (after, page.after(1));
        let rows = store::progress::sessions(
            &mut unit.tx,
            &unit.reach,
            &programme,
            (&person, course.as_ref()),
            place,
            page.limit(),
        )
        .await?;
        let readable = rows.iter().filter_map(Listed::readable);
        let ids: Vec<_> = readable.map(|row| row.session_id.clone()).collect();
        let ids: Vec<_> = ids.iter().collect();
        let mut voids: HashMap<_, Vec<String>> = HashMap::new();
        for void in correction::voids(&mut unit.tx, &programme, &person, &ids).await? {
            voids.entry(void.session_id).or_default().push(void.fact_id);
        }
        let Listing { entries: sessions, next_page_token, broken } = page.list(rows, |row| {
            let session = row.session()?;
            let mut void_fact_ids = voids.remove(&row.session_id).unwrap_or_default();
            void_fact_ids.sort_unstable();
            let shown = convert::session_to_proto(&row.session_id, &row.course_id, &session);
            Ok(Session { void_fact_ids, ..shown })
        })?;
        Ok((unit, ListSessionsResponse { sessions, next_page_token, broken }))
    }
}

/// No session was opened so long before 1970: timestamps begin with the year 1900.
const YEARS_BEFORE: chrono::TimeDelta = chrono::TimeDelta::days(100 * 366);

fn time_of(micros: &str) -> Result<DateTime<Utc>> {
    let time = micros.parse().ok().and_then(DateTime::from_timestamp_micros);
    time.ok_or_else(|| Refusal::new(ErrorReason::InvalidPageToken).field("page_token").into())
}

/// What a person with several ids has of phases and courses, by the study of all of them.
fn united_progress(
    united: &UnitedStudy,
    catalogue: &Catalogue,
    teaches: Teaches<'_>,
    now: DateTime<Utc>,
) -> (Vec<PhaseProgress>, Vec<CourseProgress>) {
    let credits = united.credits();
    let found = united.achievements(&credits);
    let mut known = HashMap::new();
    for ((index, sum), reached) in (0_i64..).zip(&found.sums).zip(&found.phases) {
        let mut phase = Phase::default();
        phase.study.micros = sum.micros;
        phase.study.achieved_at = reached.map(|reached| reached.at);
        known.insert(index, phase);
    }
    let mut held = Vec::new();
    for ((course_id, index), inside) in &found.inside {
        held.push((*course_id, i64::try_from(*index).unwrap_or(i64::MAX), inside.complete));
    }
    let phases = phases_to_proto(&united.scheme, catalogue, teaches, &known, &held, now);
    let mut micros: BTreeMap<&CourseId, (&Course, i64)> = BTreeMap::new();
    for credit in &credits {
        micros.entry(&credit.course.id).or_insert((credit.course, 0)).1 += credit.micros;
    }
    let mut courses = Vec::new();
    for (course_id, (course, micros)) in micros.into_iter().take(COURSES_SHOWN_MAX) {
        let length_seconds = course.terms.at(now).length_seconds;
        courses.push(CourseProgress {
            credited_seconds: to_int32(whole_seconds(micros)),
            length_seconds: to_int32(length_seconds),
            complete: found.courses.contains_key(course_id) || length_seconds == 0,
            course_id: course_id.to_string(),
        });
    }
    (phases, courses)
}

/// The most courses of one person that are shown.
const COURSES_SHOWN_MAX: usize = 1_000;

fn phases_to_proto(
    scheme: &Scheme,
    catalogue: &Catalogue,
    teaches: Teaches<'_>,
    known: &HashMap<i64, Phase>,
    held: &[(&CourseId, i64, bool)],
    now: DateTime<Utc>,
) -> Vec<PhaseProgress> {
    let mut phases = Vec::new();
    for (index, entry) in (0_i64..).zip(&scheme.trainee.online) {
        let mut complete = 0;
        for (course_id, _, is_complete) in held.iter().filter(|(_, of, _)| *of == index) {
            let course = catalogue.course(course_id);
            complete += i32::from(course.is_some_and(|course| {
                *is_complete && course.terms.at(now).is_asked(&entry.categories, teaches)
            }));
        }
        let phase = known.get(&index);
        let achieved_at = phase.and_then(|phase| phase.study.achieved_at);
        let given_at = entry.given_at().filter(|given_at| *given_at <= now);
        phases.push(PhaseProgress {
            phase: format!("phase_{}", index + 1),
            credited_seconds: phase.map_or(0, |phase| to_int32(whole_seconds(phase.study.micros))),
            required_seconds: to_int32(entry.required_seconds),
            main_line_courses: to_int32(main_line_total(
                catalogue.main_line().at(now),
                &entry.categories,
                teaches,
            )),
            main_line_complete: complete,
            achieved_time: given_at.or(achieved_at).map(to_timestamp),
        });
    }
    phases
}
