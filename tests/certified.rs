//! Final versions and certificates on both databases: frozen in parts over a restart, the same root everywhere, issued from it, and
//! verified by who knows nothing but the code; killed at any moment, there is one version, and one certificate each.

use std::{collections::BTreeSet, process::Command, time::Duration};

use anyhow::{Context as _, Result};
use shipei_certificates::{Hash, Side, Step, tree::follow};
use shipei_client::client::Clients;
use shipei_contracts::assessment::v1::{ListTraineeScoresRequest, score_service_client::ScoreServiceClient};
use shipei_contracts::decisions::v1::{
    AdjustItemRequest, AdjustmentKind, CertificateStatus, FinalVersion, FinaliseProgrammeRequest,
    FreezeScoresRequest, IssueCertificatesRequest, ListCertificatesRequest, ListFinalVersionsRequest,
    ListScoreChangesRequest, RevokeCertificateRequest, ScoreChangeCause, VerifyCertificateRequest,
    VerifyCertificateResponse, certificate_service_client::CertificateServiceClient,
    decision_service_client::DecisionServiceClient, final_version_service_client::FinalVersionServiceClient,
};

use crate::{
    harness::{Backend, KeptState, Process, embedded, replay_and_compare},
    places::ask,
};

const SEASON: &str = "qinhuangdao-2019";
const COUNTY: &str = "130302";
/// The root over the season's scores, whatever keeps them.
const ROOT: &str = "89b1854c22529be7306668e89dc745ca19d4eedf5aafc9586e5b83db6f06c2eb";

async fn freeze(clients: &Clients, version: i32) -> Result<FinalVersion> {
    let request = FreezeScoresRequest { programme_id: SEASON.to_owned(), version, request_id: String::new() };
    let client = FinalVersionServiceClient::new(clients.channel("assessment-decisions"));
    let answer = { client }.freeze_scores(clients.unary(request)).await?.into_inner();
    answer.version.context("a version")
}

async fn verify(clients: &Clients, code: &str) -> Result<VerifyCertificateResponse> {
    let request = VerifyCertificateRequest { code: code.to_owned() };
    Ok(ask!(clients, CertificateServiceClient, "assessment-decisions", verify_certificate, request))
}

