//! Two roles of one person beside each other: in lists, in merges, and in one class.

use anyhow::Result;
use shipei_contracts::{
    assignment::v1::{ListMarkingRequest, assignment_service_client::AssignmentServiceClient},
    common::v1::Role,
    enrollment::v1::{self as enrollment, person_service_client::PersonServiceClient},
};

use super::{
    BOTH, HAIGANG, active, assignment, do_all, enrol, give_class, login, record, review, submit, trainee,
    transfer, tutor, until,
};
use crate::harness::{Backend, KeptState, digest, embedded};
use crate::places::{ask, at, id, identity_number, marking, on_both, populate, retract};

/// Lists have each role once, page by page, and a merge is of the role that both ids have alone.
async fn lists_and_merges_know_the_role(backend: Backend) -> Result<()> {
    let place = KeptState::new(backend)?;
    let (suite, clients) = embedded(&place).await?;
    populate(&clients).await?;
    enrol(&clients, vec![tutor(), trainee()]).await?;
    login(&clients, BOTH).await?;
    do_all(&clients).await?;
    until(&clients, "30").await?;
    let (mut people, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = enrollment::ListPeopleRequest {
            programme_id: id(),
            region_code: HAIGANG.to_owned(),
            page_size: 1,
            page_token,
            ..Default::default()
        };
        let page = ask!(clients, PersonServiceClient, "enrollment", list_people, request);
        people.extend(page.people.into_iter().map(|one| format!("{} {}", one.person_id, one.role().word())));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    let expected = ["K3 county_counselor", "T3 trainee", "U3 class_tutor", "W1 class_tutor", "W1 trainee"];
    assert_eq!(people, expected);
    let request = enrollment::FindPersonsRequest {
        programme_id: id(),
        id_number: identity_number(91),
        ..Default::default()
    };
    let found = ask!(clients, PersonServiceClient, "enrollment", find_persons, request).persons;
    assert_eq!(found.len(), 2);

    let before = digest(&clients, &id()).await?;
    let merge = enrollment::MergePersonsRequest {
        programme_id: id(),
        person_id: "T3".to_owned(),
        merged_id: BOTH.to_owned(),
        reason: "同一人".to_owned(),
        request_id: "G1".to_owned(),
        ..Default::default()
    };
    ask!(clients, PersonServiceClient, "enrollment", merge_persons, merge);
    assert_eq!(assignment(&clients).await?, "PERSON_MERGED");
    assert_eq!((marking(&clients, BOTH).await?, active(&clients).await?), (60, 1));
    assert_eq!(record(&clients, Role::ClassTutor).await?, "class_tutor logged in");
    assert_eq!(record(&clients, Role::Trainee).await?, "PERSON_MERGED");
    retract(&clients, "G1").await?;
    until(&clients, "30").await?;
    assert_eq!(digest(&clients, &id()).await?, before);
    assert!(suite.stop().await);
    Ok(())
}

/// Who is a trainee of their own class marks everybody's work but their own, and owes nobody that.
async fn nobody_marks_their_own_work(backend: Backend) -> Result<()> {
    let place = KeptState::new(backend)?;
    let (suite, clients) = embedded(&place).await?;
    populate(&clients).await?;
    enrol(&clients, vec![tutor(), trainee()]).await?;
    login(&clients, BOTH).await?;
    give_class(&clients).await?;
    transfer(&clients, BOTH, "L9", "2019-10-05T00:00:00Z").await?;
    submit(&clients, "A9").await?;
    assert_eq!(review(&clients, BOTH, "A9").await?, "NOT_CLASS_TUTOR");
    let waiting = async || -> Result<Vec<String>> {
        let request = ListMarkingRequest {
            programme_id: id(),
            tutor_id: BOTH.to_owned(),
            as_of: at("2019-11-24T00:00:00Z"),
            ..Default::default()
        };
        let mut client = AssignmentServiceClient::new(clients.channel("assignment-grading"));
        let items = client.list_marking(clients.unary(request)).await?.into_inner().items;
        Ok(items.into_iter().filter_map(|item| Some(item.submission?.submission_id)).collect())
    };
    assert_eq!(waiting().await?, ["A3"]);
    assert_eq!(review(&clients, BOTH, "A3").await?, "");
    until(&clients, "0").await?;
    for _ in 0..200 {
        if marking(&clients, BOTH).await? == 60 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(marking(&clients, BOTH).await?, 60);
    // Whose class they never were in by what is known now marks it, and it counts.
    retract(&clients, "W1-L9").await?;
    assert_eq!(review(&clients, "U3", "A9").await?, "");
    until(&clients, "30").await?;
    assert!(suite.stop().await);
    Ok(())
}

on_both! {
    lists_and_merges_know_the_role,
    nobody_marks_their_own_work,
}
