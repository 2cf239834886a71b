//! ExportService: every list as a file. What a list is made of are the handlers of its own RPC, asked page by page in one
//! snapshot; here stand the columns.

use shipei_contracts::assignment::v1::{self as proto, export_service_server::ExportService};
use shipei_rules::{ids::ProgrammeId, region::RegionCode};
use shipei_service_kit::{
    ReadUnit, Result,
    cells::{broken, instant},
    convert::Fields,
    export::{Asked, Chunks, List, Portion},
    page::PAGE_SIZE_MAX,
};
use shipei_tables::Heading;
use tonic::Request;

use super::{Answer, Handler};

const SUBMISSIONS: [Heading; 9] = [
    Heading::text("作业编号", 20),
    Heading::text("人员编号", 16),
    Heading::text("班级编号", 14),
    Heading::text("作业类型", 16),
    Heading::text("标题", 40),
    Heading::number("字数"),
    Heading::text("提交", 26),
    Heading::text("被新作业取代", 26),
    Heading::text("成绩", 10),
];
const MARKS: [Heading; 7] = [
    Heading::text("作业编号", 20),
    Heading::text("人员编号", 16),
    Heading::text("班级编号", 14),
    Heading::text("批阅", 10),
    Heading::text("评语", 50),
    Heading::text("辅导教师编号", 16),
    Heading::text("批阅时间", 26),
];
const SEMINARS: [Heading; 7] = [
    Heading::text("研讨编号", 20),
    Heading::text("班级编号", 14),
    Heading::text("辅导教师编号", 16),
    Heading::text("主题", 40),
    Heading::text("发起", 26),
    Heading::text("总结", 50),
    Heading::text("总结时间", 26),
];
const POSTS: [Heading; 6] = [
    Heading::text("研讨编号", 20),
    Heading::number("序号"),
    Heading::text("人员编号", 16),
    Heading::text("内容", 60),
    Heading::number("字数"),
    Heading::text("发表", 26),
];
const BULLETINS: [Heading; 6] = [
    Heading::text("班级编号", 14),
    Heading::number("期号"),
    Heading::text("标题", 40),
    Heading::text("内容", 60),
    Heading::text("辅导教师编号", 16),
    Heading::text("发布", 26),
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
            proto::ExportList::Submissions | proto::ExportList::Marks => {
                let is_marks = list == proto::ExportList::Marks;
                let headings: &'static [Heading] = if is_marks { &MARKS } else { &SUBMISSIONS };
                List::paged(
                    headings,
                    move |unit, page_token| {
                        let programme_id = programme_id.clone();
                        let request = proto::ListSubmissionsRequest {
                            programme_id,
                            page_size,
                            page_token,
                            ..Default::default()
                        };
                        handler.clone().list(unit, request)
                    },
                    if is_marks { marks } else { submissions },
                )
            }
            // No list was named: the request was refused before.
            proto::ExportList::Seminars | proto::ExportList::Unspecified => List::paged(
                &SEMINARS,
                move |unit, page_token| {
                    let programme_id = programme_id.clone();
                    let request = proto::ListSeminarsRequest {
                        programme_id,
                        page_size,
                        page_token,
                        ..Default::default()
                    };
                    handler.clone().seminars(unit, request)
                },
                seminars,
            ),
            proto::ExportList::Posts => List::new(&POSTS, move |unit, place| {
                handler.clone().exported_posts(unit, programme_id.clone(), place)
            }),
            proto::ExportList::Bulletins => List::paged(
                &BULLETINS,
                move |unit, page_token| {
                    let programme_id = programme_id.clone();
                    let request = proto::ListBulletinsRequest {
                        programme_id,
                        page_size,
                        page_token,
                        ..Default::default()
                    };
                    handler.clone().bulletins(unit, request)
                },
                bulletins,
            ),
        }
    }

    /// A page of the posts of one seminar after the other. A place is the page token of the seminar that comes next, the
    /// seminar that is being read, and the page token of its posts.
    async fn exported_posts(
        self,
        unit: ReadUnit,
        programme_id: String,
        place: String,
    ) -> Result<(ReadUnit, Portion)> {
        let mut parts = place.split('\n').map(str::to_owned);
        let mut part = || parts.next().unwrap_or_default();
        let (mut next_seminar, mut seminar_id, page_token) = (part(), part(), part());
        let mut unit = unit;
        if seminar_id.is_empty() {
            let request = proto::ListSeminarsRequest {
                programme_id: programme_id.clone(),
                page_size: 1,
                page_token: next_seminar,
                ..Default::default()
            };
            let (given_back, page) = self.clone().seminars(unit, request).await?;
            unit = given_back;
            next_seminar = page.next_page_token;
            let Some(seminar) = page.seminars.into_iter().next() else {
                // The last, or one that can't be read, whose posts can't be found.
                let rows = broken(page.broken).collect();
                return Ok((unit, Portion { rows, next: next_seminar }));
            };
            seminar_id = seminar.seminar_id;
        }
        let request = proto::ListPostsRequest {
            programme_id,
            seminar_id: seminar_id.clone(),
            page_size: PAGE_SIZE_MAX,
            page_token,
            ..Default::default()
        };
        let (unit, page) = self.posts(unit, request).await?;
        let next = match (page.next_page_token.as_str(), next_seminar.as_str()) {
            ("", "") => String::new(),
            ("", next_seminar) => next_seminar.to_owned(),
            (page_token, next_seminar) => format!("{next_seminar}\n{seminar_id}\n{page_token}"),
        };
        let rows = page.posts.into_iter().map(|post| {
            vec![
                seminar_id.clone(),
                post.number.to_string(),
                post.person_id,
                post.text,
                post.characters.to_string(),
                instant(post.posted_time),
            ]
        });
        Ok((unit, Portion { rows: rows.chain(broken(page.broken)).collect(), next }))
    }
}

