//! `CourseService`: the catalogue and the selections.

use shipei_contracts::common::v1::ErrorReason;
use shipei_contracts::learning::v1::course_service_server::CourseService;
use shipei_contracts::learning::v1::{
    self as proto, CorrectCourseRequest, CorrectCourseResponse, CourseChange, CourseCreated, CourseSelected,
    CourseSelection, CreateCourseRequest, CreateCourseResponse, GetCourseRequest, GetCourseResponse,
    ListCoursesRequest, ListCoursesResponse, ListSelectionsRequest, ListSelectionsResponse,
    RetireCourseRequest, RetireCourseResponse, SelectCourseRequest, SelectCourseResponse,
};
use shipei_service_kit::{Error, Listing, ReadUnit, Refusal, Result, Unit, to_timestamp};
use tonic::{Request, Response, Status};

use super::{CourseHandler, not_found, trainee};
use crate::convert;
use crate::domain::course::{COURSES_MAX, Course, decide_created_again, decide_selection};
use crate::store::anew;
use crate::store::course::{self as store, SelectionRow};

#[tonic::async_trait]
impl CourseService for CourseHandler {
    async fn create_course(
        &self,
        request: Request<CreateCourseRequest>,
    ) -> std::result::Result<Response<CreateCourseResponse>, Status> {
        self.kit.write(self, request, Self::create).await
    }

    async fn correct_course(
        &self,
        request: Request<CorrectCourseRequest>,
    ) -> std::result::Result<Response<CorrectCourseResponse>, Status> {
        self.kit.write(self, request, Self::correct).await
    }

    async fn retire_course(
        &self,
        request: Request<RetireCourseRequest>,
    ) -> std::result::Result<Response<RetireCourseResponse>, Status> {
        self.kit.write(self, request, Self::retire).await
    }

    async fn get_course(
        &self,
        request: Request<GetCourseRequest>,
    ) -> std::result::Result<Response<GetCourseResponse>, Status> {
        self.kit.read(self, request, Self::get).await
    }

    async fn list_courses(
        &self,
        request: Request<ListCoursesRequest>,
    ) -> std::result::Result<Response<ListCoursesResponse>, Status> {
        self.kit.read(self, request, Self::list).await
    }

    async fn select_course(
        &self,
        request: Request<SelectCourseRequest>,
    ) -> std::result::Result<Response<SelectCourseResponse>, Status> {
        self.kit.write(self, request, Self::select).await
    }

    async fn list_selections(
        &self,
        request: Request<ListSelectionsRequest>,
    ) -> std::result::Result<Response<ListSelectionsResponse>, Status> {
        self.kit.read(self, request, Self::selections).await
    }
}

impl CourseHandler {
    async fn create(
        self,
        mut unit: Unit,
        request: CreateCourseRequest,
    ) -> Result<(Unit, CreateCourseResponse)> {
        let (programme, course) = convert::new_course(&request)?;
        let programme_id = &programme;
        let (_, scheme) = self.programmes.scheme(&mut unit.tx, programme_id).await?;
        let response = CreateCourseResponse { course: Some(convert::course_to_proto(&course)) };

        let mut known = store::course(&mut unit.tx, programme_id, &course.id).await?;
        if known.is_none() {
            store::take_catalogue(&mut unit.tx, programme_id).await?;
            let version = store::next_catalogue_version(&mut unit.tx, programme_id).await?;
            if store::count(&mut unit.tx, programme_id).await? >= COURSES_MAX {
                let refusal =
                    Refusal::new(ErrorReason::LimitReached).with("kept_max", COURSES_MAX.to_string());
                return Err(refusal.field("course").into());
            }
            let actor = unit.actor().to_owned();
            let (tx, now) = (&mut unit.tx, unit.now);
            if store::insert_course(tx, programme_id, version, &course, now, &actor).await? {
                // It had always been there: who has studied already may have achieved a phase that asks for it, too.
                if course.is_ever_main_line() {
                    anew::begin_if_studied(tx, programme_id).await?;
                }
                let fact =
                    CourseCreated { programme_id: programme_id.to_string(), course: response.course.clone() };
                unit.emit(scheme.region.as_str(), course.id.as_str(), &fact);
                return Ok((unit, response));
            }
            // Somebody else created it since we looked.
            known = store::course(&mut unit.tx, programme_id, &course.id).await?;
        }
        let (known, changes) = known.ok_or_else(|| Error::Internal("a course came and went".to_owned()))?;
        let created = match changes.first() {
            Some(first) => Course::of(&known.id, vec![first.change()?]).unwrap_or(known),
            None => known,
        };
        decide_created_again(&created, &course)?;
        Ok((unit, response))
    }

