//! ExportService: every list as a file. What a list is made of are the handlers of its own RPC, asked page by page in one
//! snapshot; here stand the columns. Another list is its headings, its arm of [`Handler::list`], and its cells.

use shipei_contracts::{
    common::v1::Role,
    enrollment::v1::{self as pb, export_service_server::ExportService},
};
use shipei_rules::region::RegionCode;
use shipei_service_kit::{
    cells::{broken, development_stage, education_stage, instant, truth},
    convert::Fields,
    export::{Asked, Chunks, List, Portion},
    page::PAGE_SIZE_MAX,
};
use shipei_tables::Heading;
use tonic::Request;

use super::{Answer, Handler, county, honour, person, region};
use crate::convert;

const PEOPLE: [Heading; 15] = [
    Heading::text("人员编号", 16),
    Heading::text("姓名", 12),
    Heading::text("身份证号（已隐去）", 22),
    Heading::text("角色", 14),
    Heading::text("县区代码", 10),
    Heading::text("学校代码", 16),
    Heading::text("教育阶段", 12),
    Heading::text("学科", 12),
    Heading::text("发展阶段", 10),
    Heading::text("班级编号", 14),
    Heading::text("首次登录", 26),
    Heading::text("岗前培训", 26),
    Heading::text("退出", 26),
    Heading::text("计入", 16),
    Heading::text("个人信息已删除", 26),
];
const CLASSES: [Heading; 7] = [
    Heading::text("班级编号", 14),
    Heading::text("班级名称", 30),
    Heading::text("区划代码", 10),
    Heading::text("辅导教师编号", 16),
    Heading::text("现名启用", 26),
    Heading::text("撤销", 26),
    Heading::text("并入", 14),
];
const SCHOOLS: [Heading; 6] = [
    Heading::text("学校代码", 16),
    Heading::text("学校名称", 36),
    Heading::text("县区代码", 10),
    Heading::text("现名启用", 26),
    Heading::text("撤销", 26),
    Heading::text("并入", 16),
];
const REGIONS: [Heading; 8] = [
    Heading::text("区划代码", 10),
    Heading::text("名称", 24),
    Heading::text("级别", 8),
    Heading::text("上级代码", 10),
    Heading::text("国家标准中有", 14),
    Heading::text("现名启用", 26),
    Heading::text("撤销", 26),
    Heading::text("并入", 10),
];
const COUNTIES: [Heading; 7] = [
    Heading::text("县区代码", 10),
    Heading::text("名称", 24),
    Heading::text("上报花名册", 26),
    Heading::text("汇总", 26),
    Heading::text("缴费确认", 26),
    Heading::text("开通学习", 26),
    Heading::number("在训人数"),
];
const REMITTANCES: [Heading; 6] = [
    Heading::text("县区代码", 10),
    Heading::text("汇款编号", 20),
    Heading::number("金额（元）"),
    Heading::text("汇出", 26),
    Heading::text("确认", 26),
    Heading::text("开票", 26),
];
const TUTOR_CHOICES: [Heading; 3] =
    [Heading::text("辅导教师编号", 16), Heading::text("专家编号", 16), Heading::text("推选", 26)];

#[tonic::async_trait]
impl ExportService for Handler {
    type ExportStream = Chunks<pb::ExportResponse>;

    async fn export(&self, request: Request<pb::ExportRequest>) -> Answer<Self::ExportStream> {
        let admitted = self.kit.admit(&request).await?;
        let request = request.into_inner();
        let mut fields = Fields::new();
        let parsed = (
            convert::programme(&mut fields, &request.programme_id),
            fields.choice::<pb::ExportList>("list", request.list),
            fields.optional_id("region_code", &request.region_code, RegionCode::parse),
            convert::optional_role(&mut fields, request.role),
        );
        let (_, list, _, _) = fields.all(parsed)?;
        let (format, region_code) = (request.format, request.region_code.clone());
        let (programme_id, name) = (request.programme_id.clone(), list.as_str_name());
        let asked = Asked { programme_id: &programme_id, list: name, format, region_code: &region_code };
        let list = self.list(list, request);
        self.kit.export(&admitted, asked, list, |chunk, rows| pb::ExportResponse { chunk, rows }).await
    }
}

