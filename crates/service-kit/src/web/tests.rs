use http::{Method, Request, StatusCode, Version, header};
use http_body_util::{BodyExt as _, Full};
use prost::{Message as _, bytes::Bytes};
use shipei_contracts::{
    common::v1::ErrorReason,
    event::v1::{GetHeadRequest, event_feed_server::SERVICE_NAME},
};
use tonic::{Code, Status, body::Body};
use tower::{Layer as _, Service as _, service_fn};

use super::{
    WebLayer,
    codec::Codec,
    cors::CorsOrigins,
    frames::{END_OF_STREAM, Frames, framed},
    gzip,
    route::Routes,
};
use crate::{answer::error::Refusal, answer::status::reason_of, call::budget::Budget, descriptors};

const MIB: usize = 1024 * 1024;
const GET_HEAD: &str = "/shipei.event.v1.EventFeed/GetHead";

/// What is behind the door gets this call and gives this status and message.
async fn through(
    request: Request<Body>,
    status: Status,
    message: &[u8],
) -> (http::Response<Body>, Vec<Vec<u8>>) {
    let mut routes = Routes::default();
    routes.add(descriptors::pool(), &[SERVICE_NAME]);
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let (kept, message) = (seen.clone(), message.to_vec());
    let inner = service_fn(move |request: Request<Body>| {
        let (kept, message, status) = (kept.clone(), message.clone(), status.clone());
        async move {
            assert_eq!(request.headers()[header::CONTENT_TYPE], "application/grpc");
            assert_eq!(request.version(), Version::HTTP_2);
            let mut frames = Frames::new(MIB);
            let mut body = request.into_body();
            while let Some(frame) = body.frame().await {
                match frame {
                    Ok(frame) => frames.push(frame.data_ref().map_or(&[][..], |piece| piece)),
                    Err(status) => return Ok::<_, std::convert::Infallible>(status.into_http()),
                }
            }
            while let Some((_, message)) = frames.next().unwrap() {
                kept.lock().unwrap().push(message);
            }
            if status.code() != Code::Ok {
                return Ok(status.into_http());
            }
            let mut trailers = http::HeaderMap::new();
            trailers.insert("grpc-status", "0".parse().unwrap());
            trailers.insert("shipei-consistency-token", "T".parse().unwrap());
            let body = Full::new(framed(0, &message)).with_trailers(std::future::ready(Some(Ok(trailers))));
            Ok(http::Response::new(Body::new(body)))
        }
    });
    let layer = WebLayer::new(routes, Budget::new(8 * MIB), MIB);
    let answer = layer.layer(inner).call(request).await.unwrap();
    let seen = seen.lock().unwrap().clone();
    (answer, seen)
}

fn post(content_type: &str, body: impl Into<Bytes>) -> Request<Body> {
    Request::post(GET_HEAD)
        .header(header::CONTENT_TYPE, content_type)
        .body(Body::new(Full::new(body.into())))
        .unwrap()
}

