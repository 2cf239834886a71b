//! One person with two roles under one id, through the public API of all services: a class tutor who is also a trainee. Each role is
//! enrolled, judged, corrected, left and removed by itself; name, number, log-in and training are the person's.

mod beside;

use anyhow::{Context as _, Result, ensure};
use shipei::suite::forget_learned;
use shipei_client::client::{Clients, SERVICES};
use shipei_contracts::{
    assessment::v1::{
        GetCountyScoreRequest, GetRecordRequest, GetTraineeScoreRequest,
        duty_service_client::DutyServiceClient, score_service_client::ScoreServiceClient,
    },
    assignment::v1::{Grade, ReviewSubmissionRequest, assignment_service_client::AssignmentServiceClient},
    common::v1::Role,
    enrollment::v1::{
        self as enrollment, ImportRosterResponse, RosterRow, import_roster_request::Part,
        person_service_client::PersonServiceClient, region_service_client::RegionServiceClient,
    },
};
use shipei_service_kit::status::reason_of;
use shipei_store::PoolLimits;

use crate::harness::{Backend, KeptState, digest, embedded};
use crate::places::{self, END, ask, at, id, identity_number, marking, on_both, populate, retract};

const HAIGANG: &str = "130302";
/// Who has two roles.
pub(crate) const BOTH: &str = "W1";

/// W1 as a class tutor.
pub(crate) fn tutor() -> RosterRow {
    RosterRow {
        person_id: BOTH.to_owned(),
        name: "双任".to_owned(),
        id_number: identity_number(91),
        role: "class_tutor".to_owned(),
        county_code: HAIGANG.to_owned(),
        ..RosterRow::default()
    }
}

/// W1 as a trainee of U3's class.
pub(crate) fn trainee() -> RosterRow {
    RosterRow {
        role: "trainee".to_owned(),
        school_code: "S3".to_owned(),
        education_stage: "compulsory".to_owned(),
        subject: "语文".to_owned(),
        class_id: "L3".to_owned(),
        ..tutor()
    }
}

async fn import(clients: &Clients, rows: Vec<RosterRow>, dry_run: bool) -> Result<ImportRosterResponse> {
    let parts = [
        Part::Header(enrollment::RosterHeader { programme_id: id(), dry_run, ..Default::default() }),
        Part::Rows(enrollment::RosterRows { rows }),
    ];
    let messages = parts.map(|part| enrollment::ImportRosterRequest { part: Some(part) });
    let mut people = PersonServiceClient::new(clients.channel("enrollment"));
    let taken = people.import_roster(clients.request(tokio_stream::iter(messages))).await?;
    clients.note(&taken);
    Ok(taken.into_inner())
}

/// Imports rows: how many are new, the same and refused.
pub(crate) async fn enrol(clients: &Clients, rows: Vec<RosterRow>) -> Result<(i32, i32, i32)> {
    let rehearsed = import(clients, rows.clone(), true).await?;
    let taken = import(clients, rows, false).await?;
    let counts = |answer: &ImportRosterResponse| (answer.created, answer.unchanged, answer.rejected);
    ensure!(counts(&rehearsed) == counts(&taken), "rehearsed {rehearsed:?}, taken {taken:?}");
    Ok(counts(&taken))
}

async fn login(clients: &Clients, person: &str) -> Result<()> {
    let login = enrollment::RecordLoginRequest {
        programme_id: id(),
        person_id: person.to_owned(),
        request_id: format!("login-{person}"),
        occurred_at: at("2019-09-12T00:00:00Z"),
        ..Default::default()
    };
    ask!(clients, PersonServiceClient, "enrollment", record_login, login);
    Ok(())
}

/// L9, which W1 has, with T3 in it from October on.
pub(crate) async fn give_class(clients: &Clients) -> Result<()> {
    let class = enrollment::CreateClassRequest {
        programme_id: id(),
        class_id: "L9".to_owned(),
        region_code: "130300".to_owned(),
        tutor_id: BOTH.to_owned(),
        ..Default::default()
    };
    ask!(clients, RegionServiceClient, "enrollment", create_class, class);
    transfer(clients, "T3", "L9", "2019-10-01T00:00:00Z").await
}

