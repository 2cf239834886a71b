//! The server around the services, on both transports.

use std::time::Duration;

use tokio::net::TcpListener;
use tonic::{Code, Request, transport::Channel};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_reflection::pb::{v1, v1alpha};

use super::notes::{
    COUNTY, LIST_NOTES, ListNotesRequest, ListNotesResponse, NoteServer, Notes, PUT_NOTE, PutNoteResponse,
    add_notes, call, compile_proto, counts, note_server, put, test_kit,
};
use crate::{
    ServerBuilder, Shutdown, StartError,
    answer::status::reason_of,
    call::{access::PolicyError, consistency::TOKEN_HEADER},
    identity::caller::CALLER_HEADER,
    testing::TestServer,
};

const PATIENCE: Duration = Duration::from_secs(60);

/// Both ways to one server.
async fn ways(server: &TestServer) -> [Channel; 2] {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = server.server.serve_tcp(listener).unwrap();
    [server.channel(), crate::connect_lazily(&format!("http://{address}")).unwrap()]
}

#[tokio::test]
async fn both_transports_answer_the_same() {
    let test = test_kit().await;
    let notes = Notes::new(&test.kit);
    let server = note_server(&notes).await;
    for (index, way) in ways(&server).await.into_iter().enumerate() {
        let text = format!("note-{index}");
        let written = call::<_, PutNoteResponse>(way.clone(), PUT_NOTE, put(&text, &text)).await.unwrap();
        assert!(written.metadata().get(TOKEN_HEADER).is_some());
        let request = ListNotesRequest { county_code: COUNTY.into(), ..Default::default() };
        let listed =
            call::<_, ListNotesResponse>(way.clone(), LIST_NOTES, Request::new(request)).await.unwrap();
        assert_eq!(listed.get_ref().texts.len(), index + 1);
        let refused =
            call::<_, PutNoteResponse>(way.clone(), PUT_NOTE, put("R", "refuse")).await.unwrap_err();
        assert_eq!(
            (refused.code(), reason_of(&refused).as_deref()),
            (Code::FailedPrecondition, Some("OUT_OF_ORDER"))
        );
        let mut request = put("", "hello");
        request.metadata_mut().insert(CALLER_HEADER, "king:1".parse().unwrap());
        let refused = call::<_, PutNoteResponse>(way, PUT_NOTE, request).await.unwrap_err();
        assert_eq!(
            (refused.code(), reason_of(&refused).as_deref()),
            (Code::InvalidArgument, Some("INVALID_FIELD"))
        );
    }
    assert!(server.shutdown.finish().await);
}

#[tokio::test]
async fn passed_deadline_is_deadline_exceeded_and_leaves_nothing() {
    let test = test_kit().await;
    let notes = Notes::new(&test.kit);
    let server = note_server(&notes).await;
    for way in ways(&server).await {
        let mut request = put("", "hang");
        request.metadata_mut().insert("grpc-timeout", "200m".parse().unwrap());
        let status = call::<_, PutNoteResponse>(way, PUT_NOTE, request).await.unwrap_err();
        assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
        assert_eq!(reason_of(&status).as_deref(), Some("DEADLINE_EXCEEDED"));
    }
    // The writer is free again, and nothing was kept.
    call::<_, PutNoteResponse>(server.channel(), PUT_NOTE, put("", "hello")).await.unwrap();
    assert_eq!(counts(&test.kit).await, (1, 1));
}

#[tokio::test]
async fn server_without_policies_does_not_start() {
    let test = test_kit().await;
    let notes = Notes::new(&test.kit);
    let pool = compile_proto(
        "syntax = \"proto3\"; package fake.v1; message Request {} message Response {}
         service NoteService { rpc PutNote(Request) returns (Response); }",
    );
    let shutdown = Shutdown::new();
    let builder =
        ServerBuilder::new(&shutdown).descriptors(pool).service(&test.kit, NoteServer(notes.clone()));
    let error = builder.build().await.unwrap_err();
    assert!(matches!(&error, StartError::Policy(PolicyError::NoPolicy(path)) if path == PUT_NOTE), "{error}");
    let error = ServerBuilder::new(&shutdown)
        .service(&test.kit, NoteServer(notes.clone()))
        .build()
        .await
        .unwrap_err();
    assert!(matches!(error, StartError::Policy(PolicyError::UnknownService(_))));
    let server = add_notes(ServerBuilder::new(&shutdown), &notes).build().await.unwrap();
    assert!(server.policies().of(PUT_NOTE).is_some());
    assert_eq!(server.policies().paths().count(), 13);
}

