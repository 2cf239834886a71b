//! Who is shown an identity number whole: who has the right to it, in a role that reports it, within reach; and it is told.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use shipei_contracts::{
    enrollment::v1::{UnmaskPersonRequest, person_service_client::PersonServiceClient},
    event::v1::{AuditKind, ListAuditRequest, audit_service_client::AuditServiceClient},
};
use tonic::{Code, Request};

use super::world::{COUNTIES, World};
use crate::{harness::Backend, places::id};

async fn number_is_shown_to_who_reports_it_and_told(backend: Backend) -> Result<()> {
    let world = World::begin(backend).await?;
    let own = id();
    let bearing = |subject: &str, grant: Value| -> Result<_> {
        Ok(format!("Bearer {}", world.token(subject, &[&own], &[grant])?).parse()?)
    };
    let counselor = |county: &str, unmasked: bool| json!({ "role": "county_counselor", "region": county, "unmasked": unmasked });
    for (subject, grant, expected) in [
        ("K1", counselor(COUNTIES[0], true), Code::Ok),
        ("K1", counselor(COUNTIES[0], false), Code::PermissionDenied),
        ("K3", counselor(COUNTIES[2], true), Code::NotFound),
        ("U1", json!({ "role": "class_tutor", "class": "L1", "unmasked": true }), Code::PermissionDenied),
        ("T1", json!({ "role": "trainee", "unmasked": true }), Code::PermissionDenied),
        ("P1", json!({ "role": "province", "unmasked": true }), Code::Ok),
    ] {
        let asked = UnmaskPersonRequest { programme_id: own.clone(), person_id: "T1".to_owned() };
        let mut request = Request::new(asked);
        request.metadata_mut().insert("authorization", bearing(subject, grant.clone())?);
        let answer = PersonServiceClient::new(world.channel.clone()).unmask_person(request).await;
        match answer {
            Ok(answer) => {
                let answer = answer.into_inner();
                let masked = answer.person.context("a person")?.masked_identity_number;
                assert_eq!((expected, answer.identity_number.len()), (Code::Ok, 18), "{grant}");
                assert!(masked.contains('*') && masked.starts_with(&answer.identity_number[..3]));
            }
            Err(status) => assert_eq!(status.code(), expected, "{grant}: {status}"),
        }
    }
    let mut request = Request::new(ListAuditRequest {
        source: "enrollment".to_owned(),
        programme_id: own.clone(),
        kind: AuditKind::Unmasked.into(),
        ..ListAuditRequest::default()
    });
    let institution = bearing("I1", json!({ "role": "training_institution" }))?;
    request.metadata_mut().insert("authorization", institution);
    let listed = AuditServiceClient::new(world.channel.clone()).list_audit(request).await?.into_inner();
    let told: Vec<(&str, &str, &str)> = listed
        .entries
        .iter()
        .map(|entry| (entry.actor.as_str(), entry.address.as_str(), entry.region_code.as_str()))
        .collect();
    let counselor = format!("county_counselor:K1@{}", COUNTIES[0]);
    assert_eq!(
        told,
        [(counselor.as_str(), "127.0.0.1", COUNTIES[0]), ("province:P1", "127.0.0.1", COUNTIES[0])]
    );
    assert!(world.suite.stop().await);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn number_is_shown_to_who_reports_it_and_told_on_sqlite() -> Result<()> {
    number_is_shown_to_who_reports_it_and_told(Backend::Sqlite).await
}

#[tokio::test(flavor = "multi_thread")]
async fn number_is_shown_to_who_reports_it_and_told_on_postgres() -> Result<()> {
    number_is_shown_to_who_reports_it_and_told(Backend::Postgres).await
}