impl Handler {
    fn list(&self, list: pb::ExportList, asked: pb::ExportRequest) -> List {
        let handler = self.clone();
        let (programme_id, page_size) = (asked.programme_id, PAGE_SIZE_MAX);
        match list {
            pb::ExportList::People => List::paged(
                &PEOPLE,
                move |unit, page_token| {
                    let (programme_id, role) = (programme_id.clone(), asked.role);
                    let request = pb::ListPeopleRequest {
                        programme_id,
                        role,
                        page_size,
                        page_token,
                        ..Default::default()
                    };
                    person::list_people(handler.clone(), unit, request)
                },
                people,
            ),
            pb::ExportList::Classes => List::paged(
                &CLASSES,
                move |unit, page_token| {
                    let programme_id = programme_id.clone();
                    let request =
                        pb::ListClassesRequest { programme_id, page_size, page_token, ..Default::default() };
                    region::list_classes(handler.clone(), unit, request)
                },
                classes,
            ),
            pb::ExportList::Schools => List::paged(
                &SCHOOLS,
                move |unit, page_token| {
                    let programme_id = programme_id.clone();
                    let request =
                        pb::ListSchoolsRequest { programme_id, page_size, page_token, ..Default::default() };
                    region::list_schools(handler.clone(), unit, request)
                },
                schools,
            ),
            // No list was named: the request was refused before.
            pb::ExportList::Regions | pb::ExportList::Unspecified => List::paged(
                &REGIONS,
                move |unit, page_token| {
                    let programme_id = programme_id.clone();
                    let request =
                        pb::ListRegionsRequest { programme_id, page_size, page_token, ..Default::default() };
                    region::list_regions(handler.clone(), unit, request)
                },
                regions,
            ),
            pb::ExportList::Counties => List::paged(
                &COUNTIES,
                move |unit, page_token| {
                    let programme_id = programme_id.clone();
                    let request =
                        pb::ListCountiesRequest { programme_id, page_size, page_token, ..Default::default() };
                    county::list_counties(handler.clone(), unit, request)
                },
                counties,
            ),
            pb::ExportList::Remittances => List::paged(
                &REMITTANCES,
                move |unit, page_token| {
                    let programme_id = programme_id.clone();
                    let request = pb::ListRemittancesRequest {
                        programme_id,
                        page_size,
                        page_token,
                        ..Default::default()
                    };
                    county::list_remittances(handler.clone(), unit, request)
                },
                remittances,
            ),
            pb::ExportList::TutorChoices => List::paged(
                &TUTOR_CHOICES,
                move |unit, page_token| {
                    let programme_id = programme_id.clone();
                    let request = pb::ListTutorChoicesRequest {
                        programme_id,
                        page_size,
                        page_token,
                        ..Default::default()
                    };
                    honour::list(handler.clone(), unit, request)
                },
                tutor_choices,
            ),
        }
    }
}

fn role_zh(role: Role) -> String {
    let word = match role {
        Role::Trainee => "参训教师",
        Role::ClassTutor => "班级辅导教师",
        Role::CountyCounselor => "县区辅导员",
        Role::SubjectExpert => "省级专家团队",
        Role::MunicipalLead => "市级负责人",
        Role::TrainingInstitution => "远程培训机构",
        Role::Unspecified | Role::Province | Role::Service => "",
    };
    word.to_owned()
}

fn people(page: pb::ListPeopleResponse) -> Portion {
    let rows = page.people.into_iter().map(|person| {
        let (role, stage) = (role_zh(person.role()), education_stage(person.education_stage()));
        let development = development_stage(person.development_stage());
        vec![
            person.person_id,
            person.name,
            person.masked_identity_number,
            role,
            person.county_code,
            person.school_code,
            stage,
            person.subject,
            development,
            person.class_id,
            instant(person.login_time),
            instant(person.pre_job_time),
            instant(person.withdrawn_time),
            person.counts_for_id,
            instant(person.erased_time),
        ]
    });
    Portion { rows: rows.chain(broken(page.broken)).collect(), next: page.next_page_token }
}

fn classes(page: pb::ListClassesResponse) -> Portion {
    let rows = page.classes.into_iter().map(|class| {
        let (named, closed) = (instant(class.named_time), instant(class.closed_time));
        let own = [class.class_id, class.name, class.region_code, class.tutor_id];
        own.into_iter().chain([named, closed, class.merged_into_id]).collect()
    });
    Portion { rows: rows.chain(broken(page.broken)).collect(), next: page.next_page_token }
}

fn schools(page: pb::ListSchoolsResponse) -> Portion {
    let rows = page.schools.into_iter().map(|school| {
        let (named, closed) = (instant(school.named_time), instant(school.closed_time));
        vec![school.school_code, school.name, school.county_code, named, closed, school.merged_into_code]
    });
    Portion { rows: rows.chain(broken(page.broken)).collect(), next: page.next_page_token }
}

fn regions(page: pb::ListRegionsResponse) -> Portion {
    let rows = page.regions.into_iter().map(|region| {
        let level = match region.level() {
            pb::RegionLevel::Province => "省",
            pb::RegionLevel::City => "市",
            pb::RegionLevel::County => "县区",
            pb::RegionLevel::Unspecified => "",
        };
        let known = truth(region.in_national_standard);
        let (named, closed) = (instant(region.named_time), instant(region.closed_time));
        let own = [region.code, region.name, level.to_owned(), region.parent_code, known];
        own.into_iter().chain([named, closed, region.merged_into_code]).collect()
    });
    Portion { rows: rows.chain(broken(page.broken)).collect(), next: page.next_page_token }
}

fn counties(page: pb::ListCountiesResponse) -> Portion {
    let rows = page.counties.into_iter().map(|county| {
        vec![
            county.county_code,
            county.name,
            instant(county.reported_time),
            instant(county.compiled_time),
            instant(county.remitted_time),
            instant(county.opened_time),
            county.active_trainees.to_string(),
        ]
    });
    Portion { rows: rows.chain(broken(page.broken)).collect(), next: page.next_page_token }
}

fn remittances(page: pb::ListRemittancesResponse) -> Portion {
    let rows = page.remittances.into_iter().map(|remittance| {
        let fen = remittance.amount_fen;
        let amount = format!("{}.{:02}", fen / 100, fen % 100);
        vec![
            remittance.county_code,
            remittance.r#ref,
            amount,
            instant(remittance.sent_time),
            instant(remittance.confirmed_time),
            instant(remittance.invoiced_time),
        ]
    });
    Portion { rows: rows.chain(broken(page.broken)).collect(), next: page.next_page_token }
}

fn tutor_choices(page: pb::ListTutorChoicesResponse) -> Portion {
    let rows = page
        .choices
        .into_iter()
        .map(|choice| vec![choice.tutor_id, choice.expert_id, instant(choice.chosen_time)]);
    Portion { rows: rows.chain(broken(page.broken)).collect(), next: page.next_page_token }
}
