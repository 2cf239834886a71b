//! ExportService: every list as a file, read in one snapshot. Courses are the pages of their own RPC; what is of one learner
//! in an RPC is read here of all of them.

use shipei_contracts::learning::v1::{
    CourseCategory, ExportList, ExportRequest, ExportResponse, ListCoursesRequest, ListCoursesResponse,
    export_service_server::ExportService,
};
use shipei_rules::{ids::ProgrammeId, region::RegionCode, study_time::whole_seconds};
use shipei_service_kit::{
    ReadUnit, Result,
    cells::{broken, education_stage, instant, truth},
    convert::{Fields, to_timestamp},
    export::{Asked, Chunks, List, Portion},
    page::PAGE_SIZE_MAX,
};
use shipei_tables::Heading;
use tonic::{Request, Response, Status};

use super::CourseHandler;
use crate::store::export::{self as store, AfterPair};

const COURSES: [Heading; 8] = [
    Heading::text("课程编号", 16),
    Heading::text("课程名称", 40),
    Heading::text("课程类别", 24),
    Heading::text("主线课程", 10),
    Heading::number("课程秒数"),
    Heading::text("学科", 12),
    Heading::text("教育阶段", 12),
    Heading::text("停用", 26),
];
const SELECTIONS: [Heading; 3] =
    [Heading::text("人员编号", 16), Heading::text("课程编号", 16), Heading::text("选课", 26)];
const PROGRESS: [Heading; 5] = [
    Heading::text("人员编号", 16),
    Heading::text("课程编号", 16),
    Heading::number("已计秒数"),
    Heading::number("课程秒数"),
    Heading::text("完成", 8),
];
const SESSIONS: [Heading; 7] = [
    Heading::text("人员编号", 16),
    Heading::text("学习编号", 20),
    Heading::text("课程编号", 16),
    Heading::text("开始", 26),
    Heading::text("最后心跳", 26),
    Heading::number("已计秒数"),
    Heading::text("作废", 8),
];
/// Rows of one portion.
const ROWS_PER_PORTION: i64 = 1_000;

#[tonic::async_trait]
impl ExportService for CourseHandler {
    type ExportStream = Chunks<ExportResponse>;

    async fn export(
        &self,
        request: Request<ExportRequest>,
    ) -> std::result::Result<Response<Self::ExportStream>, Status> {
        let admitted = self.kit.admit(&request).await?;
        let request = request.into_inner();
        let mut fields = Fields::new();
        let parsed = (
            fields.id("programme_id", &request.programme_id, ProgrammeId::parse),
            fields.choice::<ExportList>("list", request.list),
            fields.optional_id("region_code", &request.region_code, RegionCode::parse),
        );
        let (programme, list, _) = fields.all(parsed)?;
        let (format, region_code) = (request.format, request.region_code.as_str());
        let programme_id = request.programme_id.as_str();
        let asked = Asked { programme_id, list: list.as_str_name(), format, region_code };
        let list = self.exported(list, programme);
        self.kit.export(&admitted, asked, list, |chunk, rows| ExportResponse { chunk, rows }).await
    }
}

impl CourseHandler {
    fn exported(&self, list: ExportList, programme: ProgrammeId) -> List {
        let handler = self.clone();
        match list {
            // No list was named: the request was refused before.
            ExportList::Courses | ExportList::Unspecified => List::paged(
                &COURSES,
                move |unit, page_token| {
                    let request = ListCoursesRequest {
                        programme_id: programme.to_string(),
                        page_size: PAGE_SIZE_MAX,
                        page_token,
                        ..Default::default()
                    };
                    handler.clone().list(unit, request)
                },
                courses,
            ),
            ExportList::Selections => List::new(&SELECTIONS, move |unit, place| {
                handler.clone().exported_selections(unit, programme.clone(), place)
            }),
            ExportList::Progress => List::new(&PROGRESS, move |unit, place| {
                handler.clone().exported_progress(unit, programme.clone(), place)
            }),
            ExportList::Sessions => List::new(&SESSIONS, move |unit, place| {
                handler.clone().exported_sessions(unit, programme.clone(), place)
            }),
        }
    }

