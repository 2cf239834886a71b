//! Adjustments with the longest reasons.

use shipei_contracts::{
    decisions::v1::{
        AdjustItemRequest, AdjustmentKind, FinalItem, FinalScore, GetCertificateKeyRequest,
        ListAdjustmentsRequest, ListCertificatesRequest, ListEvidenceRequest, ListFinalVersionsRequest,
        ListScoreChangesRequest, SendBackEvidenceRequest, SubmitEvidenceRequest,
        certificate_service_client::CertificateServiceClient, decision_service_client::DecisionServiceClient,
        evidence_service_client::EvidenceServiceClient,
        final_version_service_client::FinalVersionServiceClient,
    },
    services::ASSESSMENT_DECISIONS as NAME,
};
use shipei_mirror::testing::{PROGRAMME, World, at};
use shipei_service_kit::prost::Message as _;
use shipei_store::execute;

use super::{MESSAGE_BYTES_MAX, Tried, walk, world};
use crate::machine::roster::roster;

/// The most characters of a reason, of four bytes each.
const REASON_MAX: usize = 2_000;
/// More than one page can hold; no trainee has more in a day.
const MANY: usize = 1_000;

/// Two final versions of a class, in which everybody's score has as many items as no scheme has and differs.
async fn freeze_long_scores(world: &World) {
    let mut tx = world.kit.kit.database().begin_write().await.unwrap();
    let now = chrono::DateTime::UNIX_EPOCH;
    for version in [1_i64, 2] {
        execute!(
            tx,
            "INSERT INTO final_version (programme_id, version, as_of, scheme_version, scores_digest, trainees, frozen, next_page, \
             root, signature, reason, actor, begun_at, final_at) VALUES ($1, $2, $3, 1, '', 0, 0, '', $4, $4, '', '', $3, $3)",
            PROGRAMME,
            version,
            now,
            Vec::<u8>::new()
        )
        .unwrap();
        let hash = vec![u8::try_from(version).unwrap(); 32];
        execute!(
            tx,
            "INSERT INTO final_class (programme_id, version, city_code, county_code, class_id, hash, first_index) \
             VALUES ($1, $2, '130300', '130302', 'C1', $3, 0)",
            PROGRAMME,
            version,
            &hash
        )
        .unwrap();
        let item = |number: usize| FinalItem {
            name: format!("{number:064}"),
            hundredths: i32::try_from(version).unwrap(),
            reason: "R".repeat(64),
            computed_hundredths: None,
        };
        for number in 0..MANY {
            let person_id = format!("T{number:04}");
            let items = (0..50).map(item).collect();
            let score = FinalScore { person_id: person_id.clone(), items, ..FinalScore::default() };
            execute!(
                tx,
                "INSERT INTO final_score (programme_id, version, person_id, city_code, county_code, class_id, total, passed, \
                 score, leaf) VALUES ($1, $2, $3, '130300', '130302', 'C1', 0, FALSE, $4, $5)",
                PROGRAMME,
                version,
                &person_id,
                score.encode_to_vec(),
                &hash
            )
            .unwrap();
        }
    }
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn answers_with_the_longest_texts_can_be_sent() {
    let world = world(NAME, &roster()).await;
    let mut client = DecisionServiceClient::new(world.channel()).max_decoding_message_size(MESSAGE_BYTES_MAX);
    for number in 0..MANY {
        let request = AdjustItemRequest {
            programme_id: PROGRAMME.to_owned(),
            person_id: if number % 2 == 0 { "T1" } else { "T2" }.to_owned(),
            item: "assignment".to_owned(),
            points: 30,
            kind: AdjustmentKind::LateMedicalLeave.into(),
            reason: "𠮷".repeat(REASON_MAX),
            expires_time: at("12-20T00:00:00"),
            request_id: format!("{number:064}"),
            occurred_at: at("10-02T09:00:00"),
            correction: None,
        };
        client.adjust_item(request).await.unwrap();
    }
    let mut tried = Tried::default();
    let request = ListAdjustmentsRequest { programme_id: PROGRAMME.to_owned(), ..Default::default() };
    let (rows, pages) = walk!(client, list_adjustments, request, adjustments);
    assert!(rows == MANY && pages > 1, "{rows} rows on {pages} pages");
    tried.answer("ListAdjustments");
    // Versions have one reason each, and 100 at most are listed; certificates are cut by bytes as adjustments are.
    let mut versions = FinalVersionServiceClient::new(world.channel());
    let request = ListFinalVersionsRequest { programme_id: PROGRAMME.to_owned() };
    assert!(versions.list_final_versions(request).await.unwrap().into_inner().versions.is_empty());
    tried.answer("ListFinalVersions");
    freeze_long_scores(&world).await;
    let request = ListScoreChangesRequest {
        programme_id: PROGRAMME.to_owned(),
        from_version: 1,
        to_version: 2,
        ..Default::default()
    };
    let mut versions = versions.max_decoding_message_size(MESSAGE_BYTES_MAX);
    let (rows, pages) = walk!(versions, list_score_changes, request, changes);
    assert!(rows == MANY && pages > 1, "{rows} rows on {pages} pages");
    tried.answer("ListScoreChanges");
    let mut certificates = CertificateServiceClient::new(world.channel());
    let request = ListCertificatesRequest { programme_id: PROGRAMME.to_owned(), ..Default::default() };
    assert_eq!(walk!(certificates, list_certificates, request, certificates), (0, 1));
    tried.answer("ListCertificates");
    tell(&world).await;
    let mut evidence =
        EvidenceServiceClient::new(world.channel()).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let request = ListEvidenceRequest { programme_id: PROGRAMME.to_owned(), ..Default::default() };
    let (rows, pages) = walk!(evidence, list_evidence, request, evidence);
    assert!(rows == MANY && pages > 1, "{rows} rows on {pages} pages");
    tried.answer("ListEvidence");
    let key = certificates.get_certificate_key(GetCertificateKeyRequest {}).await.unwrap().into_inner();
    assert_eq!(key.key.len(), 43);
    tried.answer("GetCertificateKey");
    tried.is_all_of(NAME);
}

/// Evidence with the longest texts and links, each sent back with the longest reason.
async fn tell(world: &World) {
    let mut client = EvidenceServiceClient::new(world.channel());
    for number in 0..MANY {
        let request = SubmitEvidenceRequest {
            programme_id: PROGRAMME.to_owned(),
            region_code: "130302".to_owned(),
            duty: "SUMMARY-COUNSELOR".to_owned(),
            text: "𠮷".repeat(REASON_MAX),
            link: format!("https://{}", "𠮷".repeat(990)),
            file_sha256: vec![7; 32],
            request_id: format!("e{number:063}"),
            // In four days, none of which has more than a bearer's quota.
            occurred_at: at(&format!("10-{:02}T09:00:00", 2 + number % 4)),
            ..Default::default()
        };
        let evidence = client.submit_evidence(request).await.unwrap().into_inner().evidence.unwrap();
        let request = SendBackEvidenceRequest {
            programme_id: PROGRAMME.to_owned(),
            region_code: "130302".to_owned(),
            fact_id: evidence.fact_id,
            reason: "𠮷".repeat(REASON_MAX),
            request_id: format!("b{number:063}"),
            occurred_at: at("10-09T09:00:00"),
            ..Default::default()
        };
        client.send_back_evidence(request).await.unwrap();
    }
}