async fn transfer(clients: &Clients, person: &str, class: &str, when: &str) -> Result<()> {
    let moved = enrollment::TransferTraineeRequest {
        programme_id: id(),
        person_id: person.to_owned(),
        class_id: class.to_owned(),
        request_id: format!("{person}-{class}"),
        occurred_at: at(when),
        ..Default::default()
    };
    ask!(clients, PersonServiceClient, "enrollment", transfer_trainee, moved);
    Ok(())
}

/// W1's work.
async fn submit(clients: &Clients, submission_id: &str) -> Result<()> {
    places::submit(clients, BOTH, submission_id, "2019-11-20T00:00:00Z").await
}

/// Reviews a submission; the reason, if it is refused.
async fn review(clients: &Clients, tutor: &str, submission_id: &str) -> Result<String> {
    let review = ReviewSubmissionRequest {
        programme_id: id(),
        tutor_id: tutor.to_owned(),
        submission_id: submission_id.to_owned(),
        grade: Grade::Excellent.into(),
        comment: "好".to_owned(),
        occurred_at: at("2019-11-25T00:00:00Z"),
        ..Default::default()
    };
    let mut client = AssignmentServiceClient::new(clients.channel("assignment-grading"));
    match client.review_submission(clients.unary(review)).await {
        Ok(response) => {
            clients.note(&response);
            Ok(String::new())
        }
        Err(status) => Ok(reason_of(&status).unwrap_or_default()),
    }
}

/// What W1 does in both roles, who has a class of their own and is in another's.
async fn do_all(clients: &Clients) -> Result<()> {
    give_class(clients).await?;
    submit(clients, "A9").await?;
    ensure!(review(clients, "U3", "A9").await?.is_empty());
    ensure!(review(clients, BOTH, "A3").await?.is_empty());
    Ok(())
}

/// What W1's assignment counts as a trainee, or the reason why they have no score.
async fn assignment(clients: &Clients) -> Result<String> {
    let request = GetTraineeScoreRequest { programme_id: id(), person_id: BOTH.to_owned(), as_of: at(END) };
    let mut client = ScoreServiceClient::new(clients.channel("assessment"));
    match client.get_trainee_score(clients.unary(request)).await {
        Ok(answer) if answer.get_ref().withdrawn => Ok("withdrawn".to_owned()),
        Ok(answer) => {
            let items = answer.into_inner().score.unwrap_or_default().items;
            let item = items.iter().find(|item| item.name == "assignment").context("an assignment")?;
            Ok((item.hundredths / 100).to_string())
        }
        Err(status) => Ok(reason_of(&status).unwrap_or_default()),
    }
}

