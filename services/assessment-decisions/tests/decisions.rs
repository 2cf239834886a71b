//! DecisionService through its client, on both databases.

#![expect(clippy::unwrap_used, reason = "an answer that is not as expected ends the test")]

mod support;

use shipei_certificates::{Certificate, Grounds, Hash, SigningKey};
use shipei_contracts::{
    common::v1::Correction,
    decisions::v1::{
        AdjustItemRequest, Adjustment, AdjustmentKind, ItemAdjusted, ListAdjustmentsRequest,
        ListCertificatesRequest, certificate_service_client::CertificateServiceClient,
        decision_service_client::DecisionServiceClient,
    },
    event::v1::{RetractRequest, correction_service_client::CorrectionServiceClient},
};
use shipei_store::execute;
use support::{PROGRAMME, World, at, on_both, reason, transfer, withdrawal};
use tonic::transport::Channel;

on_both!(
    adjustment_is_kept_told_and_sent_again_does_nothing,
    adjustments_are_refused_by_cause,
    retracted_adjustments_are_listed_only_when_asked_for,
    lists_come_in_pages_and_by_where_the_trainee_is_now,
    decisions_are_left_when_what_was_learned_is_forgotten,
    certificate_that_cannot_be_read_spoils_its_own_entry,
);

type Client = DecisionServiceClient<Channel>;

fn client(world: &World) -> Client {
    DecisionServiceClient::new(world.channel())
}

/// An item of a trainee counts as so many points, by the decision of this id and time.
fn adjust(request_id: &str, person_id: &str, (item, points): (&str, i32), when: &str) -> AdjustItemRequest {
    AdjustItemRequest {
        programme_id: PROGRAMME.to_owned(),
        person_id: person_id.to_owned(),
        item: item.to_owned(),
        points,
        kind: AdjustmentKind::Excuse.into(),
        reason: "住院，市级核准".to_owned(),
        expires_time: None,
        request_id: request_id.to_owned(),
        occurred_at: at(when),
        correction: None,
    }
}

async fn retract(world: &World, fact_id: &str) {
    let request = RetractRequest {
        source: shipei_assessment_decisions::NAME.to_owned(),
        programme_id: PROGRAMME.to_owned(),
        fact_id: fact_id.to_owned(),
        reason: "核准有误".to_owned(),
        ..Default::default()
    };
    CorrectionServiceClient::new(world.channel()).retract(request).await.unwrap();
}

async fn list(client: &mut Client, request: ListAdjustmentsRequest) -> Vec<Adjustment> {
    let request = ListAdjustmentsRequest { programme_id: PROGRAMME.to_owned(), ..request };
    client.list_adjustments(request).await.unwrap().into_inner().adjustments
}

fn ids(adjustments: &[Adjustment]) -> Vec<&str> {
    adjustments.iter().map(|adjustment| adjustment.fact_id.as_str()).collect()
}

async fn adjustment_is_kept_told_and_sent_again_does_nothing(world: World) {
    let mut client = client(&world);
    let request = AdjustItemRequest {
        expires_time: at("12-20T00:00:00"),
        ..adjust("D1", "T1", ("phase_2", 18), "11-20T10:00:00")
    };
    let first = client.adjust_item(request.clone()).await.unwrap().into_inner().adjustment.unwrap();
    assert_eq!(client.adjust_item(request).await.unwrap().into_inner().adjustment.unwrap(), first);
    let by = first.decided_by.clone();
    let expected = Adjustment {
        person_id: "T1".to_owned(),
        item: "phase_2".to_owned(),
        points: 18,
        max_points: 40,
        kind: AdjustmentKind::Excuse.into(),
        reason: "住院，市级核准".to_owned(),
        decided_time: at("11-20T10:00:00"),
        expires_time: at("12-20T00:00:00"),
        decided_by: by.clone(),
        number: 1,
        fact_id: "D1".to_owned(),
        retracted: false,
    };
    assert_eq!(first, expected);
    assert!(!by.is_empty());
    assert_eq!(list(&mut client, ListAdjustmentsRequest::default()).await, [expected]);
    let told = world.events::<ItemAdjusted>().await;
    let [(event, message)] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!(
        (event.region.as_str(), event.subject.as_str(), event.fact_id.as_str()),
        ("130302", "T1", "D1")
    );
    let expected = ItemAdjusted {
        programme_id: PROGRAMME.to_owned(),
        person_id: "T1".to_owned(),
        item: "phase_2".to_owned(),
        points: 18,
        kind: AdjustmentKind::Excuse.into(),
        expires_time: at("12-20T00:00:00"),
        number: 1,
    };
    assert_eq!(message, &expected, "the reason is no part of it");
}

