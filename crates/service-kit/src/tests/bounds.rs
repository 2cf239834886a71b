//! What a server does about clients that say nothing, half a word, too much, or something else.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use http_body::{Body as HttpBody, Frame};
use prost::bytes::Bytes;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tonic::{Code, Request, Status, body::Body, transport::Channel};
use tower::{Service as _, ServiceExt as _};

use super::notes::{
    LIST_NOTES, ListNotesRequest, ListNotesResponse, Notes, PUT_NOTE, PutNoteResponse, add_notes, call,
    note_server, put, test_kit,
};
use crate::{
    ConnectionLimits, ProcessBounds, ServerBuilder,
    answer::status::{reason_of, retry_after},
    identity::caller::CALLER_HEADER,
    testing::TestServer,
};

const GET_HEAD: &str = "/shipei.event.v1.EventFeed/GetHead";

/// A body of these bytes and no more.
struct Raw(Option<Bytes>);

impl HttpBody for Raw {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }
}

/// What a call of these bytes is answered.
async fn raw(mut channel: Channel, content_type: &str, body: &[u8]) -> Status {
    let body = (!body.is_empty()).then(|| Bytes::copy_from_slice(body));
    let request = http::Request::post(format!("http://in-memory{GET_HEAD}"))
        .header("content-type", content_type)
        .header("te", "trailers")
        .body(Body::new(Raw(body)))
        .unwrap();
    let mut response = channel.ready().await.unwrap().call(request).await.unwrap();
    if let Some(status) = Status::from_header_map(response.headers()) {
        return status;
    }
    loop {
        let frame = std::future::poll_fn(|context| Pin::new(response.body_mut()).poll_frame(context)).await;
        if let Ok(trailers) = frame.expect("an answer has a status").unwrap().into_trailers() {
            return Status::from_header_map(&trailers).unwrap();
        }
    }
}

#[tokio::test]
async fn what_the_transport_finds_is_told_with_its_reason() {
    let test = test_kit().await;
    let server = note_server(&Notes::new(&test.kit)).await;
    let grpc = "application/grpc";
    for (content_type, body) in [
        (grpc, &[][..]),
        (grpc, &[0, 0, 0, 0, 9, 1][..]),
        (grpc, &[0, 0, 0, 0, 2, 0xff, 0xff][..]),
        // A text that is no UTF-8.
        (grpc, &[0, 0, 0, 0, 3, 10, 1, 0xff][..]),
        (grpc, &[7, 0, 0, 0, 0][..]),
        (grpc, &[1, 0, 0, 0, 0][..]),
        ("text/plain", &[0, 0, 0, 0, 0][..]),
    ] {
        let status = raw(server.channel(), content_type, body).await;
        let told = (status.code(), reason_of(&status));
        assert_eq!(told, (Code::InvalidArgument, Some("MALFORMED_REQUEST".into())), "{body:?} {status:?}");
    }
    let status = raw(server.channel(), grpc, &[0, 1, 0, 0, 0]).await;
    assert_eq!((status.code(), reason_of(&status).as_deref()), (Code::OutOfRange, Some("MESSAGE_TOO_LARGE")));
    // What is known to be wrong by a handler is as before.
    let status = raw(server.channel(), grpc, &[0, 0, 0, 0, 3, 10, 1, b'x']).await;
    assert_eq!(reason_of(&status).as_deref(), Some("NOT_FOUND"));
}

#[tokio::test]
async fn call_has_one_caller_and_ids_are_plain() {
    let test = test_kit().await;
    let server = note_server(&Notes::new(&test.kit)).await;
    let mut request = put("", "hello");
    for caller in ["trainee:T1", "municipal_lead:M1"] {
        request.metadata_mut().append(CALLER_HEADER, caller.parse().unwrap());
    }
    let status = call::<_, PutNoteResponse>(server.channel(), PUT_NOTE, request).await.unwrap_err();
    assert_eq!(reason_of(&status).as_deref(), Some("INVALID_FIELD"));
    let mut request = put("", "hello");
    request.metadata_mut().insert(CALLER_HEADER, "trainee:130302198001010118".parse().unwrap());
    assert!(call::<_, PutNoteResponse>(server.channel(), PUT_NOTE, request).await.is_err());
    for request_id in ["a\0b", "130302198001010118", "张三", "a b", &"a".repeat(129)] {
        let status = call::<_, PutNoteResponse>(server.channel(), PUT_NOTE, put(request_id, "hello"))
            .await
            .unwrap_err();
        assert_eq!(reason_of(&status).as_deref(), Some("INVALID_FIELD"), "{request_id:?}");
    }
    call::<_, PutNoteResponse>(server.channel(), PUT_NOTE, put("a-_.:9", "hello")).await.unwrap();
}

#[tokio::test]
async fn spent_budget_refuses_what_is_large_and_says_when_to_come_back() {
    let test = test_kit().await;
    let notes = Notes::new(&test.kit);
    let bounds = ProcessBounds { budget_bytes: 4 << 20, ..ProcessBounds::default() };
    let server = TestServer::start(|builder| add_notes(builder.bounds(bounds), &notes)).await;
    let large = put("", &"x".repeat(1 << 20));
    let status = call::<_, PutNoteResponse>(server.channel(), PUT_NOTE, large).await.unwrap_err();
    assert_eq!((status.code(), reason_of(&status).as_deref()), (Code::ResourceExhausted, Some("OVERLOADED")));
    assert!(retry_after(&status).is_some());
    for _ in 0..3 {
        // What was taken is given back.
        call::<_, PutNoteResponse>(server.channel(), PUT_NOTE, put("", &"x".repeat(500_000))).await.unwrap();
    }
    let all =
        Request::new(ListNotesRequest { county_code: super::notes::COUNTY.into(), ..Default::default() });
    call::<_, ListNotesResponse>(server.channel(), LIST_NOTES, all).await.unwrap();
}

#[tokio::test]
async fn silent_connections_make_way_for_those_that_speak() {
    let test = test_kit().await;
    let notes = Notes::new(&test.kit);
    let connections = ConnectionLimits { all: 8, by_address: 4 };
    let bounds = ProcessBounds { connections, ..ProcessBounds::default() };
    let configure = |builder: ServerBuilder| add_notes(builder.bounds(bounds), &notes);
    let server = TestServer::start(configure).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = server.server.serve_tcp(listener).unwrap();
    let mut silent = Vec::new();
    for _ in 0..12 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // Half of what has to be said first.
        stream.write_all(b"PRI * HTTP/2").await.unwrap();
        silent.push(stream);
    }
    let mut channels = Vec::new();
    for _ in 0..4 {
        let channel = crate::connect_lazily(&format!("http://{address}")).unwrap();
        call::<_, PutNoteResponse>(channel.clone(), PUT_NOTE, put("", "hello")).await.unwrap();
        channels.push(channel);
    }
    // All places of this address are taken by those that speak, so that every silent one has been closed.
    for stream in &mut silent {
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
    }
    let channel = crate::connect_lazily(&format!("http://{address}")).unwrap();
    assert!(call::<_, PutNoteResponse>(channel, PUT_NOTE, put("", "hello")).await.is_err());
    for channel in channels {
        call::<_, PutNoteResponse>(channel, PUT_NOTE, put("", "hello")).await.unwrap();
    }
}
