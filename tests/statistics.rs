//! Statistics against a count of all trainees, one by one: by every way in which they can be told apart, now and by day.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context as _, Result};
use shipei_client::client::Clients;
use shipei_contracts::{
    assessment::v1::{
        GetStatisticsRequest, ItemState, ListStatisticsRequest, ListTraineeScoresRequest, Statistics,
        StatisticsBy, TraineeScore, WatchStatisticsRequest, score_service_client::ScoreServiceClient,
        statistics_service_client::StatisticsServiceClient,
    },
    common::v1::{EducationStage, Role},
    enrollment::v1::{
        CreateRegionRequest, ListPeopleRequest, Person, RegionLevel, WithdrawTraineeRequest,
        person_service_client::PersonServiceClient, region_service_client::RegionServiceClient,
    },
};
use shipei_rules::{scheme::Scheme, vocabulary};
use shipei_service_kit::{observe::OBSERVE_INTERVAL, status::reason_of};

use crate::{
    harness::{Backend, KeptState, embedded, replay_and_compare, season_folder},
    places::{XIONGAN, ask, at, id, populate},
};

const SEASON: &str = "qinhuangdao-2019";

/// What is counted here and there.
#[derive(Debug, Default, PartialEq, Eq, Clone)]
struct Counted {
    active: i32,
    logged_in: i32,
    phases: Vec<i32>,
    submitted_at_least: i32,
    excellent: i32,
    graded_pass: i32,
    seminar_earned: i32,
    passed: i32,
    totals: BTreeMap<i32, i32>,
    offline_scores: BTreeMap<i32, i32>,
}

impl Counted {
    /// Counts one trainee.
    fn add(&mut self, score: &TraineeScore, person: &Person, scheme: &Scheme) {
        self.phases.resize(scheme.trainee.online.len(), 0);
        self.active += 1;
        self.logged_in += i32::from(person.login_time.is_some());
        self.passed += i32::from(score.passed);
        *self.totals.entry(score.total).or_default() += 1;
        for item in &score.items {
            let earned = i32::from(item.state() == ItemState::Earned);
            if let Some(number) = item.name.strip_prefix("phase_").and_then(|n| n.parse::<usize>().ok()) {
                self.phases[number - 1] += earned;
            }
            match item.name.as_str() {
                "assignment" => {
                    let points = i64::from(item.hundredths / 100);
                    self.excellent += i32::from(points == scheme.trainee.assignment.points.excellent);
                    self.graded_pass += i32::from(points == scheme.trainee.assignment.points.pass);
                    self.submitted_at_least += earned;
                }
                "seminar" => self.seminar_earned += earned,
                "offline" if earned == 1 => {
                    *self.offline_scores.entry(item.hundredths / 100).or_default() += 1;
                }
                _ => {}
            }
        }
    }

    /// The same of an answer; who submitted and got no grade can't be told from a score.
    fn of(statistics: &Statistics) -> Self {
        let values = |values: &[shipei_contracts::assessment::v1::ValueCount]| {
            values.iter().map(|value| (value.value, value.count)).collect()
        };
        Self {
            active: statistics.active,
            logged_in: statistics.logged_in,
            phases: statistics.phases.iter().map(|phase| phase.earned).collect(),
            submitted_at_least: statistics.excellent + statistics.graded_pass,
            excellent: statistics.excellent,
            graded_pass: statistics.graded_pass,
            seminar_earned: statistics.seminar_earned,
            passed: statistics.passed,
            totals: values(&statistics.totals),
            offline_scores: values(&statistics.offline_scores),
        }
    }
}

