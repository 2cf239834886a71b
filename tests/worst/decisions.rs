//! Adjustments with the longest reasons.

use shipei_contracts::{
    decisions::v1::{
        AdjustItemRequest, AdjustmentKind, GetCertificateKeyRequest, ListAdjustmentsRequest,
        ListCertificatesRequest, ListFinalVersionsRequest,
        certificate_service_client::CertificateServiceClient, decision_service_client::DecisionServiceClient,
        final_version_service_client::FinalVersionServiceClient,
    },
    services::ASSESSMENT_DECISIONS as NAME,
};
use shipei_mirror::testing::{PROGRAMME, at};

use super::{MESSAGE_BYTES_MAX, Tried, walk, world};
use crate::machine::roster::roster;

/// The most characters of a reason, of four bytes each.
const REASON_MAX: usize = 2_000;
/// More than one page can hold; no trainee has more in a day.
const MANY: usize = 1_000;

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
    let mut certificates = CertificateServiceClient::new(world.channel());
    let request = ListCertificatesRequest { programme_id: PROGRAMME.to_owned(), ..Default::default() };
    assert_eq!(walk!(certificates, list_certificates, request, certificates), (0, 1));
    tried.answer("ListCertificates");
    let key = certificates.get_certificate_key(GetCertificateKeyRequest {}).await.unwrap().into_inner();
    assert_eq!(key.key.len(), 43);
    tried.answer("GetCertificateKey");
    tried.is_all_of(NAME);
}