#[tokio::test]
async fn health_follows_the_database_and_the_end() {
    let test = test_kit().await;
    let notes = Notes::new(&test.kit);
    let server = note_server(&notes).await;
    for service in ["", "fake.v1.NoteService"] {
        let mut health = HealthClient::new(server.channel());
        let request = HealthCheckRequest { service: service.into() };
        let mut statuses = health.watch(request).await.unwrap().into_inner();
        let mut seen = Vec::new();
        while !seen.contains(&ServingStatus::Serving) {
            let status = tokio::time::timeout(PATIENCE, statuses.message()).await.unwrap().unwrap().unwrap();
            seen.push(status.status());
        }
    }
    let mut health = HealthClient::new(server.channel());
    let unknown = health.check(HealthCheckRequest { service: "nothing".into() }).await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
    let request = HealthCheckRequest { service: "fake.v1.NoteService".into() };
    let mut statuses = health.watch(request).await.unwrap().into_inner();
    server.shutdown.begin();
    let mut last = None;
    while let Some(status) = tokio::time::timeout(PATIENCE, statuses.message()).await.unwrap().unwrap() {
        last = Some(status.status());
    }
    assert_eq!(last, Some(ServingStatus::NotServing));
    drop(health);
    assert!(server.shutdown.finish().await);
}

#[tokio::test]
async fn server_without_its_database_is_not_serving() {
    let test = test_kit().await;
    test.kit.database().close().await;
    let notes = Notes::new(&test.kit);
    let server = note_server(&notes).await;
    let mut health = HealthClient::new(server.channel());
    let answer = health.check(HealthCheckRequest { service: "fake.v1.NoteService".into() }).await.unwrap();
    assert_eq!(answer.get_ref().status(), ServingStatus::NotServing);
    let status = call::<_, PutNoteResponse>(server.channel(), PUT_NOTE, put("", "hello")).await.unwrap_err();
    assert_eq!((status.code(), reason_of(&status).as_deref()), (Code::Unavailable, Some("UNAVAILABLE")));
}

#[tokio::test]
async fn reflection_names_what_is_served() {
    let test = test_kit().await;
    let notes = Notes::new(&test.kit);
    let server = note_server(&notes).await;
    let request = v1::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(v1::server_reflection_request::MessageRequest::ListServices(String::new())),
    };
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(server.channel());
    let mut answers =
        client.server_reflection_info(tokio_stream::iter([request])).await.unwrap().into_inner();
    let answer = answers.message().await.unwrap().unwrap();
    let Some(v1::server_reflection_response::MessageResponse::ListServicesResponse(list)) =
        answer.message_response
    else {
        panic!("must be a list")
    };
    let names: Vec<&str> = list.service.iter().map(|service| service.name.as_str()).collect();
    assert!(
        names.contains(&"fake.v1.NoteService") && names.contains(&"shipei.event.v1.EventFeed"),
        "{names:?}"
    );

    // With what errors carry.
    for symbol in ["shipei.event.v1.EventFeed", "google.rpc.ErrorInfo", "google.rpc.BadRequest"] {
        let request = v1alpha::ServerReflectionRequest {
            host: String::new(),
            message_request: Some(v1alpha::server_reflection_request::MessageRequest::FileContainingSymbol(
                symbol.into(),
            )),
        };
        let mut client = v1alpha::server_reflection_client::ServerReflectionClient::new(server.channel());
        let mut answers =
            client.server_reflection_info(tokio_stream::iter([request])).await.unwrap().into_inner();
        let answer = answers.message().await.unwrap().unwrap().message_response;
        let is_file = matches!(
            answer,
            Some(v1alpha::server_reflection_response::MessageResponse::FileDescriptorResponse(_))
        );
        assert!(is_file, "{symbol}: {answer:?}");
    }
}

#[tokio::test]
async fn killed_server_cuts_running_calls_and_connections() {
    let test = test_kit().await;
    let notes = Notes::new(&test.kit);
    let server = note_server(&notes).await;
    let channel = server.channel();
    let hanging = tokio::spawn(call::<_, PutNoteResponse>(channel.clone(), PUT_NOTE, put("", "hang")));
    while notes.attempts.load(std::sync::atomic::Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    server.shutdown.kill();
    let status = tokio::time::timeout(PATIENCE, hanging).await.unwrap().unwrap().unwrap_err();
    assert_ne!(status.code(), Code::Ok);
    server.shutdown.finish().await;
    call::<_, PutNoteResponse>(channel, PUT_NOTE, put("", "hello")).await.unwrap_err();
    assert_eq!(counts(&test.kit).await, (0, 0));
}

#[tokio::test]
async fn a_call_for_another_process_can_be_tried_again_and_one_for_nobody_can_not() {
    let server = TestServer::start(|builder| builder).await;
    for way in ways(&server).await {
        let path = "/shipei.event.v1.EventFeed/GetHead";
        let misdelivered = call::<_, PutNoteResponse>(way.clone(), path, put("", "")).await.unwrap_err();
        assert_eq!(
            (misdelivered.code(), reason_of(&misdelivered).as_deref()),
            (Code::Unavailable, Some("UNAVAILABLE"))
        );
        let unknown = call::<_, PutNoteResponse>(way, "/shipei.event.v1.Nobody/GetHead", put("", "")).await;
        assert_eq!(unknown.unwrap_err().code(), Code::Unimplemented);
    }
    assert!(server.shutdown.finish().await);
}
