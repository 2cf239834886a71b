//! A scheme with as many items as there may be and the longest clauses: every answer can be sent. The contracts say which answers
//! those are.

use std::collections::BTreeSet;

use prost_reflect::DescriptorPool;
use shipei_assessment::GRPC_SERVICES;
use shipei_contracts::{
    FILE_DESCRIPTOR_SET,
    assessment::v1::{
        DayStatistics, GetCountyScoreRequest, GetInstitutionRecordRequest, GetRecordRequest,
        GetRegionRecordRequest, GetStatisticsRequest, GetTraineeScoreRequest, GetTutorScoreRequest,
        ListChosenTutorsRequest, ListCountyScoresRequest, ListRecommendedTraineesRequest,
        ListTraineeScoresRequest, ListTutorScoresRequest, PhaseStatistics, Statistics, ValueCount,
        duty_service_client::DutyServiceClient, honour_list_service_client::HonourListServiceClient,
        statistics_service_client::StatisticsServiceClient,
    },
    common::v1::Role,
};
use shipei_service_kit::{
    page::{PAGE_BYTES_MAX, PAGE_SIZE_MAX},
    prost::Message as _,
    to_timestamp,
};

use crate::support::{On, PROGRAMME, SCHEME, Service, Writer, end};

/// The most entries of a list of a scheme, and the most characters of a clause.
const ENTRIES_MAX: usize = 64;
const CLAUSE_MAX: usize = 200;
/// So many of each that a page of their scores is more than a message holds.
const TRAINEES: usize = 100;
const TUTORS: usize = 100;
const COUNTIES: usize = 100;

fn scheme() -> String {
    let clause = format!(
        "clause = {{ zh = \"{}\", en = \"{}\" }}\n",
        "条".repeat(CLAUSE_MAX),
        "款".repeat(CLAUSE_MAX)
    );
    let mut text: String = SCHEME
        .lines()
        .map(|line| if line.starts_with("clause =") { clause.clone() } else { format!("{line}\n") })
        .collect();
    let present = |text: &str, table: &str| text.matches(table).count();
    while present(&text, "[[trainee.online]]") < ENTRIES_MAX {
        text.push_str("\n[[trainee.online]]\nwindow = \"phase_2\"\ncategories = [\"professional\"]\nminutes = 1\npoints = 0\n");
        text.push_str(&clause);
    }
    let mut number = 10;
    while present(&text, "[[tutor.bulletin]]") < ENTRIES_MAX {
        text.push_str(&format!(
            "\n[[tutor.bulletin]]\nnumber = {number}\nwindow = \"phase_1\"\npoints = 0\n{clause}"
        ));
        number += 1;
    }
    // All phases are tasks of the county.
    let tasks: Vec<String> = (1..=ENTRIES_MAX - 1).map(|phase| format!("\"phase_{phase}\"")).collect();
    let before = "tasks  = [\"login\", \"phase_1\", \"phase_2\", \"assignment\", \"seminar\"]";
    assert!(text.contains(before));
    text.replace(before, &format!("tasks = [\"login\", {}]", tasks.join(", ")))
}

fn county(number: usize) -> String {
    format!("1303{number:02}")
}

async fn told() -> Service {
    let service = Service::start(On::Sqlite).await;
    let mut log = Writer::default();
    log.programme(&scheme());
    for number in 0..COUNTIES {
        log.county(&county(number));
    }
    for number in 0..TUTORS {
        log.class(&format!("C{number}"), &county(number), &format!("U{number}"));
        log.staff(&format!("U{number}"), Role::ClassTutor, &county(number));
    }
    for number in 0..TRAINEES {
        log.trainee(&format!("T{number}"), &county(number), &format!("C{number}"));
    }
    service.apply(&log.take()).await;
    shipei_assessment::recompute::rescore::finish(&service.test.kit, &Default::default()).await.unwrap();
    shipei_assessment::recompute::rescore::finish_due(&service.test.kit, &Default::default()).await.unwrap();
    service
}