async fn text(answer: http::Response<Body>) -> String {
    String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

#[tokio::test]
async fn json_is_the_call_that_it_means_and_so_is_a_get() {
    let head = shipei_contracts::event::v1::GetHeadResponse {
        consistency_token: "token".into(),
        ..Default::default()
    };
    let asked = GetHeadRequest { source: "enrollment".into() }.encode_to_vec();
    let by_get = "?connect=v1&encoding=json&message=%7B%22source%22%3A%22enrollment%22%7D";
    let by_get = Request::get(format!("{GET_HEAD}{by_get}")).body(Body::empty()).unwrap();
    let by_post = post("application/json; charset=utf-8", r#"{"source":"enrollment"}"#);
    for request in [by_post, by_get] {
        let (answer, seen) = through(request, Status::ok(""), &head.encode_to_vec()).await;
        assert_eq!(seen, std::slice::from_ref(&asked));
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/json");
        assert_eq!(answer.headers()["trailer-shipei-consistency-token"], "T");
        assert_eq!(text(answer).await, r#"{"consistencyToken":"token"}"#);
    }
}

#[tokio::test]
async fn refusal_keeps_its_reason_and_is_readable() {
    let refused = Status::from(Refusal::new(ErrorReason::NotFound));
    let (answer, _) = through(post("application/proto", ""), refused, &[]).await;
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    let told: serde_json::Value = serde_json::from_str(&text(answer).await).unwrap();
    assert_eq!(told["code"], "not_found");
    let details = told["details"].as_array().unwrap();
    let info = details.iter().find(|detail| detail["type"] == "google.rpc.ErrorInfo").unwrap();
    assert_eq!((&info["debug"]["reason"], &info["debug"]["domain"]), (&"NOT_FOUND".into(), &"shipei".into()));
    assert!(details.iter().any(|detail| detail["type"] == "google.rpc.LocalizedMessage"));
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_and_not_said_again() {
    for (body, says) in [
        (r#"{"source":["130302198001010070"]}"#, "type"),
        (r#"{"130302198001010070":1}"#, "type"),
        (r#"{"sourse":"enrollment"}"#, "no field sourse"),
        (r#"{"source":"enroll"#, "too early"),
        ("130302198001010070 x", "line 1"),
        (r#"{} {"source":"130302198001010070"}"#, "no JSON"),
    ] {
        let (answer, seen) = through(post("application/json", body), Status::ok(""), &[]).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{body}");
        let told = text(answer).await;
        assert!(told.contains("MALFORMED_REQUEST") && told.contains(says), "{told}");
        assert!(!told.contains("130302198001010070") && seen.is_empty(), "{told}");
    }
    let (answer, _) = through(post("application/json", vec![b' '; MIB + 1]), Status::ok(""), &[]).await;
    assert!(text(answer).await.contains("MESSAGE_TOO_LARGE"));
}

#[tokio::test]
async fn stream_ends_with_its_status() {
    let message = framed(0, br#"{"source":"enrollment"}"#);
    let mut request = post("application/connect+json", message);
    *request.uri_mut() = "/shipei.event.v1.EventFeed/Subscribe".parse().unwrap();
    let refused = Status::from(Refusal::new(ErrorReason::NotFound));
    let (answer, seen) = through(request, refused, &[]).await;
    assert_eq!(seen.len(), 1);
    assert_eq!(answer.status(), StatusCode::OK);
    let mut frames = Frames::new(MIB);
    frames.push(&answer.into_body().collect().await.unwrap().to_bytes());
    let (flags, end) = frames.next().unwrap().unwrap();
    assert_eq!(flags, END_OF_STREAM);
    let end: serde_json::Value = serde_json::from_slice(&end).unwrap();
    assert_eq!(end["error"]["code"], "not_found");
    frames.end().unwrap();
}

#[tokio::test]
async fn other_requests_get_an_answer_of_http() {
    let unknown =
        |method, path: &str| Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
    for (request, status) in [
        (unknown(Method::GET, "/"), StatusCode::NOT_FOUND),
        (unknown(Method::POST, GET_HEAD), StatusCode::UNSUPPORTED_MEDIA_TYPE),
        (unknown(Method::GET, "/shipei.event.v1.EventFeed/Subscribe"), StatusCode::METHOD_NOT_ALLOWED),
        (unknown(Method::GET, GET_HEAD), StatusCode::BAD_REQUEST),
    ] {
        let (answer, _) = through(request, Status::ok(""), &[]).await;
        assert_eq!(answer.status(), status);
    }
}

#[test]
fn gzip_is_bounded_and_refused_when_it_is_none() {
    let large = vec![7; MIB];
    let packed = gzip::packed(&large).unwrap();
    assert_eq!(gzip::unpacked(&packed, MIB).unwrap(), large);
    assert_eq!(
        reason_of(&gzip::unpacked(&packed, MIB - 1).unwrap_err()).as_deref(),
        Some("MESSAGE_TOO_LARGE")
    );
    assert_eq!(reason_of(&gzip::unpacked(b"none", MIB).unwrap_err()).as_deref(), Some("MALFORMED_REQUEST"));
    assert!(gzip::packed(&[0; 100]).is_none());
}

#[test]
fn frames_come_in_any_pieces() {
    let bytes = [framed(0, b"one"), framed(1, b""), framed(2, b"three")].concat();
    let mut frames = Frames::new(5);
    let mut seen = Vec::new();
    for piece in bytes.chunks(2) {
        frames.push(piece);
        while let Some(frame) = frames.next().unwrap() {
            seen.push(frame);
        }
    }
    assert_eq!(seen, [(0, b"one".to_vec()), (1, Vec::new()), (2, b"three".to_vec())]);
    frames.end().unwrap();
    frames.push(&framed(0, b"larger"));
    assert!(frames.next().is_err());
}

#[test]
fn json_of_nothing_is_the_empty_message() {
    let message = descriptors::pool().get_message_by_name("shipei.event.v1.GetHeadRequest").unwrap();
    assert!(Codec::Json.to_proto(&message, Vec::new()).unwrap().is_empty());
}

#[test]
fn origins_are_origins() {
    let checked = |origin: &str| CorsOrigins::new(&[origin.to_owned()]).is_ok();
    assert!(checked("https://board.county.example") && checked("http://localhost:5173"));
    for wrong in [
        "*",
        "board.example",
        "https://a.example/path",
        "https://",
        "ftp://a.example",
        "https://*.example",
        "httpss://a",
    ] {
        assert!(!checked(wrong), "{wrong}");
    }
}