    async fn get(
        self,
        mut unit: ReadUnit,
        request: GetCourseRequest,
    ) -> Result<(ReadUnit, GetCourseResponse)> {
        let (programme, course) = convert::course_key(&request.programme_id, &request.course_id)?;
        self.programmes.scheme(&mut unit.tx, &programme).await?;
        let course = store::course(&mut unit.tx, &programme, &course).await?;
        let (course, rows) = course.ok_or_else(|| not_found("course_id"))?;
        let mut changes = Vec::new();
        // The first is the course as it was created.
        for row in rows.iter().skip(1) {
            changes.push(CourseChange {
                reason: row.reason.clone(),
                recorded_time: Some(to_timestamp(row.recorded_at)),
                fact_id: row.fact_id.clone(),
                ..convert::change_to_proto(&row.change()?)
            });
        }
        Ok((unit, GetCourseResponse { course: Some(convert::course_to_proto(&course)), changes }))
    }

    pub(super) async fn list(
        self,
        mut unit: ReadUnit,
        request: ListCoursesRequest,
    ) -> Result<(ReadUnit, ListCoursesResponse)> {
        let (programme, category, subject) = convert::courses(&request)?;
        let filter = [programme.as_str(), category, subject.as_str()];
        let page = self.kit.page::<ListCoursesRequest>(&filter, request.page_size, &request.page_token)?;
        self.programmes.scheme(&mut unit.tx, &programme).await?;
        let place = (page.after(0), page.limit());
        let rows = store::courses(&mut unit.tx, &unit.reach, &programme, (category, &subject), place).await?;
        let Listing { entries: courses, next_page_token, broken } = page.list(rows, |row| {
            let retired_time = row.retired_at.map(to_timestamp);
            Ok(proto::Course { retired_time, ..convert::course_to_proto(&row.as_it_stands()?) })
        })?;
        Ok((unit, ListCoursesResponse { courses, next_page_token, broken }))
    }

    async fn select(
        self,
        mut unit: Unit,
        request: SelectCourseRequest,
    ) -> Result<(Unit, SelectCourseResponse)> {
        let (programme, person, course) = convert::selection(&request)?;
        let (programme_id, person_id) = (&programme, &person);
        self.programmes.scheme(&mut unit.tx, programme_id).await?;
        let member = trainee(&mut unit.tx, &programme, &person).await?;
        let catalogue = self.catalogues.current(&mut unit.tx, programme_id).await?;
        let course = catalogue.course(&course).ok_or_else(|| not_found("course_id"))?;
        let teaches = member.teaching.at(unit.occurred_at).into();
        decide_selection(&member.absences, teaches, course, unit.occurred_at)?;

        let (course_id, fact_id) = (course.id.clone(), unit.new_fact_id()?);
        let new = SelectionRow { course_id, selected_at: unit.occurred_at, fact_id };
        let actor = unit.actor().to_owned();
        let tx = &mut unit.tx;
        store::select(tx, (programme_id, person_id), &new, unit.now, &actor).await?;
        let fact = CourseSelected {
            programme_id: programme_id.to_string(),
            person_id: person_id.to_string(),
            course_id: new.course_id.to_string(),
        };
        let county = member.places.at(unit.occurred_at).county_text();
        unit.emit_fact(&new.fact_id, county, person_id.as_str(), &fact);
        let kept = store::selection(&mut unit.tx, programme_id, person_id, &new.course_id).await?;
        // One that was retracted before it came is shown as it was told.
        let selection = Some(selection_to_proto(kept.as_ref().unwrap_or(&new)));
        Ok((unit, SelectCourseResponse { selection }))
    }

    async fn selections(
        self,
        mut unit: ReadUnit,
        request: ListSelectionsRequest,
    ) -> Result<(ReadUnit, ListSelectionsResponse)> {
        let (programme, person) = convert::person(&request.programme_id, &request.person_id)?;
        let filter = [programme.as_str(), person.as_str()];
        let page = self.kit.page::<ListSelectionsRequest>(&filter, request.page_size, &request.page_token)?;
        self.programmes.scheme(&mut unit.tx, &programme).await?;
        trainee(&mut unit.tx, &programme, &person).await?;
        let place = (page.after(0), page.limit());
        let rows = store::selections(&mut unit.tx, &unit.reach, &programme, &person, place).await?;
        let Listing { entries: selections, next_page_token, broken } =
            page.list(rows, |row| Ok(selection_to_proto(&row)))?;
        Ok((unit, ListSelectionsResponse { selections, next_page_token, broken }))
    }
}

fn selection_to_proto(selection: &SelectionRow) -> CourseSelection {
    CourseSelection {
        course_id: selection.course_id.to_string(),
        selected_time: Some(to_timestamp(selection.selected_at)),
        fact_id: selection.fact_id.clone(),
    }
}