async fn adjustments_are_refused_by_cause(world: World) {
    world.learn(&[withdrawal("T2", "11-01T00:00:00")]).await;
    let mut client = client(&world);
    let good = || adjust("", "T1", ("seminar", 10), "11-20T10:00:00");
    let number = "住院，身份证110101199003077758";
    for (request, expected) in [
        (AdjustItemRequest { person_id: "T9".to_owned(), ..good() }, "NOT_FOUND"),
        (AdjustItemRequest { person_id: "K1".to_owned(), ..good() }, "NOT_FOUND"),
        (AdjustItemRequest { programme_id: "Q9".to_owned(), ..good() }, "NOT_FOUND"),
        (AdjustItemRequest { person_id: "T2".to_owned(), ..good() }, "WITHDRAWN"),
        (AdjustItemRequest { item: "seminars".to_owned(), ..good() }, "INVALID_FIELD"),
        (AdjustItemRequest { item: "marking".to_owned(), ..good() }, "INVALID_FIELD"),
        (AdjustItemRequest { points: 11, ..good() }, "SCORE_OUT_OF_RANGE"),
        (AdjustItemRequest { points: -1, ..good() }, "SCORE_OUT_OF_RANGE"),
        (AdjustItemRequest { kind: 0, ..good() }, "INVALID_FIELD"),
        (AdjustItemRequest { kind: 9, ..good() }, "INVALID_FIELD"),
        (AdjustItemRequest { reason: " \u{3000}".to_owned(), ..good() }, "INVALID_FIELD"),
        (AdjustItemRequest { reason: number.to_owned(), ..good() }, "INVALID_FIELD"),
        (AdjustItemRequest { reason: "病".repeat(2_001), ..good() }, "TEXT_TOO_LONG"),
        (AdjustItemRequest { expires_time: at("11-20T10:00:00"), ..good() }, "INVALID_FIELD"),
    ] {
        assert_eq!(reason(client.adjust_item(request.clone()).await), expected, "{request:?}");
    }
    assert_eq!(list(&mut client, ListAdjustmentsRequest::default()).await, []);
}

async fn retracted_adjustments_are_listed_only_when_asked_for(world: World) {
    let mut client = client(&world);
    // One that falls before it comes, one behind it, and one that is corrected.
    retract(&world, "D1").await;
    for (id, points) in [("D1", 10), ("D2", 8), ("D3", 6)] {
        client.adjust_item(adjust(id, "T1", ("seminar", points), "11-20T10:00:00")).await.unwrap();
    }
    retract(&world, "D2").await;
    let correction = Some(Correction { fact_id: "D3".to_owned(), reason: "分值有误".to_owned() });
    let corrected = AdjustItemRequest { correction, ..adjust("D4", "T1", ("seminar", 7), "11-21T10:00:00") };
    client.adjust_item(corrected).await.unwrap();
    assert_eq!(ids(&list(&mut client, ListAdjustmentsRequest::default()).await), ["D4"]);
    let all = ListAdjustmentsRequest { with_retracted: true, ..Default::default() };
    let all = list(&mut client, all).await;
    assert_eq!(ids(&all), ["D1", "D2", "D3", "D4"]);
    assert_eq!(all.iter().map(|row| row.retracted).collect::<Vec<_>>(), [true, true, true, false]);
    assert_eq!(all.iter().map(|row| row.number).collect::<Vec<_>>(), [1, 2, 3, 4]);
}

