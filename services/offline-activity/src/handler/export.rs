//! ExportService: every list as a file. What a list is made of are the handlers of its own RPC, asked page by page in one
//! snapshot; here stand the columns.

use shipei_contracts::offline::v1::{self as proto, export_service_server::ExportService};
use shipei_rules::{ids::ProgrammeId, region::RegionCode};
use shipei_service_kit::{
    ReadUnit, Result,
    cells::{broken, education_stage, instant},
    convert::Fields,
    export::{Asked, Chunks, List, Portion},
    page::PAGE_SIZE_MAX,
};
use shipei_tables::Heading;
use tonic::Request;

use super::{Answer, Handler};

const PLANS: [Heading; 5] = [
    Heading::text("县区代码", 10),
    Heading::text("教育阶段", 12),
    Heading::text("标题", 40),
    Heading::text("辅导员编号", 16),
    Heading::text("提交", 26),
];
const ACTIVITIES: [Heading; 6] = [
    Heading::text("活动编号", 20),
    Heading::text("县区代码", 10),
    Heading::text("教育阶段", 12),
    Heading::text("主题", 40),
    Heading::text("辅导员编号", 16),
    Heading::text("举办", 26),
];
const ATTENDANCES: [Heading; 5] = [
    Heading::text("活动编号", 20),
    Heading::text("人员编号", 16),
    Heading::text("签到", 26),
    Heading::number("成绩"),
    Heading::text("评分时间", 26),
];
const RESULTS: [Heading; 6] = [
    Heading::number("序号"),
    Heading::text("县区代码", 10),
    Heading::text("教育阶段", 12),
    Heading::text("标题", 40),
    Heading::text("辅导员编号", 16),
    Heading::text("提交", 26),
];

#[tonic::async_trait]
impl ExportService for Handler {
    type ExportStream = Chunks<proto::ExportResponse>;

    async fn export(&self, request: Request<proto::ExportRequest>) -> Answer<Self::ExportStream> {
        let admitted = self.kit.admit(&request).await?;
        let request = request.into_inner();
        let mut fields = Fields::new();
        let parsed = (
            fields.id("programme_id", &request.programme_id, ProgrammeId::parse),
            fields.choice::<proto::ExportList>("list", request.list),
            fields.optional_id("region_code", &request.region_code, RegionCode::parse),
        );
        let (_, list, _) = fields.all(parsed)?;
        let (format, region_code) = (request.format, request.region_code.as_str());
        let programme_id = request.programme_id.as_str();
        let asked = Asked { programme_id, list: list.as_str_name(), format, region_code };
        let list = self.exported(list, request.programme_id.clone());
        self.kit.export(&admitted, asked, list, |chunk, rows| proto::ExportResponse { chunk, rows }).await
    }
}

impl Handler {
    fn exported(&self, list: proto::ExportList, programme_id: String) -> List {
        let handler = self.clone();
        let page_size = PAGE_SIZE_MAX;
        match list {
            // No list was named: the request was refused before.
            proto::ExportList::Plans | proto::ExportList::Unspecified => List::paged(
                &PLANS,
                move |unit, page_token| {
                    let programme_id = programme_id.clone();
                    let request =
                        proto::ListPlansRequest { programme_id, page_size, page_token, ..Default::default() };
                    handler.clone().plans(unit, request)
                },
                plans,
            ),
            proto::ExportList::Activities => List::paged(
                &ACTIVITIES,
                move |unit, page_token| {
                    let programme_id = programme_id.clone();
                    let request = proto::ListActivitiesRequest {
                        programme_id,
                        page_size,
                        page_token,
                        ..Default::default()
                    };
                    handler.clone().activities(unit, request)
                },
                activities,
            ),
            proto::ExportList::Attendances => List::new(&ATTENDANCES, move |unit, place| {
                handler.clone().exported_attendances(unit, programme_id.clone(), place)
            }),
            proto::ExportList::Results => List::paged(
                &RESULTS,
                move |unit, page_token| {
                    let programme_id = programme_id.clone();
                    let request = proto::ListResultsRequest {
                        programme_id,
                        page_size,
                        page_token,
                        ..Default::default()
                    };
                    handler.clone().library(unit, request)
                },
                results,
            ),
        }
    }

    /// A page of the attendances of one activity after the other. A place is the page token of the activity that comes
    /// next, the activity that is being read, and the page token of its attendances.
    async fn exported_attendances(
        self,
        unit: ReadUnit,
        programme_id: String,
        place: String,
    ) -> Result<(ReadUnit, Portion)> {
        let mut parts = place.split('\n').map(str::to_owned);
        let mut part = || parts.next().unwrap_or_default();
        let (mut next_activity, mut activity_id, page_token) = (part(), part(), part());
        let mut unit = unit;
        if activity_id.is_empty() {
            let request = proto::ListActivitiesRequest {
                programme_id: programme_id.clone(),
                page_size: 1,
                page_token: next_activity,
                ..Default::default()
            };
            let (given_back, page) = self.clone().activities(unit, request).await?;
            unit = given_back;
            next_activity = page.next_page_token;
            let Some(activity) = page.activities.into_iter().next() else {
                // The last, or one that can't be read, whose attendances can't be found.
                let rows = broken(page.broken).collect();
                return Ok((unit, Portion { rows, next: next_activity }));
            };
            activity_id = activity.activity_id;
        }
        let request = proto::ListAttendancesRequest {
            programme_id,
            activity_id: activity_id.clone(),
            page_size: PAGE_SIZE_MAX,
            page_token,
            ..Default::default()
        };
        let (unit, page) = self.attendances(unit, request).await?;
        let next = match (page.next_page_token.as_str(), next_activity.as_str()) {
            ("", "") => String::new(),
            ("", next_activity) => next_activity.to_owned(),
            (page_token, next_activity) => format!("{next_activity}\n{activity_id}\n{page_token}"),
        };
        let rows = page.attendances.into_iter().map(|attendance| {
            vec![
                activity_id.clone(),
                attendance.person_id,
                instant(attendance.attended_time),
                attendance.score.map_or_else(String::new, |score| score.to_string()),
                instant(attendance.scored_time),
            ]
        });
        Ok((unit, Portion { rows: rows.chain(broken(page.broken)).collect(), next }))
    }
}

fn plans(page: proto::ListPlansResponse) -> Portion {
    let rows = page.plans.into_iter().map(|plan| {
        let stage = education_stage(plan.education_stage());
        vec![plan.county_code, stage, plan.title, plan.counselor_id, instant(plan.submitted_time)]
    });
    Portion { rows: rows.chain(broken(page.broken)).collect(), next: page.next_page_token }
}

fn activities(page: proto::ListActivitiesResponse) -> Portion {
    let rows = page.activities.into_iter().map(|activity| {
        let stage = education_stage(activity.education_stage());
        vec![
            activity.activity_id,
            activity.county_code,
            stage,
            activity.theme,
            activity.counselor_id,
            instant(activity.held_time),
        ]
    });
    Portion { rows: rows.chain(broken(page.broken)).collect(), next: page.next_page_token }
}

fn results(page: proto::ListResultsResponse) -> Portion {
    let rows = page.results.into_iter().map(|results| {
        let stage = education_stage(results.education_stage());
        vec![
            results.number.to_string(),
            results.county_code,
            stage,
            results.title,
            results.counselor_id,
            instant(results.submitted_time),
        ]
    });
    Portion { rows: rows.chain(broken(page.broken)).collect(), next: page.next_page_token }
}