fn grade_zh(grade: proto::Grade) -> &'static str {
    match grade {
        proto::Grade::Excellent => "优秀",
        proto::Grade::Pass => "合格",
        proto::Grade::Fail => "不合格",
        proto::Grade::Unspecified => "退回",
    }
}

fn submissions(page: proto::ListSubmissionsResponse) -> Portion {
    let rows = page.submissions.into_iter().map(|submission| {
        let last = submission.marks.last().map_or("", |mark| grade_zh(mark.grade()));
        vec![
            submission.submission_id,
            submission.person_id,
            submission.class_id,
            submission.kind,
            submission.title,
            submission.text.chars().count().to_string(),
            instant(submission.submitted_time),
            instant(submission.superseded_time),
            last.to_owned(),
        ]
    });
    Portion { rows: rows.chain(broken(page.broken)).collect(), next: page.next_page_token }
}

fn marks(page: proto::ListSubmissionsResponse) -> Portion {
    let mut rows = Vec::new();
    for submission in page.submissions {
        for mark in submission.marks {
            let grade = grade_zh(mark.grade()).to_owned();
            rows.push(vec![
                submission.submission_id.clone(),
                submission.person_id.clone(),
                submission.class_id.clone(),
                grade,
                mark.comment,
                mark.tutor_id,
                instant(mark.marked_time),
            ]);
        }
    }
    rows.extend(broken(page.broken));
    Portion { rows, next: page.next_page_token }
}

fn seminars(page: proto::ListSeminarsResponse) -> Portion {
    let rows = page.seminars.into_iter().map(|seminar| {
        vec![
            seminar.seminar_id,
            seminar.class_id,
            seminar.tutor_id,
            seminar.topic,
            instant(seminar.opened_time),
            seminar.summary,
            instant(seminar.summarised_time),
        ]
    });
    Portion { rows: rows.chain(broken(page.broken)).collect(), next: page.next_page_token }
}

fn bulletins(page: proto::ListBulletinsResponse) -> Portion {
    let rows = page.bulletins.into_iter().map(|bulletin| {
        vec![
            bulletin.class_id,
            bulletin.number.to_string(),
            bulletin.title,
            bulletin.text,
            bulletin.tutor_id,
            instant(bulletin.published_time),
        ]
    });
    Portion { rows: rows.chain(broken(page.broken)).collect(), next: page.next_page_token }
}
