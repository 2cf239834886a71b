//! Schools, classes and counties merged in mid-season, through the public API of all services: who counts where as of before and
//! after, what is owed by whom, and everything as it was when the merge falls; learned anew it is the same.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use shipei::suite::forget_learned;
use shipei_client::client::{Clients, SERVICES};
use shipei_contracts::{
    assessment::v1::{
        ListCountyScoresRequest, ListStatisticsRequest, ListTraineeScoresRequest, StatisticsBy,
        score_service_client::ScoreServiceClient, statistics_service_client::StatisticsServiceClient,
    },
    assignment::v1::{
        Grade, ListMarkingRequest, ReviewSubmissionRequest,
        assignment_service_client::AssignmentServiceClient,
    },
    common::v1::EducationStage,
    enrollment::v1::{
        self as enrollment, person_service_client::PersonServiceClient,
        place_service_client::PlaceServiceClient, region_service_client::RegionServiceClient,
    },
    offline::v1::{SubmitPlanRequest, offline_service_client::OfflineServiceClient},
};
use shipei_service_kit::status::reason_of;
use shipei_store::PoolLimits;

use crate::harness::{Backend, KeptState, digest, embedded};
use crate::places::{
    ANXIN, BAODING, END, RONGCHENG, XIONGAN, ask, assignment, at, id, marking, on_both, populate, retract,
};

/// The day of a merge, and one before it.
const MERGED: &str = "2019-12-01T00:00:00Z";
const BEFORE: &str = "2019-11-30T00:00:00Z";

/// The trainees who have a score in a region or a class as of a time, each with their county and class.
async fn trainees(clients: &Clients, region: &str, class: &str, when: &str) -> Result<String> {
    let request = ListTraineeScoresRequest {
        programme_id: id(),
        region_code: region.to_owned(),
        class_id: class.to_owned(),
        as_of: at(when),
        ..Default::default()
    };
    let scores = ask!(clients, ScoreServiceClient, "assessment", list_trainee_scores, request).scores;
    let said = scores
        .into_iter()
        .map(|score| format!("{} {} {}", score.person_id, score.county_code, score.class_id));
    Ok(said.collect::<Vec<_>>().join(", "))
}

/// The active trainees of each school or county now, of those that have any, once nothing is behind.
async fn active_by(clients: &Clients, by: StatisticsBy) -> Result<String> {
    for _ in 0..200 {
        let request = ListStatisticsRequest { programme_id: id(), by: by.into(), ..Default::default() };
        let answer = ask!(clients, StatisticsServiceClient, "assessment", list_statistics, request);
        if answer.catching_up {
            tokio::time::sleep(Duration::from_millis(25)).await;
            continue;
        }
        let some = answer.statistics.into_iter().filter(|row| row.active > 0);
        return Ok(some.map(|row| format!("{}: {}", row.key, row.active)).collect::<Vec<_>>().join(", "));
    }
    anyhow::bail!("statistics are behind for ever")
}

/// The counties of a region with counselors and active trainees, of those that have a score.
async fn counties(clients: &Clients, region: &str, when: &str) -> Result<String> {
    let request = ListCountyScoresRequest {
        programme_id: id(),
        region_code: region.to_owned(),
        as_of: at(when),
        ..Default::default()
    };
    let scores = ask!(clients, ScoreServiceClient, "assessment", list_county_scores, request).scores;
    let some = scores.into_iter().filter(|score| score.applicable);
    let said = some.map(|score| {
        format!("{} {} {}", score.county_code, score.counselor_ids.join("+"), score.active_trainees)
    });
    Ok(said.collect::<Vec<_>>().join(", "))
}

/// The submissions that a tutor has to mark as of a time.
async fn to_mark(clients: &Clients, tutor: &str, when: &str) -> Result<String> {
    let request = ListMarkingRequest {
        programme_id: id(),
        tutor_id: tutor.to_owned(),
        as_of: at(when),
        ..Default::default()
    };
    let list = ask!(clients, AssignmentServiceClient, "assignment-grading", list_marking, request).items;
    let ids = list.into_iter().map(|item| item.submission.unwrap_or_default().submission_id);
    Ok(ids.collect::<Vec<_>>().join(" "))
}