/// Waits until W1's assignment counts as expected: marks reach assessment by assignment-grading, which no token of enrollment waits for.
async fn until(clients: &Clients, expected: &str) -> Result<()> {
    let mut found = String::new();
    for _ in 0..200 {
        found = assignment(clients).await?;
        if found == expected {
            return Ok(());
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    ensure!(found == expected, "{found}, and not {expected}");
    Ok(())
}

async fn active(clients: &Clients) -> Result<i32> {
    let request =
        GetCountyScoreRequest { programme_id: id(), county_code: HAIGANG.to_owned(), as_of: at(END) };
    let score = ask!(clients, ScoreServiceClient, "assessment", get_county_score, request).score;
    Ok(score.unwrap_or_default().active_trainees)
}

/// W1 in each role: role, name, the end of the number, subject, class, whether they logged in, whether they left.
async fn shown(clients: &Clients) -> Result<Vec<String>> {
    let request = enrollment::GetPersonRequest { programme_id: id(), person_id: BOTH.to_owned() };
    let answer = ask!(clients, PersonServiceClient, "enrollment", get_person, request);
    let roles = answer.person.into_iter().chain(answer.other_roles);
    Ok(roles
        .map(|person| {
            let number = person.masked_identity_number.clone();
            let end: String = number.chars().skip(number.chars().count().saturating_sub(2)).collect();
            let login = if person.login_time.is_some() { "in" } else { "" };
            let left = if person.withdrawn_time.is_some() { "left" } else { "" };
            let words =
                [person.role().word(), &person.name, &end, &person.subject, &person.class_id, login, left];
            words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
        })
        .collect())
}

/// The last two characters of an identity number.
fn end_of(number: usize) -> String {
    identity_number(number).split_off(16)
}

/// W1's record in a role: what role it is of, and how many duties are done; or the reason of a refusal.
async fn record(clients: &Clients, role: Role) -> Result<String> {
    let request = GetRecordRequest {
        programme_id: id(),
        person_id: BOTH.to_owned(),
        as_of: at(END),
        role: role.into(),
    };
    let mut client = DutyServiceClient::new(clients.channel("assessment"));
    match client.get_record(clients.unary(request)).await {
        Ok(answer) => {
            let record = answer.into_inner().record.unwrap_or_default();
            let login = record.duties.iter().find(|duty| duty.code.contains("LOGIN"));
            let login = login.map_or("", |duty| if duty.done_time.is_some() { " logged in" } else { " not" });
            Ok(format!("{}{login}", record.role().word()))
        }
        Err(status) => Ok(reason_of(&status).unwrap_or_default()),
    }
}

fn correction(fact_id: &str) -> enrollment::CorrectPersonRequest {
    enrollment::CorrectPersonRequest {
        programme_id: id(),
        person_id: BOTH.to_owned(),
        reason: "登记有误".to_owned(),
        request_id: fact_id.to_owned(),
        ..Default::default()
    }
}

/// Corrects W1; the reason, if it is refused.
async fn correct(clients: &Clients, request: enrollment::CorrectPersonRequest) -> Result<String> {
    let mut client = PersonServiceClient::new(clients.channel("enrollment"));
    match client.correct_person(clients.unary(request)).await {
        Ok(response) => {
            clients.note(&response);
            Ok(String::new())
        }
        Err(status) => Ok(reason_of(&status).unwrap_or_default()),
    }
}

/// Removes W1 from a role; the reason, if it is refused.
async fn remove(clients: &Clients, role: Role, fact_id: &str) -> Result<String> {
    let request = enrollment::RemovePersonRequest {
        programme_id: id(),
        person_id: BOTH.to_owned(),
        reason: "误报".to_owned(),
        role: role.into(),
        request_id: fact_id.to_owned(),
        ..Default::default()
    };
    let mut client = PersonServiceClient::new(clients.channel("enrollment"));
    match client.remove_person(clients.unary(request)).await {
        Ok(response) => {
            clients.note(&response);
            Ok(String::new())
        }
        Err(status) => Ok(reason_of(&status).unwrap_or_default()),
    }
}

/// Either role first, or both in one file, and the log-in before the second one: each is judged, and every score is the same.
async fn roles_are_enrolled_in_any_order(backend: Backend) -> Result<()> {
    let mut digests = Vec::new();
    for first in [vec![tutor()], vec![trainee()], vec![tutor(), trainee()]] {
        let place = KeptState::new(backend)?;
        let (suite, clients) = embedded(&place).await?;
        populate(&clients).await?;
        let count = i32::try_from(first.len())?;
        ensure!(enrol(&clients, first.clone()).await? == (count, 0, 0));
        ensure!(enrol(&clients, first).await? == (0, count, 0));
        login(&clients, BOTH).await?;
        let rows = vec![trainee(), tutor()];
        ensure!(enrol(&clients, rows.clone()).await? == (2 - count, count, 0));
        ensure!(enrol(&clients, rows).await? == (0, 2, 0));
        do_all(&clients).await?;
        until(&clients, "30").await?;
        assert_eq!((marking(&clients, BOTH).await?, marking(&clients, "U3").await?), (60, 60));
        assert_eq!(active(&clients).await?, 2);
        let number = end_of(91);
        let both = [format!("trainee 双任 {number} 语文 L3 in"), format!("class_tutor 双任 {number} in")];
        assert_eq!(shown(&clients).await?, both);
        assert_eq!(record(&clients, Role::Unspecified).await?, "ROLE_REQUIRED");
        for role in [Role::Trainee, Role::ClassTutor] {
            assert_eq!(record(&clients, role).await?, format!("{} logged in", role.word()));
        }
        assert_eq!(record(&clients, Role::SubjectExpert).await?, "NOT_FOUND");
        let whole = digest(&clients, &id()).await?;
        digests.push(whole.clone());
        assert!(suite.stop().await);
        if digests.len() == 3 {
            // Everybody learns everything anew, in the order of partitions.
            for service in SERVICES {
                forget_learned(service, &place.storage, PoolLimits::default()).await?;
            }
            let (suite, clients) = embedded(&place).await?;
            until(&clients, "30").await?;
            let mut learned = String::new();
            for _ in 0..200 {
                learned = digest(&clients, &id()).await?;
                if learned == whole {
                    break;
                }
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
            assert_eq!(learned, whole);
            assert!(suite.stop().await);
        }
    }
    digests.dedup();
    assert_eq!(digests.len(), 1, "{digests:?}");
    Ok(())
}

/// One role goes, the other stays as it was.
async fn each_role_is_left_and_removed_by_itself(backend: Backend) -> Result<()> {
    let place = KeptState::new(backend)?;
    let (suite, clients) = embedded(&place).await?;
    populate(&clients).await?;
    enrol(&clients, vec![tutor(), trainee()]).await?;
    login(&clients, BOTH).await?;
    do_all(&clients).await?;
    until(&clients, "30").await?;
    let (whole, number) = (digest(&clients, &id()).await?, end_of(91));
    let (as_trainee, as_tutor) =
        (format!("trainee 双任 {number} 语文 L3 in"), format!("class_tutor 双任 {number} in"));

    assert_eq!(remove(&clients, Role::Unspecified, "X0").await?, "ROLE_REQUIRED");
    assert_eq!(remove(&clients, Role::SubjectExpert, "X9").await?, "NOT_FOUND");
    assert_eq!(remove(&clients, Role::Trainee, "X1").await?, "");
    assert_eq!(assignment(&clients).await?, "NOT_FOUND");
    assert_eq!((marking(&clients, BOTH).await?, active(&clients).await?), (60, 1));
    assert_eq!(shown(&clients).await?, [as_tutor.as_str()]);
    assert_eq!(record(&clients, Role::Unspecified).await?, "class_tutor logged in");
    // The row of the role that is removed is refused, the other one is the same.
    assert_eq!(enrol(&clients, vec![tutor(), trainee()]).await?, (0, 1, 1));
    retract(&clients, "X1").await?;
    until(&clients, "30").await?;
    assert_eq!(digest(&clients, &id()).await?, whole);

    assert_eq!(remove(&clients, Role::ClassTutor, "X2").await?, "");
    assert_eq!((assignment(&clients).await?.as_str(), marking(&clients, BOTH).await.is_err()), ("30", true));
    assert_eq!(shown(&clients).await?, [as_trainee.as_str()]);
    retract(&clients, "X2").await?;
    until(&clients, "30").await?;
    assert_eq!((marking(&clients, BOTH).await?, digest(&clients, &id()).await?), (60, whole.clone()));

    let leave = enrollment::RecordDepartureRequest {
        programme_id: id(),
        person_id: BOTH.to_owned(),
        reason: "离岗".to_owned(),
        request_id: "D1".to_owned(),
        occurred_at: at("2019-11-24T00:00:00Z"),
        ..Default::default()
    };
    ask!(clients, PersonServiceClient, "enrollment", record_departure, leave);
    assert_eq!(shown(&clients).await?, [as_trainee.clone(), format!("{as_tutor} left")]);
    assert_eq!(review(&clients, BOTH, "A3").await?, "WITHDRAWN");
    assert_eq!((assignment(&clients).await?.as_str(), active(&clients).await?), ("30", 2));
    retract(&clients, "D1").await?;

    let withdraw = enrollment::WithdrawTraineeRequest {
        programme_id: id(),
        person_id: BOTH.to_owned(),
        reason: "调离".to_owned(),
        request_id: "W1".to_owned(),
        occurred_at: at("2019-11-24T00:00:00Z"),
        ..Default::default()
    };
    ask!(clients, PersonServiceClient, "enrollment", withdraw_trainee, withdraw);
    assert_eq!(shown(&clients).await?, [format!("{as_trainee} left"), as_tutor]);
    assert_eq!(review(&clients, BOTH, "A3").await?, "");
    assert_eq!((assignment(&clients).await?.as_str(), active(&clients).await?), ("withdrawn", 1));
    assert_eq!(marking(&clients, BOTH).await?, 60);
    retract(&clients, "W1").await?;
    until(&clients, "30").await?;
    assert!(suite.stop().await);
    Ok(())
}

/// Name and number are the person's, whichever role is enrolled or put right first; what is taught is the role's.
async fn name_and_number_are_the_persons(backend: Backend) -> Result<()> {
    let place = KeptState::new(backend)?;
    let (suite, clients) = embedded(&place).await?;
    populate(&clients).await?;
    enrol(&clients, vec![trainee()]).await?;
    // Another number or name is another person's.
    let other = RosterRow { id_number: identity_number(92), ..tutor() };
    let named = RosterRow { name: "另一人".to_owned(), ..tutor() };
    assert_eq!(enrol(&clients, vec![other, named]).await?, (0, 0, 2));
    let (number, right) = (end_of(91), end_of(93));
    let wanted = enrollment::CorrectPersonRequest {
        name: Some("双任甲".to_owned()),
        id_number: Some(identity_number(93)),
        ..correction("C1")
    };
    assert_eq!(correct(&clients, wanted).await?, "");
    // The second role comes as it was written, and stands as it is put right.
    assert_eq!(enrol(&clients, vec![tutor()]).await?, (1, 0, 0));
    let as_right = [format!("trainee 双任甲 {right} 语文 L3"), format!("class_tutor 双任甲 {right}")];
    assert_eq!(shown(&clients).await?, as_right);
    let put_right =
        |row: RosterRow| RosterRow { name: "双任甲".to_owned(), id_number: identity_number(93), ..row };
    let rows = vec![trainee(), tutor(), put_right(trainee()), put_right(tutor())];
    assert_eq!(enrol(&clients, rows).await?, (0, 4, 0));
    // The same number and name under another id is refused in either role, unless it is meant.
    let twice = |row: RosterRow| RosterRow { person_id: "W2".to_owned(), ..put_right(row) };
    assert_eq!(enrol(&clients, vec![twice(trainee()), twice(tutor())]).await?, (0, 0, 2));

    let subject = |role: Role, fact_id: &str| enrollment::CorrectPersonRequest {
        subject: Some("数学".to_owned()),
        role: role.into(),
        ..correction(fact_id)
    };
    assert_eq!(correct(&clients, subject(Role::Unspecified, "C2")).await?, "ROLE_REQUIRED");
    assert_eq!(correct(&clients, subject(Role::ClassTutor, "C3")).await?, "");
    let tutors = format!("class_tutor 双任甲 {right} 数学");
    assert_eq!(shown(&clients).await?, [as_right[0].as_str(), &tutors]);
    assert_eq!(enrol(&clients, vec![trainee(), tutor()]).await?, (0, 2, 0));
    retract(&clients, "C1").await?;
    let as_written = [format!("trainee 双任 {number} 语文 L3"), format!("class_tutor 双任 {number} 数学")];
    assert_eq!(shown(&clients).await?, as_written);
    retract(&clients, "C3").await?;
    assert_eq!(shown(&clients).await?[1], format!("class_tutor 双任 {number}"));
    // A number of somebody else in the one role or the other.
    let twin = RosterRow { person_id: "W3".to_owned(), id_number: identity_number(94), ..tutor() };
    assert_eq!(enrol(&clients, vec![twin]).await?, (1, 0, 0));
    let same = enrollment::CorrectPersonRequest { id_number: Some(identity_number(94)), ..correction("C4") };
    assert_eq!(correct(&clients, same).await?, "ALREADY_EXISTS");
    assert!(suite.stop().await);
    Ok(())
}

on_both! {
    roles_are_enrolled_in_any_order,
    each_role_is_left_and_removed_by_itself,
    name_and_number_are_the_persons,
}
