//! Who has two roles in two counties: each county reaches them in the role that they have there and in no other, and they themself act in
//! both with one token.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use shipei_contracts::{
    assessment::v1::{
        GetRecordRequest, GetTraineeScoreRequest, duty_service_client::DutyServiceClient,
        score_service_client::ScoreServiceClient,
    },
    common::v1::Role,
    decisions::v1::{
        ListAdjustmentsRequest, SubmitEvidenceRequest, decision_service_client::DecisionServiceClient,
        evidence_service_client::EvidenceServiceClient,
    },
    enrollment::v1::{
        CorrectPersonRequest, GetPersonRequest, RosterRow, WithdrawTraineeRequest,
        person_service_client::PersonServiceClient,
    },
};
use shipei_service_kit::status::reason_of;
use tonic::Request;

use super::world::{COUNTIES, World};
use crate::{
    harness::Backend,
    places::{END, ask, at, id, on_both},
    roles::{BOTH, enrol, give_class, trainee, tutor},
};

/// Calls an RPC with a token: its answer, or the reason of a refusal.
macro_rules! called {
    ($world:expr, $token:expr, $client:ident, $method:ident, $request:expr) => {{
        let mut request = Request::new($request);
        request.metadata_mut().insert("authorization", format!("Bearer {}", $token).parse()?);
        let answer = $client::new($world.channel.clone()).$method(request).await;
        answer.map(tonic::Response::into_inner).map_err(|status| reason_of(&status).unwrap_or_default())
    }};
}

async fn each_role_is_reached_where_it_is(backend: Backend) -> Result<()> {
    let world = World::begin(backend).await?;
    let clients = &world.clients;
    // A tutor of 海港, and a trainee of 容城 in L1.
    let there = RosterRow {
        county_code: COUNTIES[0].to_owned(),
        school_code: "S1".to_owned(),
        class_id: "L1".to_owned(),
        ..trainee()
    };
    assert_eq!(enrol(clients, vec![tutor(), there]).await?, (2, 0, 0));
    give_class(clients).await?;
    // By now assessment and assessment-decisions have learned of them.
    let request = GetTraineeScoreRequest { programme_id: id(), person_id: BOTH.to_owned(), as_of: at(END) };
    ask!(clients, ScoreServiceClient, "assessment", get_trainee_score, request);
    let request = ListAdjustmentsRequest { programme_id: id(), ..Default::default() };
    ask!(clients, DecisionServiceClient, "assessment-decisions", list_adjustments, request);
    let own = id();
    let token = |subject: &str, grants: &[Value]| world.token(subject, &[&own], grants);
    let counselor = |county: &str| json!({ "role": "county_counselor", "region": county });
    let themself = [json!({ "role": "trainee" }), json!({ "role": "class_tutor", "class": "L9" })];
    let here = token("K3", &[counselor(COUNTIES[2])])?;
    let there = token("K1", &[counselor(COUNTIES[0])])?;
    let elsewhere = token("K2", &[counselor(COUNTIES[1])])?;
    let both = token(BOTH, &themself)?;
    let person_id = || BOTH.to_owned();
    let programme_id = id;
    for (token, roles) in [
        (&here, "class_tutor"),
        (&there, "trainee"),
        (&elsewhere, "NOT_FOUND"),
        (&both, "trainee class_tutor"),
    ] {
        let request = GetPersonRequest { programme_id: programme_id(), person_id: person_id() };
        let found = match called!(world, token, PersonServiceClient, get_person, request) {
            Ok(answer) => {
                let people = answer.person.into_iter().chain(answer.other_roles);
                people.map(|person| person.role().word()).collect::<Vec<_>>().join(" ")
            }
            Err(reason) => reason,
        };
        assert_eq!(found, roles);
    }
    let as_of = at(END);
    for (token, score, record, record_as_trainee) in [
        (&here, "NOT_FOUND", "class_tutor", "NOT_FOUND"),
        (&there, "", "trainee", "trainee"),
        (&both, "", "ROLE_REQUIRED", "trainee"),
    ] {
        let request = GetTraineeScoreRequest { programme_id: programme_id(), person_id: person_id(), as_of };
        let found = called!(world, token, ScoreServiceClient, get_trainee_score, request).err();
        assert_eq!(found.unwrap_or_default(), score);
        for (role, expected) in [(Role::Unspecified, record), (Role::Trainee, record_as_trainee)] {
            let request = GetRecordRequest {
                programme_id: programme_id(),
                person_id: person_id(),
                as_of,
                role: role.into(),
            };
            let found = match called!(world, token, DutyServiceClient, get_record, request) {
                Ok(answer) => answer.record.context("a record")?.role().word().to_owned(),
                Err(reason) => reason,
            };
            assert_eq!(found, expected);
        }
    }
    // Writes: a county takes out its own trainee, and says what is taught by whoever is its own.
    let withdraw = |request_id: &str| WithdrawTraineeRequest {
        programme_id: programme_id(),
        person_id: person_id(),
        reason: "调离".to_owned(),
        request_id: request_id.to_owned(),
        ..Default::default()
    };
    let refused = called!(world, here, PersonServiceClient, withdraw_trainee, withdraw("Y1"));
    assert_eq!(refused.err().as_deref(), Some("NOT_FOUND"));
    let subject = |role: Role, request_id: &str| CorrectPersonRequest {
        programme_id: programme_id(),
        person_id: person_id(),
        subject: Some("数学".to_owned()),
        reason: "学科有误".to_owned(),
        role: role.into(),
        request_id: request_id.to_owned(),
        ..Default::default()
    };
    let refused = called!(world, here, PersonServiceClient, correct_person, subject(Role::Trainee, "Y2"));
    assert_eq!(refused.err().as_deref(), Some("NOT_FOUND"));
    let told = called!(world, here, PersonServiceClient, correct_person, subject(Role::Unspecified, "Y3"));
    let told = told.ok().context("their own tutor")?.person.unwrap_or_default();
    assert_eq!((told.role(), told.subject.as_str()), (Role::ClassTutor, "数学"));
    // The first grant that lets somebody in is not the only one.
    let evidence = SubmitEvidenceRequest {
        programme_id: programme_id(),
        person_id: person_id(),
        duty: "ASSESS-TUTOR-RECOMMEND".to_owned(),
        text: "推荐".to_owned(),
        about_person_ids: vec!["T3".to_owned()],
        request_id: "Y4".to_owned(),
        ..Default::default()
    };
    let told = called!(world, both, EvidenceServiceClient, submit_evidence, evidence.clone());
    assert_eq!(told.err(), None);
    let alone = token(BOTH, &themself[..1])?;
    let evidence = SubmitEvidenceRequest { request_id: "Y5".to_owned(), ..evidence };
    let refused = called!(world, alone, EvidenceServiceClient, submit_evidence, evidence);
    assert_eq!(refused.err().as_deref(), Some("NOT_PERMITTED"));
    let left = called!(world, there, PersonServiceClient, withdraw_trainee, withdraw("Y6"));
    assert!(left.is_ok());
    assert!(world.suite.stop().await);
    Ok(())
}

on_both! {
    each_role_is_reached_where_it_is,
}
