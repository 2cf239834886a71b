//! ExportService: the scores as files, as they stand. What a list is made of are the handlers of its own RPC, asked page by
//! page in one snapshot; here stand the columns.

use shipei_contracts::assessment::v1::{self as pb, export_service_server::ExportService};
use shipei_rules::{ids::ProgrammeId, region::RegionCode};
use shipei_service_kit::{
    cells::{broken, points, truth},
    convert::Fields,
    export::{Asked, Chunks, List, Portion},
    page::PAGE_SIZE_MAX,
};
use shipei_tables::Heading;
use tonic::{Request, Response, Status};

use crate::Assessment;

/// Trainees of one portion: their items take much more room than a row.
const TRAINEES_PER_PORTION: i32 = PAGE_SIZE_MAX / 4;

const TRAINEES: [Heading; 6] = [
    Heading::text("人员编号", 16),
    Heading::text("县区代码", 10),
    Heading::text("班级编号", 14),
    Heading::number("总分"),
    Heading::text("合格", 8),
    Heading::text("明细", 80),
];
const TUTORS: [Heading; 9] = [
    Heading::text("辅导教师编号", 16),
    Heading::text("班级编号", 24),
    Heading::number("总分"),
    Heading::text("合格", 8),
    Heading::number("超期周数"),
    Heading::text("取消资格", 10),
    Heading::text("可评优", 8),
    Heading::text("优秀", 8),
    Heading::text("明细", 80),
];
const COUNTIES: [Heading; 8] = [
    Heading::text("县区代码", 10),
    Heading::text("辅导员编号", 24),
    Heading::number("在训人数"),
    Heading::text("参评", 8),
    Heading::number("注册登录"),
    Heading::number("线下活动"),
    Heading::number("总分"),
    Heading::text("明细", 80),
];

#[tonic::async_trait]
impl ExportService for Assessment {
    type ExportStream = Chunks<pb::ExportResponse>;

    async fn export(
        &self,
        request: Request<pb::ExportRequest>,
    ) -> Result<Response<Self::ExportStream>, Status> {
        let admitted = self.kit.admit(&request).await?;
        let request = request.into_inner();
        let mut fields = Fields::new();
        let parsed = (
            fields.id("programme_id", &request.programme_id, ProgrammeId::parse),
            fields.choice::<pb::ExportList>("list", request.list),
            fields.optional_id("region_code", &request.region_code, RegionCode::parse),
        );
        let (_, list, _) = fields.all(parsed)?;
        let (format, region_code) = (request.format, request.region_code.as_str());
        let programme_id = request.programme_id.as_str();
        let asked = Asked { programme_id, list: list.as_str_name(), format, region_code };
        let list = self.exported(list, request.programme_id.clone());
        self.kit.export(&admitted, asked, list, |chunk, rows| pb::ExportResponse { chunk, rows }).await
    }
}

impl Assessment {
    fn exported(&self, list: pb::ExportList, programme_id: String) -> List {
        let scores = self.clone();
        let page_size = PAGE_SIZE_MAX;
        match list {
            pb::ExportList::TraineeScores => List::paged(
                &TRAINEES,
                move |unit, page_token| {
                    let request = pb::ListTraineeScoresRequest {
                        programme_id: programme_id.clone(),
                        page_size: TRAINEES_PER_PORTION,
                        page_token,
                        ..Default::default()
                    };
                    scores.clone().list_trainee_scores(unit, request)
                },
                trainees,
            ),
            pb::ExportList::TutorScores => List::paged(
                &TUTORS,
                move |unit, page_token| {
                    let programme_id = programme_id.clone();
                    let request = pb::ListTutorScoresRequest {
                        programme_id,
                        page_size,
                        page_token,
                        ..Default::default()
                    };
                    scores.clone().list_tutor_scores(unit, request)
                },
                tutors,
            ),
            // No list was named: the request was refused before.
            pb::ExportList::CountyScores | pb::ExportList::Unspecified => List::paged(
                &COUNTIES,
                move |unit, page_token| {
                    let programme_id = programme_id.clone();
                    let request = pb::ListCountyScoresRequest {
                        programme_id,
                        page_size,
                        page_token,
                        ..Default::default()
                    };
                    scores.clone().list_county_scores(unit, request)
                },
                counties,
            ),
        }
    }
}

/// Items and their points: `第一阶段网络研修 10.00；..`.
fn items(items: &[pb::ScoreItem]) -> String {
    let items: Vec<String> =
        items.iter().map(|item| format!("{} {}", item.name_zh, points(item.hundredths))).collect();
    items.join("；")
}

fn trainees(page: pb::ListTraineeScoresResponse) -> Portion {
    let rows = page.scores.into_iter().map(|score| {
        let items = items(&score.items);
        let total = score.total.to_string();
        vec![score.person_id, score.county_code, score.class_id, total, truth(score.passed), items]
    });
    Portion { rows: rows.chain(broken(page.broken)).collect(), next: page.next_page_token }
}

fn tutors(page: pb::ListTutorScoresResponse) -> Portion {
    let rows = page.scores.into_iter().map(|score| {
        vec![
            score.person_id,
            score.class_ids.join("；"),
            score.total.to_string(),
            truth(score.qualified),
            score.late_weeks.to_string(),
            truth(score.disqualified),
            truth(score.eligible),
            truth(score.excellent),
            items(&score.items),
        ]
    });
    Portion { rows: rows.chain(broken(page.broken)).collect(), next: page.next_page_token }
}

fn counties(page: pb::ListCountyScoresResponse) -> Portion {
    let rows = page.scores.into_iter().map(|score| {
        vec![
            score.county_code,
            score.counselor_ids.join("；"),
            score.active_trainees.to_string(),
            truth(score.applicable),
            points(score.registration_login_hundredths),
            points(score.offline_hundredths),
            points(score.total_hundredths),
            items(&score.items),
        ]
    });
    Portion { rows: rows.chain(broken(page.broken)).collect(), next: page.next_page_token }
}