/// Everybody who has a score, with their person.
async fn everybody(clients: &Clients) -> Result<Vec<(TraineeScore, Person)>> {
    let mut people = BTreeMap::new();
    let mut page_token = String::new();
    loop {
        let request = ListPeopleRequest {
            programme_id: SEASON.to_owned(),
            role: Role::Trainee.into(),
            page_size: 1_000,
            page_token,
            ..Default::default()
        };
        let page = ask!(clients, PersonServiceClient, "enrollment", list_people, request);
        people.extend(page.people.into_iter().map(|person| (person.person_id.clone(), person)));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    let request =
        ListTraineeScoresRequest { programme_id: SEASON.to_owned(), page_size: 1_000, ..Default::default() };
    let scores = ask!(clients, ScoreServiceClient, "assessment", list_trainee_scores, request).scores;
    let with_person = |score: TraineeScore| {
        let person = people.remove(&score.person_id).context("a person for each score")?;
        Ok((score, person))
    };
    scores.into_iter().map(with_person).collect()
}

fn key_of(by: StatisticsBy, score: &TraineeScore, person: &Person) -> String {
    let stage = EducationStage::known(person.education_stage());
    match by {
        StatisticsBy::Unspecified => String::new(),
        StatisticsBy::City => "130300".to_owned(),
        StatisticsBy::County => score.county_code.clone(),
        StatisticsBy::School => person.school_code.clone(),
        StatisticsBy::Class => score.class_id.clone(),
        StatisticsBy::Subject => person.subject.clone(),
        StatisticsBy::EducationStage => stage.map_or("", vocabulary::EducationStage::as_str).to_owned(),
        StatisticsBy::DevelopmentStage => {
            let stage = shipei_contracts::common::v1::DevelopmentStage::known(person.development_stage());
            stage.map_or("", vocabulary::DevelopmentStage::as_str).to_owned()
        }
    }
}

async fn statistics_are_what_a_count_of_everybody_gives(backend: Backend) -> Result<()> {
    let state = KeptState::new(backend)?;
    let (suite, clients) = embedded(&state).await?;
    let compared = compare(&clients, &state.out("scores")).await;
    suite.stop().await;
    compared
}

async fn compare(clients: &Clients, out: &Path) -> Result<()> {
    replay_and_compare(clients, SEASON, out).await?;
    let scheme = Scheme::parse(&std::fs::read_to_string(season_folder(SEASON).join("scheme.toml"))?)?;
    let everybody = everybody(clients).await?;
    for by in [
        StatisticsBy::Unspecified,
        StatisticsBy::City,
        StatisticsBy::County,
        StatisticsBy::School,
        StatisticsBy::Class,
        StatisticsBy::Subject,
        StatisticsBy::EducationStage,
        StatisticsBy::DevelopmentStage,
    ] {
        let mut expected: BTreeMap<String, Counted> = BTreeMap::new();
        for (score, person) in &everybody {
            expected.entry(key_of(by, score, person)).or_default().add(score, person, &scheme);
        }
        // Pages of three, so that every border is crossed.
        let mut found = BTreeMap::new();
        let mut page_token = String::new();
        loop {
            let request = ListStatisticsRequest {
                programme_id: SEASON.to_owned(),
                by: by.into(),
                page_size: 3,
                page_token,
                ..Default::default()
            };
            let page = ask!(clients, StatisticsServiceClient, "assessment", list_statistics, request);
            assert!(!page.catching_up && page.statistics.len() <= 3);
            for statistics in page.statistics {
                let counted = Counted::of(&statistics);
                assert!(found.insert(statistics.key.clone(), counted).is_none(), "{}", statistics.key);
            }
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        assert_eq!(found, expected, "{by:?}");
    }

    // One place after the other, and what happened on each day adds up to what there is.
    for (score, person) in everybody.iter().take(5) {
        for (region, school, class) in [
            (score.county_code.as_str(), "", ""),
            ("", person.school_code.as_str(), ""),
            ("", "", score.class_id.as_str()),
        ] {
            let request = GetStatisticsRequest {
                programme_id: SEASON.to_owned(),
                region_code: region.to_owned(),
                school_code: school.to_owned(),
                class_id: class.to_owned(),
                by_day: true,
                ..Default::default()
            };
            let answer = ask!(clients, StatisticsServiceClient, "assessment", get_statistics, request);
            let statistics = answer.statistics.context("statistics")?;
            let mut expected = Counted::default();
            let is_there = |(other, them): &&(TraineeScore, Person)| {
                (region.is_empty() || other.county_code == region)
                    && (school.is_empty() || them.school_code == school)
                    && (class.is_empty() || other.class_id == class)
            };
            everybody.iter().filter(is_there).for_each(|(other, them)| expected.add(other, them, &scheme));
            assert_eq!(Counted::of(&statistics), expected, "{region}{school}{class}");
            let sum = |count: fn(&shipei_contracts::assessment::v1::DayStatistics) -> i32| -> i32 {
                statistics.days.iter().map(count).sum()
            };
            assert_eq!(sum(|day| day.logged_in), statistics.logged_in);
            assert_eq!(sum(|day| day.passed), statistics.passed);
            assert_eq!(sum(|day| day.submitted), statistics.submitted);
            assert_eq!(sum(|day| day.phases[1].earned), statistics.phases[1].earned);
            assert!(statistics.days.is_sorted_by(|one, other| one.day < other.day));
        }
    }

    // A county that has nobody yet is there, and one that nobody named is not.
    let county = CreateRegionRequest {
        programme_id: SEASON.to_owned(),
        code: "130321".to_owned(),
        name: "青龙满族自治县".to_owned(),
        level: RegionLevel::County.into(),
        parent_code: "130300".to_owned(),
        ..Default::default()
    };
    ask!(clients, RegionServiceClient, "enrollment", create_region, county);
    let of_region = |code: &str| GetStatisticsRequest {
        programme_id: SEASON.to_owned(),
        region_code: code.to_owned(),
        ..Default::default()
    };
    let answer = ask!(clients, StatisticsServiceClient, "assessment", get_statistics, of_region("130321"));
    assert_eq!(answer.statistics.context("statistics")?.active, 0);
    let mut client = StatisticsServiceClient::new(clients.channel("assessment"));
    let refused = client.get_statistics(clients.unary(of_region("130322"))).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::NotFound);

    let two = GetStatisticsRequest {
        programme_id: SEASON.to_owned(),
        region_code: "130302".to_owned(),
        class_id: "L0001".to_owned(),
        ..Default::default()
    };
    let refused = client.get_statistics(clients.unary(two)).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::InvalidArgument);
    let nowhere = GetStatisticsRequest {
        programme_id: SEASON.to_owned(),
        class_id: "L9999".to_owned(),
        ..Default::default()
    };
    let refused = client.get_statistics(clients.unary(nowhere)).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::NotFound);
    Ok(())
}