/// The digest of all scores, once nothing is behind.
pub(crate) async fn settled(clients: &Clients) -> Result<String> {
    for _ in 0..400 {
        if let Ok(digest) = digest(clients, &id()).await {
            return Ok(digest);
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    digest(clients, &id()).await
}

/// Starts again with nothing learned of other services, and gives the digest once it is as expected, or what it has become by then.
pub(crate) async fn learned_anew(place: &KeptState, expected: &str) -> Result<String> {
    for service in SERVICES {
        forget_learned(service, &place.storage, PoolLimits::default()).await?;
    }
    let (suite, clients) = embedded(place).await?;
    let mut found = settled(&clients).await?;
    for _ in 0..40 {
        if found == expected {
            break;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
        found = settled(&clients).await?;
    }
    suite.stop().await;
    Ok(found)
}

async fn school_merged_in_mid_season(backend: Backend) -> Result<()> {
    let place = KeptState::new(backend)?;
    let (suite, clients) = embedded(&place).await?;
    populate(&clients).await?;
    let school = enrollment::CreateSchoolRequest {
        programme_id: id(),
        school_code: "S5".to_owned(),
        name: "五小".to_owned(),
        county_code: RONGCHENG.to_owned(),
        ..Default::default()
    };
    ask!(clients, RegionServiceClient, "enrollment", create_school, school);
    let first = settled(&clients).await?;
    assert_eq!(active_by(&clients, StatisticsBy::School).await?, "S1: 1, S2: 1, S3: 1");
    let merge = enrollment::MergeSchoolRequest {
        programme_id: id(),
        county_code: RONGCHENG.to_owned(),
        school_code: "S1".to_owned(),
        into_school_code: "S5".to_owned(),
        reason: "撤点并校".to_owned(),
        request_id: "M1".to_owned(),
        occurred_at: at(MERGED),
        ..Default::default()
    };
    ask!(clients, PlaceServiceClient, "enrollment", merge_school, merge);
    assert_eq!(trainees(&clients, RONGCHENG, "", END).await?, "T1 130629 L1");
    assert_eq!(active_by(&clients, StatisticsBy::School).await?, "S2: 1, S3: 1, S5: 1", "{backend:?}");
    // No score is by school.
    assert_eq!(settled(&clients).await?, first);
    retract(&clients, "M1").await?;
    assert_eq!(trainees(&clients, RONGCHENG, "", END).await?, "T1 130629 L1");
    assert_eq!(active_by(&clients, StatisticsBy::School).await?, "S1: 1, S2: 1, S3: 1", "{backend:?}");
    ensure!(suite.stop().await, "it stops");
    Ok(())
}

async fn class_merged_in_mid_season(backend: Backend) -> Result<()> {
    let place = KeptState::new(backend)?;
    let (suite, clients) = embedded(&place).await?;
    populate(&clients).await?;
    let class = enrollment::CreateClassRequest {
        programme_id: id(),
        class_id: "L4".to_owned(),
        region_code: XIONGAN.to_owned(),
        tutor_id: "U2".to_owned(),
        ..Default::default()
    };
    ask!(clients, RegionServiceClient, "enrollment", create_class, class);
    let review = |fact_id: &str, tutor: &str, grade: Grade, when: &str| ReviewSubmissionRequest {
        programme_id: id(),
        tutor_id: tutor.to_owned(),
        submission_id: "A1".to_owned(),
        grade: grade.into(),
        comment: "好".to_owned(),
        request_id: fact_id.to_owned(),
        occurred_at: at(when),
        ..Default::default()
    };
    // U1 owes the mark of T1's work.
    assert_eq!(
        (marking(&clients, "U1").await?, trainees(&clients, "", "L1", END).await?.as_str()),
        (0, "T1 130629 L1")
    );
    let first = settled(&clients).await?;
    let merge = |fact_id: &str| enrollment::MergeClassRequest {
        programme_id: id(),
        class_id: "L1".to_owned(),
        into_class_id: "L4".to_owned(),
        reason: "并班".to_owned(),
        request_id: fact_id.to_owned(),
        occurred_at: at(MERGED),
        ..Default::default()
    };
    ask!(clients, PlaceServiceClient, "enrollment", merge_class, merge("M1"));
    for (class, when, expected) in
        [("L1", BEFORE, "T1 130629 L1"), ("L4", BEFORE, ""), ("L1", END, ""), ("L4", END, "T1 130629 L4")]
    {
        assert_eq!(trainees(&clients, "", class, when).await?, expected, "{class} {when} {backend:?}");
    }
    assert_eq!(active_by(&clients, StatisticsBy::Class).await?, "L2: 1, L3: 1, L4: 1", "{backend:?}");
    // From then on the mark is owed by who has the other class, who has one of their own to give already.
    assert_eq!((marking(&clients, "U1").await?, marking(&clients, "U2").await?), (60, 0), "{backend:?}");
    assert_eq!(
        (to_mark(&clients, "U1", BEFORE).await?.as_str(), to_mark(&clients, "U1", END).await?.as_str()),
        ("A1", "")
    );
    assert_eq!(to_mark(&clients, "U2", END).await?, "A1 A2", "{backend:?}");
    let mut grading = AssignmentServiceClient::new(clients.channel("assignment-grading"));
    let late = review("R1", "U1", Grade::Excellent, "2019-12-05T00:00:00Z");
    let refused = grading.review_submission(clients.unary(late)).await.expect_err("U1 has no class any more");
    assert_eq!(reason_of(&refused).as_deref(), Some("NOT_CLASS_TUTOR"));
    let own = review("R2", "U2", Grade::Pass, "2019-12-05T00:00:00Z");
    ask!(clients, AssignmentServiceClient, "assignment-grading", review_submission, own);
    assert_eq!(assignment(&clients, 20).await?, 20, "{backend:?}");
    let merged = settled(&clients).await?;
    ensure!(merged != first, "the merge changes scores");
    // Without the merge the mark is by who was never the tutor of T1's class, and U1 owes it again.
    retract(&clients, "M1").await?;
    assert_eq!(assignment(&clients, 0).await?, 0, "{backend:?}");
    assert_eq!(
        (marking(&clients, "U1").await?, trainees(&clients, "", "L1", END).await?.as_str()),
        (0, "T1 130629 L1")
    );
    assert_eq!(active_by(&clients, StatisticsBy::Class).await?, "L1: 1, L2: 1, L3: 1", "{backend:?}");
    // Merged again, with the mark there already.
    ask!(clients, PlaceServiceClient, "enrollment", merge_class, merge("M2"));
    assert_eq!(assignment(&clients, 20).await?, 20, "{backend:?}");
    assert_eq!(settled(&clients).await?, merged, "{backend:?}");
    ensure!(suite.stop().await, "it stops");
    assert_eq!(learned_anew(&place, &merged).await?, merged, "learned anew on {backend:?}");
    Ok(())
}

async fn county_merged_in_mid_season(backend: Backend) -> Result<()> {
    let place = KeptState::new(backend)?;
    let (suite, clients) = embedded(&place).await?;
    populate(&clients).await?;
    let first = settled(&clients).await?;
    let alone = [counties(&clients, XIONGAN, END).await?, counties(&clients, BAODING, END).await?];
    assert_eq!(alone, ["130629 K1 1", "130632 K2 1"]);
    let merge = enrollment::MergeRegionRequest {
        programme_id: id(),
        code: ANXIN.to_owned(),
        into_code: RONGCHENG.to_owned(),
        reason: "区划调整".to_owned(),
        request_id: "M1".to_owned(),
        occurred_at: at(MERGED),
        ..Default::default()
    };
    ask!(clients, PlaceServiceClient, "enrollment", merge_region, merge);
    for (region, when, expected) in [
        (RONGCHENG, BEFORE, "T1 130629 L1"),
        (ANXIN, BEFORE, "T2 130632 L2"),
        (BAODING, BEFORE, "T2 130632 L2"),
        (RONGCHENG, END, "T1 130629 L1, T2 130629 L2"),
        (XIONGAN, END, "T1 130629 L1, T2 130629 L2"),
        (ANXIN, END, ""),
        (BAODING, END, ""),
    ] {
        assert_eq!(trainees(&clients, region, "", when).await?, expected, "{region} {when} {backend:?}");
    }
    for (region, when, expected) in [
        (XIONGAN, BEFORE, "130629 K1 1"),
        (BAODING, BEFORE, "130632 K2 1"),
        (XIONGAN, END, "130629 K1+K2 2"),
        (BAODING, END, ""),
    ] {
        assert_eq!(counties(&clients, region, when).await?, expected, "{region} {when} {backend:?}");
    }
    assert_eq!(active_by(&clients, StatisticsBy::County).await?, "130302: 1, 130629: 2", "{backend:?}");
    assert_eq!(active_by(&clients, StatisticsBy::City).await?, "130300: 1, 133100: 2", "{backend:?}");
    let people = enrollment::ListPeopleRequest {
        programme_id: id(),
        region_code: XIONGAN.to_owned(),
        ..Default::default()
    };
    let people = ask!(clients, PersonServiceClient, "enrollment", list_people, people).people;
    assert_eq!(
        people.into_iter().map(|person| person.person_id).collect::<Vec<_>>().join(" "),
        "K1 K2 T1 T2 U1 U2"
    );
    // Its counselor acts for the other county from then on, and for their own one before.
    let plan = |county: &str, when: &str| SubmitPlanRequest {
        programme_id: id(),
        counselor_id: "K2".to_owned(),
        county_code: county.to_owned(),
        education_stage: EducationStage::NonCompulsory.into(),
        title: "方案".to_owned(),
        occurred_at: at(when),
        ..Default::default()
    };
    let mut offline = OfflineServiceClient::new(clients.channel("offline-activity"));
    for (county, when, expected) in [
        (RONGCHENG, "2019-12-02T00:00:00Z", None),
        (ANXIN, "2019-12-02T00:00:00Z", Some("NOT_COUNTY_COUNSELOR")),
        (RONGCHENG, BEFORE, Some("NOT_COUNTY_COUNSELOR")),
        (ANXIN, BEFORE, None),
    ] {
        let answer = offline.submit_plan(clients.unary(plan(county, when))).await;
        let reason = answer.err().and_then(|status| reason_of(&status));
        assert_eq!(reason.as_deref(), expected, "{county} {when} {backend:?}");
    }
    let merged = settled(&clients).await?;
    ensure!(suite.stop().await, "it stops");
    assert_eq!(learned_anew(&place, &merged).await?, merged, "learned anew on {backend:?}");
    let (suite, clients) = embedded(&place).await?;
    retract(&clients, "M1").await?;
    for (region, expected) in
        [(RONGCHENG, "T1 130629 L1"), (ANXIN, "T2 130632 L2"), (BAODING, "T2 130632 L2")]
    {
        assert_eq!(trainees(&clients, region, "", END).await?, expected, "{region} {backend:?}");
    }
    assert_eq!(counties(&clients, XIONGAN, END).await?, "130629 K1 1", "{backend:?}");
    assert_eq!(
        active_by(&clients, StatisticsBy::County).await?,
        "130302: 1, 130629: 1, 130632: 1",
        "{backend:?}"
    );
    let fallen = settled(&clients).await.context("the digest without the merge")?;
    assert_eq!(fallen, first, "{backend:?}");
    ensure!(suite.stop().await, "it stops");
    Ok(())
}

on_both! {
    school_merged_in_mid_season,
    class_merged_in_mid_season,
    county_merged_in_mid_season,
}
