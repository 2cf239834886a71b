//! The whole way: four logs are served, the service follows them, and an emptied service learns the same again.

use shipei_assessment::{NAME, follow, migrations, serve};
use shipei_contracts::{
    assessment::v1::{
        GetScoreDigestRequest, GetScoreDigestResponse, score_service_client::ScoreServiceClient,
    },
    event::v1::{Event, GetHeadRequest, event_feed_client::EventFeedClient},
    services::OF_SCORES,
};
use shipei_service_kit::{
    TOKEN_HEADER, Token,
    convert::from_timestamp,
    testing::{TestKit, TestServer},
};
use shipei_store::{NewEvent, Partition, event_log, sqlx::migrate::Migrator};
use tonic::Request;

use crate::{
    season::season,
    support::{On, PROGRAMME, Service, end},
};

fn new_event(event: &Event) -> NewEvent {
    NewEvent {
        partition: Partition::of(&event.region_code),
        kind: event.r#type.clone(),
        programme: event.programme_id.clone(),
        subject: event.subject.clone(),
        region: event.region_code.clone(),
        occurred_at: from_timestamp(event.time.as_ref().unwrap()).unwrap(),
        actor: event.actor.clone(),
        address: String::new(),
        cause: String::new(),
        trace: String::new(),
        transaction_size: 1,
        transaction_place: 1,
        data: event.data.as_ref().unwrap().value.clone(),
        fact_id: event.fact_id.clone(),
    }
}

/// A kit for each of the five services, whose log holds the season.
async fn logs() -> Vec<TestKit> {
    let events = season().take();
    let mut kits = Vec::new();
    for source in OF_SCORES {
        let test = TestKit::sqlite(source, &Migrator::with_migrations(Vec::new())).await;
        let own: Vec<NewEvent> =
            events.iter().filter(|event| event.source == source).map(new_event).collect();
        let mut tx = test.kit.database().begin_write().await.unwrap();
        event_log::append(&mut tx, &own, end()).await.unwrap();
        tx.commit().await.unwrap();
        kits.push(test);
    }
    kits
}

/// The digest of a service that starts from nothing and follows the logs, once it has seen all of them.
async fn learned(logs: &TestServer) -> GetScoreDigestResponse {
    let test = TestKit::sqlite(NAME, &migrations()).await;
    test.clock.set(end());
    let kit = test.kit.clone();
    let peers = OF_SCORES.iter().map(|source| (*source, logs.channel())).collect();
    follow(&kit, &peers, &logs.shutdown);
    let server = TestServer::start(|builder| serve(builder, &kit)).await;
    let mut token = Token::default();
    for source in OF_SCORES {
        let request = GetHeadRequest { source: source.to_owned() };
        let head = EventFeedClient::new(logs.channel()).get_head(request).await.unwrap().into_inner();
        token.merge(&Token::decode(head.consistency_token.as_bytes()).unwrap());
    }
    let mut request = Request::new(GetScoreDigestRequest { programme_id: PROGRAMME.to_owned() });
    request.metadata_mut().insert(TOKEN_HEADER, token.encode().parse().unwrap());
    ScoreServiceClient::new(server.channel()).get_score_digest(request).await.unwrap().into_inner()
}

#[tokio::test(flavor = "multi_thread")]
async fn service_that_starts_from_nothing_learns_the_same_scores_again() {
    let kits = logs().await;
    let logs = TestServer::start(|mut builder| {
        for test in &kits {
            builder = builder.event_log(&test.kit);
        }
        builder
    })
    .await;
    let expected = Service::start(On::Sqlite).await;
    expected.apply(&season().take()).await;
    let expected = expected.digest().await;
    for _ in 0..2 {
        assert_eq!(learned(&logs).await, expected);
    }
    logs.shutdown.finish().await;
}