async fn scores_are_frozen_over_a_restart_and_certified(backend: Backend) -> Result<()> {
    let place = KeptState::new(backend)?;
    let (suite, clients) = embedded(&place).await?;
    replay_and_compare(&clients, SEASON, &place.out("scores")).await?;
    let finalise = || FinaliseProgrammeRequest {
        programme_id: SEASON.to_owned(),
        reason: "年度考核结束".to_owned(),
        request_id: "F1".to_owned(),
    };
    let begun =
        ask!(clients, FinalVersionServiceClient, "assessment-decisions", finalise_programme, finalise());
    let begun = begun.version.context("a version")?;
    assert_eq!((begun.version, begun.r#final, begun.frozen), (1, false, 0));
    assert!(begun.trainees > 0);

    // Ended in the middle, it goes on with what is kept.
    suite.stop().await;
    let (suite, clients) = embedded(&place).await?;
    let mut version = begun;
    while !version.r#final {
        version = freeze(&clients, 1).await?;
    }
    assert_eq!(freeze(&clients, 1).await?, version, "what is final stays");
    assert_eq!(version.frozen, version.trainees);
    assert_eq!(shipei_store::crypto::hex(&version.root), ROOT);
    let request = ListFinalVersionsRequest { programme_id: SEASON.to_owned() };
    let listed =
        ask!(clients, FinalVersionServiceClient, "assessment-decisions", list_final_versions, request);
    assert_eq!(listed.versions, [version.clone()]);

    let issue = |request_id: &str, person_id: &str| IssueCertificatesRequest {
        programme_id: SEASON.to_owned(),
        county_code: COUNTY.to_owned(),
        person_id: person_id.to_owned(),
        request_id: request_id.to_owned(),
        ..IssueCertificatesRequest::default()
    };
    let issued =
        ask!(clients, CertificateServiceClient, "assessment-decisions", issue_certificates, issue("I1", ""));
    let again =
        ask!(clients, CertificateServiceClient, "assessment-decisions", issue_certificates, issue("I1", ""));
    assert_eq!(issued, again);
    assert!(issued.issued > 0 && issued.first_serial == 1, "{issued:?}");
    let request = ListCertificatesRequest {
        programme_id: SEASON.to_owned(),
        region_code: "130300".to_owned(),
        ..ListCertificatesRequest::default()
    };
    let listed = ask!(clients, CertificateServiceClient, "assessment-decisions", list_certificates, request);
    assert_eq!(listed.certificates.len(), usize::try_from(issued.issued)?);

    // Each is in the tree of its version, and no two are the same score.
    for one in &listed.certificates {
        let answer = verify(&clients, &one.code).await?;
        assert_eq!(answer.status(), CertificateStatus::Valid);
        assert_eq!(answer.certificate, one.certificate);
        let certificate = answer.certificate.context("fields")?;
        let hash = |bytes: &[u8]| Hash::from_bytes(bytes).context("a hash");
        let mut steps = Vec::new();
        for step in &answer.path {
            let side = if step.left { Side::Left } else { Side::Right };
            steps.push(Step { side, hash: hash(&step.hash)? });
        }
        assert_eq!(follow(hash(&certificate.leaf)?, &steps), hash(&version.root)?);
    }
    let first = &listed.certificates[0];
    let revoke = RevokeCertificateRequest {
        programme_id: SEASON.to_owned(),
        county_code: COUNTY.to_owned(),
        serial: 1,
        reason: "姓名有误".to_owned(),
        request_id: "R1".to_owned(),
    };
    ask!(clients, CertificateServiceClient, "assessment-decisions", revoke_certificate, revoke);
    assert_eq!(verify(&clients, &first.code).await?.status(), CertificateStatus::Revoked);
    let anew = issue("I2", &first.person_id);
    let anew = ask!(clients, CertificateServiceClient, "assessment-decisions", issue_certificates, anew);
    assert_eq!((anew.issued, anew.first_serial), (1, issued.issued + 1));

    // An appeal that is heard behind the end: a new version, by which somebody else passes.
    let who = ListTraineeScoresRequest {
        programme_id: SEASON.to_owned(),
        region_code: COUNTY.to_owned(),
        final_scores: true,
        ..ListTraineeScoresRequest::default()
    };
    let scores = ask!(clients, ScoreServiceClient, "assessment", list_trainee_scores, who).scores;
    let failed = scores.iter().find(|score| !score.passed).context("somebody who has not passed")?;
    for (item, points) in [("phase_1", 10), ("phase_2", 40), ("assignment", 30), ("seminar", 10)] {
        let request = AdjustItemRequest {
            programme_id: SEASON.to_owned(),
            person_id: failed.person_id.clone(),
            item: item.to_owned(),
            points,
            kind: AdjustmentKind::Appeal.into(),
            reason: "申诉成立".to_owned(),
            request_id: format!("A-{item}"),
            ..AdjustItemRequest::default()
        };
        ask!(clients, DecisionServiceClient, "assessment-decisions", adjust_item, request);
    }
    let request = FinaliseProgrammeRequest { request_id: "F2".to_owned(), ..finalise() };
    let begun = ask!(clients, FinalVersionServiceClient, "assessment-decisions", finalise_programme, request);
    let mut second = begun.version.context("a version")?;
    assert_eq!((second.version, second.r#final), (2, false));
    while !second.r#final {
        second = freeze(&clients, 2).await?;
    }
    assert_eq!((second.trainees, second.root != version.root), (version.trainees, true));
    let changed = |region_code: &str, (from_version, to_version)| ListScoreChangesRequest {
        programme_id: SEASON.to_owned(),
        from_version,
        to_version,
        region_code: region_code.to_owned(),
        page_size: 1,
        ..ListScoreChangesRequest::default()
    };
    let request = changed("", (1, 0));
    let changes =
        ask!(clients, FinalVersionServiceClient, "assessment-decisions", list_score_changes, request);
    let [change] = changes.changes.as_slice() else { anyhow::bail!("{changes:?}") };
    assert_eq!(
        (change.person_id.as_str(), changes.next_page_token.as_str()),
        (failed.person_id.as_str(), "")
    );
    let (old, new) = (change.old.as_ref().context("old")?, change.new.as_ref().context("new")?);
    assert_eq!((old.passed, old.total, new.passed), (false, failed.total, true));
    let gained: i32 = change.items.iter().map(|item| item.new_hundredths - item.old_hundredths).sum();
    assert_eq!(gained, (new.total - old.total) * 100);
    assert!(change.items.iter().all(|item| item.cause() == ScoreChangeCause::Decision), "{change:?}");
    let elsewhere = changed("130303", (1, 2));
    let elsewhere =
        ask!(clients, FinalVersionServiceClient, "assessment-decisions", list_score_changes, elsewhere);
    assert!(elsewhere.changes.is_empty() && elsewhere.next_page_token.is_empty(), "{elsewhere:?}");
    let appealed = ask!(
        clients,
        CertificateServiceClient,
        "assessment-decisions",
        issue_certificates,
        issue("I3", &failed.person_id)
    );
    assert_eq!(appealed.issued, 1, "who won the appeal");
    assert_eq!(freeze(&clients, 1).await?, version, "the version before is what it was");

    let forged = format!("{}A", &first.code[..first.code.len() - 1]);
    let forged = if forged == first.code { first.code.replace('A', "B") } else { forged };
    let answer = verify(&clients, &forged).await?;
    assert_eq!((answer.status(), answer.certificate), (CertificateStatus::Forged, None));
    suite.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn scores_are_frozen_over_a_restart_and_certified_on_sqlite() -> Result<()> {
    scores_are_frozen_over_a_restart_and_certified(Backend::Sqlite).await
}

#[tokio::test(flavor = "multi_thread")]
async fn scores_are_frozen_over_a_restart_and_certified_on_postgres() -> Result<()> {
    scores_are_frozen_over_a_restart_and_certified(Backend::Postgres).await
}

/// How often the process is killed while it freezes, and while it issues.
const KILLS: u64 = 6;

/// That it is open is said at each of many starts.
fn quiet(command: &mut Command) {
    command.env("SHIPEI_LOG", "error");
}

/// Asks, and kills the process a moment later, whatever it is doing; it starts anew on what is kept.
async fn killed<Answer>(
    place: &KeptState,
    process: Process,
    moment: Duration,
    asking: impl Future<Output = Answer>,
) -> Result<(Process, Clients, Option<Answer>)> {
    let answer = tokio::time::timeout(moment, asking).await.ok();
    drop(process);
    let process = Process::serve_with(&[], &place.storage, &[], &quiet)?;
    let clients = Clients::connect(std::slice::from_ref(&process.address), None).await?;
    Ok((process, clients, answer))
}

async fn kills_leave_one_version_and_one_certificate_each(backend: Backend) -> Result<()> {
    let place = KeptState::new(backend)?;
    let mut process = Process::serve_with(&[], &place.storage, &[], &quiet)?;
    let mut clients = Clients::connect(std::slice::from_ref(&process.address), None).await?;
    replay_and_compare(&clients, SEASON, &place.out("scores")).await?;
    let request = FinaliseProgrammeRequest {
        programme_id: SEASON.to_owned(),
        reason: "年度考核结束".to_owned(),
        request_id: "F1".to_owned(),
    };
    for kill in 0..KILLS {
        let (asked, request) = (clients.clone(), request.clone());
        let asking = async move {
            let client = FinalVersionServiceClient::new(asked.channel("assessment-decisions"));
            let begun = { client }.finalise_programme(asked.unary(request)).await;
            match begun {
                Ok(_) => freeze(&asked, 1).await.map(|_| ()),
                Err(status) => Err(status.into()),
            }
        };
        (process, clients, _) = killed(&place, process, Duration::from_millis(kill * 16), asking).await?;
    }
    let begun = ask!(clients, FinalVersionServiceClient, "assessment-decisions", finalise_programme, request);
    let mut version = begun.version.context("a version")?;
    assert_eq!(version.version, 1);
    while !version.r#final {
        version = freeze(&clients, 1).await?;
    }
    assert_eq!(shipei_store::crypto::hex(&version.root), ROOT);

    let issue = IssueCertificatesRequest {
        programme_id: SEASON.to_owned(),
        county_code: COUNTY.to_owned(),
        request_id: "I1".to_owned(),
        ..IssueCertificatesRequest::default()
    };
    for kill in 0..KILLS {
        let (asked, issue) = (clients.clone(), issue.clone());
        let asking = async move {
            let client = CertificateServiceClient::new(asked.channel("assessment-decisions"));
            { client }.issue_certificates(asked.unary(issue)).await
        };
        (process, clients, _) = killed(&place, process, Duration::from_millis(kill * 16), asking).await?;
    }
    let issued = ask!(clients, CertificateServiceClient, "assessment-decisions", issue_certificates, issue);
    let request =
        ListCertificatesRequest { programme_id: SEASON.to_owned(), ..ListCertificatesRequest::default() };
    let listed = ask!(clients, CertificateServiceClient, "assessment-decisions", list_certificates, request);
    let serials: Vec<i32> =
        listed.certificates.iter().filter_map(|one| one.certificate.as_ref()).map(|one| one.serial).collect();
    assert_eq!(
        serials,
        (1..=issued.issued).collect::<Vec<_>>(),
        "no number is left out, and none is given twice"
    );
    let people: BTreeSet<&str> = listed.certificates.iter().map(|one| one.person_id.as_str()).collect();
    assert_eq!(people.len(), serials.len(), "nobody has two");
    process.end()?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_leave_one_version_and_one_certificate_each_on_sqlite() -> Result<()> {
    kills_leave_one_version_and_one_certificate_each(Backend::Sqlite).await
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_leave_one_version_and_one_certificate_each_on_postgres() -> Result<()> {
    kills_leave_one_version_and_one_certificate_each(Backend::Postgres).await
}