#[tokio::test]
async fn answers_with_the_longest_schemes_can_be_sent() {
    let service = told().await;
    let mut client = service.client().max_decoding_message_size(2 * PAGE_BYTES_MAX);
    let (programme_id, as_of) = (|| PROGRAMME.to_owned(), Some(to_timestamp(end())));
    let mut tried = BTreeSet::new();
    macro_rules! walk {
        ($method:ident, $name:literal, $request:ident, $expected:expr) => {{
            let mut request =
                $request { programme_id: programme_id(), as_of, page_size: 1_000, ..Default::default() };
            let (mut rows, mut bytes, mut pages) = (0, 0, 0);
            loop {
                let answer = client.$method(request.clone()).await.unwrap().into_inner();
                rows += answer.scores.len();
                bytes += answer.encoded_len();
                pages += 1;
                if answer.next_page_token.is_empty() {
                    break;
                }
                request.page_token = answer.next_page_token;
            }
            assert_eq!(rows, $expected, $name);
            assert!(bytes > 2 * PAGE_BYTES_MAX && pages > 2, "{bytes} bytes of {} on {pages} pages", $name);
            tried.insert($name.to_owned());
        }};
    }
    walk!(list_trainee_scores, "ListTraineeScores", ListTraineeScoresRequest, TRAINEES);
    walk!(list_tutor_scores, "ListTutorScores", ListTutorScoresRequest, TUTORS);
    walk!(list_county_scores, "ListCountyScores", ListCountyScoresRequest, COUNTIES);
    let request = GetTraineeScoreRequest { programme_id: programme_id(), person_id: "T1".to_owned(), as_of };
    client.get_trainee_score(request).await.unwrap();
    let request = GetTutorScoreRequest { programme_id: programme_id(), person_id: "U1".to_owned(), as_of };
    client.get_tutor_score(request).await.unwrap();
    let request = GetCountyScoreRequest { programme_id: programme_id(), county_code: county(1), as_of };
    client.get_county_score(request).await.unwrap();
    assert_eq!(service.digest().await.trainees, i32::try_from(TRAINEES).unwrap());
    // A year of days, each with every phase, and a page of places with as many totals as trainees of a class may have.
    let phase = PhaseStatistics { phase: "phase_64".to_owned(), earned: i32::MAX };
    let day = DayStatistics {
        day: "2019-12-31".to_owned(),
        phases: vec![phase.clone(); ENTRIES_MAX],
        ..DayStatistics::default()
    };
    let statistics = Statistics {
        key: "C".repeat(64),
        phases: vec![phase; ENTRIES_MAX],
        totals: vec![ValueCount { value: i32::MAX, count: i32::MAX }; 200],
        ..Statistics::default()
    };
    let page = statistics.encoded_len() * usize::try_from(PAGE_SIZE_MAX).unwrap();
    let year = Statistics { days: vec![day; 366], ..statistics }.encoded_len();
    assert!(page.max(year) < 2 * PAGE_BYTES_MAX, "{page} and {year} bytes of statistics");
    let statistics =
        GetStatisticsRequest { programme_id: programme_id(), by_day: true, ..Default::default() };
    StatisticsServiceClient::new(service.server.channel()).get_statistics(statistics).await.unwrap();
    tried.extend(["GetTraineeScore", "GetTutorScore", "GetCountyScore", "GetScoreDigest"].map(str::to_owned));
    tried.extend(["GetStatistics", "ListStatistics"].map(str::to_owned));
    // A record has the duties of Annex 1 and nothing that somebody wrote but ids.
    let mut duties = DutyServiceClient::new(service.server.channel());
    let request =
        GetRecordRequest { programme_id: programme_id(), person_id: "U1".to_owned(), as_of, role: 0 };
    let record = duties.get_record(request).await.unwrap().into_inner();
    let request = GetRegionRecordRequest { programme_id: programme_id(), region_code: county(1), as_of };
    let of_county = duties.get_region_record(request).await.unwrap().into_inner();
    let request = GetInstitutionRecordRequest { programme_id: programme_id(), as_of };
    let of_institution = duties.get_institution_record(request).await.unwrap().into_inner();
    let lengths = [record.encoded_len(), of_county.encoded_len(), of_institution.encoded_len()];
    assert!(lengths.iter().all(|length| (500..16_000).contains(length)), "{lengths:?}");
    // Rows of ids and figures, and reasons of the rules: a full page of the longest is no message too large.
    let mut honours = HonourListServiceClient::new(service.server.channel());
    let request = ListRecommendedTraineesRequest { programme_id: programme_id(), ..Default::default() };
    honours.list_recommended_trainees(request).await.unwrap();
    let request = ListChosenTutorsRequest { programme_id: programme_id(), ..Default::default() };
    honours.list_chosen_tutors(request).await.unwrap();
    tried.extend(["ListRecommendedTrainees", "ListChosenTutors"].map(str::to_owned));
    tried.extend(["GetRecord", "GetRegionRecord", "GetInstitutionRecord"].map(str::to_owned));

    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap();
    let services = GRPC_SERVICES.iter().map(|name| pool.get_service_by_name(name).unwrap());
    let methods = services
        .flat_map(|service| service.methods().map(|method| method.name().to_owned()).collect::<Vec<_>>());
    let questions = methods.filter(|name| name.starts_with("Get") || name.starts_with("List"));
    assert_eq!(tried, questions.collect(), "an answer of the contracts was not tried");
}