    async fn exported_selections(
        self,
        mut unit: ReadUnit,
        programme: ProgrammeId,
        place: String,
    ) -> Result<(ReadUnit, Portion)> {
        self.programmes.scheme(&mut unit.tx, &programme).await?;
        let after = AfterPair::of(&place);
        let found = store::selections(&mut unit.tx, &unit.reach, &programme, after, ROWS_PER_PORTION).await?;
        let next = next_place(&found, |(person_id, course_id, _)| (person_id, course_id));
        let rows = found.into_iter().map(|(person_id, course_id, selected_at)| {
            vec![person_id, course_id, instant(Some(to_timestamp(selected_at)))]
        });
        Ok((unit, Portion { rows: rows.collect(), next }))
    }

    async fn exported_progress(
        self,
        mut unit: ReadUnit,
        programme: ProgrammeId,
        place: String,
    ) -> Result<(ReadUnit, Portion)> {
        self.programmes.scheme(&mut unit.tx, &programme).await?;
        let (after, now) = (AfterPair::of(&place), unit.now);
        let found =
            store::progress(&mut unit.tx, &unit.reach, &programme, after, now, ROWS_PER_PORTION).await?;
        let next = next_place(&found, |row| (&row.person_id, &row.course_id));
        let rows = found.into_iter().map(|row| {
            let is_complete = row.completed_at.is_some() || row.length_seconds == 0;
            let seconds = whole_seconds(row.credited_micros).to_string();
            vec![row.person_id, row.course_id, seconds, row.length_seconds.to_string(), truth(is_complete)]
        });
        Ok((unit, Portion { rows: rows.collect(), next }))
    }

    async fn exported_sessions(
        self,
        mut unit: ReadUnit,
        programme: ProgrammeId,
        place: String,
    ) -> Result<(ReadUnit, Portion)> {
        self.programmes.scheme(&mut unit.tx, &programme).await?;
        let after = AfterPair::of(&place);
        let found = store::sessions(&mut unit.tx, &unit.reach, &programme, after, ROWS_PER_PORTION).await?;
        let next = next_place(&found, |row| (&row.person_id, &row.session_id));
        let rows = found.into_iter().map(|row| {
            vec![
                row.person_id,
                row.session_id,
                row.course_id,
                instant(Some(to_timestamp(row.opened_at))),
                instant(Some(to_timestamp(row.last_at))),
                whole_seconds(row.credited_micros).to_string(),
                truth(row.voided),
            ]
        });
        Ok((unit, Portion { rows: rows.collect(), next }))
    }
}

/// Where a list by two ids goes on: behind its last row, if there may be more.
fn next_place<Row>(rows: &[Row], key: impl Fn(&Row) -> (&String, &String)) -> String {
    let is_full = i64::try_from(rows.len()).is_ok_and(|rows| rows == ROWS_PER_PORTION);
    rows.last().filter(|_| is_full).map_or_else(String::new, |row| {
        let (first, second) = key(row);
        AfterPair::text(first, second)
    })
}

fn courses(page: ListCoursesResponse) -> Portion {
    let rows = page.courses.into_iter().map(|course| {
        let category = match course.category() {
            CourseCategory::Public => "公共课",
            CourseCategory::Professional => "专业课程",
            CourseCategory::ItIntegration => "信息技术与学科融合课程",
            CourseCategory::Unspecified => "",
        };
        let stage = education_stage(course.education_stage());
        vec![
            course.course_id,
            course.title,
            category.to_owned(),
            truth(course.main_line),
            course.length_seconds.to_string(),
            course.subject,
            stage,
            instant(course.retired_time),
        ]
    });
    Portion { rows: rows.chain(broken(page.broken)).collect(), next: page.next_page_token }
}