async fn lists_come_in_pages_and_by_where_the_trainee_is_now(world: World) {
    let mut client = client(&world);
    for (id, person) in [("D1", "T1"), ("D2", "T1"), ("D3", "T2"), ("D4", "T3")] {
        client.adjust_item(adjust(id, person, ("offline", 6), "11-20T10:00:00")).await.unwrap();
    }
    world.learn(&[transfer("T2", "130303", "", "11-25T00:00:00")]).await;
    let mut request =
        ListAdjustmentsRequest { programme_id: PROGRAMME.to_owned(), page_size: 1, ..Default::default() };
    let mut found = Vec::new();
    loop {
        let page = client.list_adjustments(request.clone()).await.unwrap().into_inner();
        found.extend(page.adjustments);
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!(ids(&found), ["D1", "D2", "D3", "D4"]);
    let of = |region: &str| ListAdjustmentsRequest { region_code: region.to_owned(), ..Default::default() };
    assert_eq!(ids(&list(&mut client, of("130302")).await), ["D1", "D2"]);
    assert_eq!(ids(&list(&mut client, of("130303")).await), ["D3", "D4"]);
    assert_eq!(ids(&list(&mut client, of("130300")).await).len(), 4);
    let own = ListAdjustmentsRequest { person_id: "T2".to_owned(), ..Default::default() };
    assert_eq!(ids(&list(&mut client, own).await), ["D3"]);
    let other = ListAdjustmentsRequest {
        programme_id: PROGRAMME.to_owned(),
        page_token: request.page_token,
        ..Default::default()
    };
    let other = ListAdjustmentsRequest { with_retracted: true, ..other };
    assert_eq!(reason(client.list_adjustments(other).await), "INVALID_PAGE_TOKEN");
}

/// What `shipei relearn` does to this service.
async fn decisions_are_left_when_what_was_learned_is_forgotten(world: World) {
    let mut client = client(&world);
    client.adjust_item(adjust("D1", "T1", ("seminar", 10), "11-20T10:00:00")).await.unwrap();
    let before = list(&mut client, ListAdjustmentsRequest::default()).await;
    let kit = &world.kit.kit;
    let mut tx = kit.database().begin_write().await.unwrap();
    let tables = shipei_assessment_decisions::SERVICE.learned_tables();
    shipei_store::cursor::forget_learned(&mut tx, &tables).await.unwrap();
    tx.commit().await.unwrap();
    world.learn(&support::roster()).await;
    assert_eq!(list(&mut client, ListAdjustmentsRequest::default()).await, before);
    assert_eq!(world.events::<ItemAdjusted>().await.len(), 1);
}

/// A certificate of this serial number, sealed as the service seals it.
fn sealed(world: &World, serial: u32) -> Vec<u8> {
    let certificate = Certificate {
        number: format!("{PROGRAMME}-130302-{serial:06}").parse().unwrap(),
        name: "王小明".to_owned(),
        school: "文化里小学".to_owned(),
        county: "海港区".to_owned(),
        programme_title: "全员远程培训".to_owned(),
        year: 2019,
        education_stage: String::new(),
        subject: String::new(),
        credit_hours: None,
        total: 90,
        issued_on: "2019-12-31".parse().unwrap(),
        grounds: Grounds { version: 1, leaf_index: 0, leaf: Hash([1; 32]), root: Hash([2; 32]) },
    };
    let keys = world.kit.kit.keys();
    let code = SigningKey::from_seed(&keys.certificates()).unwrap().code(&certificate).unwrap();
    let context = format!("certificate\0{PROGRAMME}\0130302\0{serial}");
    keys.vault().seal(context.as_bytes(), code.as_bytes()).unwrap()
}

async fn certificate_that_cannot_be_read_spoils_its_own_entry(world: World) {
    let mut tx = world.kit.kit.database().begin_write().await.unwrap();
    // The second is the first one's, put into another row.
    for (serial, person, sealed) in
        [(1_i64, "T1", sealed(&world, 1)), (2, "T2", sealed(&world, 1)), (3, "T3", sealed(&world, 3))]
    {
        execute!(
            tx,
            "INSERT INTO certificate (programme_id, county_code, serial, person_id, class_id, version, sealed_code, issued_at, \
             actor, revoke_reason, revoke_actor) VALUES ($1, '130302', $2, $3, '', 1, $4, $5, 'test', '', '')",
            PROGRAMME,
            serial,
            person,
            sealed,
            chrono::DateTime::UNIX_EPOCH
        )
        .unwrap();
    }
    tx.commit().await.unwrap();
    let mut client = CertificateServiceClient::new(world.channel());
    for page_size in [0, 1, 2] {
        let (mut serials, mut broken, mut page_token) = (Vec::new(), Vec::new(), String::new());
        loop {
            let asked = ListCertificatesRequest {
                programme_id: PROGRAMME.to_owned(),
                page_size,
                page_token,
                ..Default::default()
            };
            let page = client.list_certificates(asked).await.unwrap().into_inner();
            let certificates = page.certificates.into_iter().filter_map(|issued| issued.certificate);
            serials.extend(certificates.map(|certificate| certificate.serial));
            broken.extend(page.broken.into_iter().map(|row| (row.key, row.table, row.column)));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        let expected = ("130302-2".to_owned(), "certificate".to_owned(), "sealed_code".to_owned());
        assert_eq!((serials, broken), (vec![1, 3], vec![expected]), "pages of {page_size}");
    }
}