/// What is watched is what is there, and becomes something else when that does; the stream says why it ends.
async fn watched_statistics_follow_the_facts(backend: Backend) -> Result<()> {
    let state = KeptState::new(backend)?;
    let (suite, clients) = embedded(&state).await?;
    populate(&clients).await?;
    let mut client = StatisticsServiceClient::new(clients.channel("assessment"));
    let of_region = |code: &str| WatchStatisticsRequest {
        programme_id: id(),
        region_code: code.to_owned(),
        ..Default::default()
    };
    let refused = client.watch_statistics(clients.request(of_region("139999"))).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::NotFound);

    let begun = std::time::Instant::now();
    let watching = client.watch_statistics(clients.request(of_region(XIONGAN))).await?;
    let mut watched = watching.into_inner();
    let first = watched.message().await?.context("an answer")?.statistics.context("statistics")?;
    assert_eq!(first.active, 1, "{first:?}");
    let withdrawal = WithdrawTraineeRequest {
        programme_id: id(),
        person_id: "T1".to_owned(),
        reason: "调离".to_owned(),
        occurred_at: at("2019-12-01T00:00:00Z"),
        ..Default::default()
    };
    ask!(clients, PersonServiceClient, "enrollment", withdraw_trainee, withdrawal);
    let next = loop {
        // One without statistics says that nothing has changed.
        if let Some(next) = watched.message().await?.context("an answer")?.statistics {
            break next;
        }
    };
    assert!(begun.elapsed() >= OBSERVE_INTERVAL, "{:?}", begun.elapsed());
    let asked =
        GetStatisticsRequest { programme_id: id(), region_code: XIONGAN.to_owned(), ..Default::default() };
    let alone = ask!(clients, StatisticsServiceClient, "assessment", get_statistics, asked).statistics;
    assert_eq!((next.active, Some(&next)), (0, alone.as_ref()));

    let (ended, _) = tokio::join!(watched.message(), suite.stop());
    let ended = ended.unwrap_err();
    assert_eq!(reason_of(&ended).as_deref(), Some("STREAM_ENDED"), "{ended:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn watched_statistics_follow_the_facts_on_sqlite() -> Result<()> {
    watched_statistics_follow_the_facts(Backend::Sqlite).await
}

#[tokio::test(flavor = "multi_thread")]
async fn watched_statistics_follow_the_facts_on_postgres() -> Result<()> {
    watched_statistics_follow_the_facts(Backend::Postgres).await
}

#[tokio::test(flavor = "multi_thread")]
async fn statistics_are_what_a_count_of_everybody_gives_on_sqlite() -> Result<()> {
    statistics_are_what_a_count_of_everybody_gives(Backend::Sqlite).await
}

#[tokio::test(flavor = "multi_thread")]
async fn statistics_are_what_a_count_of_everybody_gives_on_postgres() -> Result<()> {
    statistics_are_what_a_count_of_everybody_gives(Backend::Postgres).await
}
