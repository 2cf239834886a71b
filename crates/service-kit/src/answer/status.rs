//! The one place that turns an [`Error`] into a `tonic::Status`, and, for clients, back into a reason. Code and
//! texts of a reason come from the proto option `shipei.common.v1.reason_text`, so a new reason is a new enum
//! value in `error_reason.proto` and nothing here. Nothing private leaves by this door: internal texts go to the
//! log, the caller gets a reason.

use std::{collections::HashMap, sync::LazyLock, time::Duration};

use prost::Message as _;
use shipei_contracts::common::v1::{ErrorReason, ReasonCode, ReasonText, RefusedRow};
use shipei_store::StoreError;
use tonic::{Code, Status, metadata::MetadataValue};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::{
    answer::{
        error::{Error, FieldViolation, Refusal},
        words::{Language, fill},
    },
    descriptors,
};

/// The domain of every `google.rpc.ErrorInfo` of the suite.
pub const ERROR_DOMAIN: &str = "shipei";
/// What the names of reasons begin with in the proto enum, and don't on the wire.
const REASON_PREFIX: &str = "ERROR_REASON_";
/// What HTTP has for telling how to say who one is (RFC 6750).
const CHALLENGE_HEADER: &str = "www-authenticate";
const CHALLENGE: &str = "Bearer realm=\"shipei\"";
/// When to try again after a passing failure, unless the failure knows better.
const RETRY_AFTER_UNAVAILABLE: Duration = Duration::from_secs(1);
/// When a caller should come back whom a process had no room for.
const RETRY_AFTER_OVERLOADED: Duration = Duration::from_secs(2);
/// The reason of answers that no proto reason stands for.
const REASON_INTERNAL: &str = "INTERNAL";
const REASON_DEADLINE_EXCEEDED: &str = "DEADLINE_EXCEEDED";

static TEXTS: LazyLock<HashMap<i32, ReasonText>> = LazyLock::new(read_texts);

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        match error {
            Error::Refused(refusal) => refused(&refusal),
            Error::Invalid(violations) => invalid(violations),
            Error::Store(error) => store_failed(&error),
            Error::NotCaughtUp { source_name, partition, number, retry_after } => {
                let refusal = Refusal::new(ErrorReason::NotCaughtUp)
                    .with("source", source_name)
                    .with("partition", partition.to_string())
                    .with("number", number.to_string());
                answer(&refusal, Some(retry_after))
            }
            Error::Unavailable(message) => refused(&Refusal::new(ErrorReason::Unavailable).because(message)),
            Error::DeadlineExceeded => deadline_exceeded(),
            Error::Internal(message) => {
                tracing::error!(error = %message, "internal error");
                internal()
            }
        }
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        refused(&refusal)
    }
}

/// DEADLINE_EXCEEDED with its details.
pub fn deadline_exceeded() -> Status {
    let mut details = ErrorDetails::new();
    details.set_error_info(REASON_DEADLINE_EXCEEDED, ERROR_DOMAIN, HashMap::new());
    localize(&mut details, "请求超时", "the deadline has passed");
    Status::with_error_details(Code::DeadlineExceeded, "the deadline has passed", details)
}

/// RATE_LIMITED, with the time after which a call will pass.
pub(crate) fn rate_limited(wait: Duration) -> Status {
    answer(&Refusal::new(ErrorReason::RateLimited), Some(wait))
}

/// OVERLOADED: there is too much under way in this process; it says when to come back.
pub(crate) fn overloaded() -> Status {
    answer(&Refusal::new(ErrorReason::Overloaded), Some(RETRY_AFTER_OVERLOADED))
}

/// TOO_MANY_AT_ONCE: the caller has as much under way as it may; it says when to come back.
pub(crate) fn too_many_at_once(most: usize) -> Status {
    let refusal = Refusal::new(ErrorReason::TooManyAtOnce).with("most", most.to_string());
    answer(&refusal, Some(RETRY_AFTER_UNAVAILABLE))
}

/// MESSAGE_TOO_LARGE, with the bytes that came and that may.
pub(crate) fn too_large(bytes: usize, bytes_max: usize) -> Status {
    let refusal = Refusal::new(ErrorReason::MessageTooLarge).with("bytes", bytes.to_string());
    refused(&refusal.with("bytes_max", bytes_max.to_string()))
}

/// The stable reason of an answer, e.g. `WINDOW_CLOSED`; None when the answer is not of this suite.
pub fn reason_of(status: &Status) -> Option<String> {
    let info = status.get_details_error_info()?;
    (info.domain == ERROR_DOMAIN).then_some(info.reason)
}

/// How long the server asks to wait before the call is tried again; None when trying again does not help.
pub fn retry_after(status: &Status) -> Option<Duration> {
    status.get_details_retry_info()?.retry_delay
}

/// The code that a reason answers with.
pub fn code_of(reason: ErrorReason) -> Code {
    let code = TEXTS.get(&(reason as i32)).map_or(ReasonCode::Unspecified, ReasonText::code);
    match code {
        ReasonCode::Unspecified | ReasonCode::Unknown => Code::Unknown,
        ReasonCode::InvalidArgument => Code::InvalidArgument,
        ReasonCode::NotFound => Code::NotFound,
        ReasonCode::AlreadyExists => Code::AlreadyExists,
        ReasonCode::FailedPrecondition => Code::FailedPrecondition,
        ReasonCode::PermissionDenied => Code::PermissionDenied,
        ReasonCode::Unavailable => Code::Unavailable,
        ReasonCode::ResourceExhausted => Code::ResourceExhausted,
        ReasonCode::OutOfRange => Code::OutOfRange,
        ReasonCode::DataLoss => Code::DataLoss,
        ReasonCode::Unauthenticated => Code::Unauthenticated,
    }
}

/// A row of a call of many that was not taken, and why, in both languages.
pub fn refused_row(row: usize, key: &str, refusal: &Refusal) -> RefusedRow {
    let values: HashMap<String, String> =
        refusal.metadata.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    let text = TEXTS.get(&(refusal.reason as i32));
    let said = |language: Language| {
        let text = text.map_or("", |text| match language {
            Language::Chinese => text.zh.as_str(),
            Language::English => text.en.as_str(),
        });
        fill(text, &values, language)
    };
    RefusedRow {
        row: i32::try_from(row).unwrap_or(i32::MAX),
        key: key.to_owned(),
        reason: refusal.reason.into(),
        field: refusal.field.clone().unwrap_or_default(),
        message: if refusal.message.is_empty() { said(Language::English) } else { refusal.message.clone() },
        message_zh: said(Language::Chinese),
    }
}

/// Can a later write turn a refusal of this reason?
pub fn is_turned_by_later_writes(reason: ErrorReason) -> bool {
    TEXTS.get(&(reason as i32)).is_some_and(|text| text.turned_by_later_writes)
}

/// Can a later write turn this answer? No, if it is not a refusal of this suite.
pub fn may_turn(status: &Status) -> bool {
    let reason = reason_of(status).and_then(|name| reason_named(&name));
    reason.is_some_and(is_turned_by_later_writes)
}

/// The reason of a name on the wire ([`reason_name`]).
pub fn reason_named(name: &str) -> Option<ErrorReason> {
    ErrorReason::from_str_name(&format!("{REASON_PREFIX}{name}"))
}

/// What a reason is called on the wire: without the enum's prefix.
pub fn reason_name(reason: ErrorReason) -> &'static str {
    let name = reason.as_str_name();
    name.strip_prefix(REASON_PREFIX).unwrap_or(name)
}

fn refused(refusal: &Refusal) -> Status {
    let retry = (code_of(refusal.reason) == Code::Unavailable).then_some(RETRY_AFTER_UNAVAILABLE);
    answer(refusal, retry)
}

fn answer(refusal: &Refusal, retry: Option<Duration>) -> Status {
    let code = code_of(refusal.reason);
    let reason = reason_name(refusal.reason);
    let texts = TEXTS.get(&(refusal.reason as i32));
    let metadata: HashMap<String, String> =
        refusal.metadata.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    let said = texts.map(|texts| {
        let chinese = fill(&texts.zh, &metadata, Language::Chinese);
        (chinese, fill(&texts.en, &metadata, Language::English))
    });
    let english = match &said {
        _ if !refusal.message.is_empty() => refusal.message.as_str(),
        Some((_, english)) => english.as_str(),
        None => reason,
    };

    let mut details = ErrorDetails::new();
    details.set_error_info(reason, ERROR_DOMAIN, metadata);
    let field = refusal.field.as_deref().unwrap_or_default();
    if code == Code::FailedPrecondition {
        details.add_precondition_failure_violation(reason, field, english);
    } else if !field.is_empty() {
        details.add_bad_request_violation(field, english);
    }
    if let Some(delay) = retry {
        details.set_retry_info(Some(delay));
    }
    if let Some((chinese, english)) = &said {
        localize(&mut details, chinese, english);
    }
    let mut status = Status::with_error_details(code, english, details);
    if code == Code::Unauthenticated {
        status.metadata_mut().insert(CHALLENGE_HEADER, MetadataValue::from_static(CHALLENGE));
    }
    status
}

/// The text for people, in the language of the call that is being answered.
fn localize(details: &mut ErrorDetails, chinese: &str, english: &str) {
    let language = Language::current();
    let text = match language {
        Language::Chinese => chinese,
        Language::English => english,
    };
    details.set_localized_message(language.locale(), text);
}

fn invalid(violations: Vec<FieldViolation>) -> Status {
    let names: Vec<&str> = violations.iter().map(|violation| violation.field.as_str()).collect();
    let message = format!("not possible: {}", names.join(", "));
    let mut details = ErrorDetails::new();
    details.set_error_info(reason_name(ErrorReason::InvalidField), ERROR_DOMAIN, HashMap::new());
    if let Some(texts) = TEXTS.get(&(ErrorReason::InvalidField as i32)) {
        localize(&mut details, &texts.zh, &texts.en);
    }
    for violation in violations {
        details.add_bad_request_violation(violation.field, violation.description);
    }
    Status::with_error_details(Code::InvalidArgument, message, details)
}

fn store_failed(error: &StoreError) -> Status {
    if let StoreError::CorruptRow { table, column, key } = error {
        tracing::error!(%error, "the database holds a row that cannot be");
        let refusal = Refusal::new(ErrorReason::CorruptRow)
            .because(format!("row {key} of {table} has a {column} that cannot be"))
            .with("table", table.to_string())
            .with("column", column.to_string())
            .with("key", key.to_string());
        return refused(&refusal);
    }
    if error.is_retryable() || error.is_unavailable() {
        tracing::warn!(%error, "the database is not available");
        return refused(&Refusal::new(ErrorReason::Unavailable));
    }
    if error.is_corrupt() {
        tracing::error!(%error, "the database's own files are damaged, or a row that was changed by hand");
        return refused(
            &Refusal::new(ErrorReason::CorruptRow).because("the database holds what can't be read"),
        );
    }
    tracing::error!(%error, "the database refused a statement");
    internal()
}

fn internal() -> Status {
    let mut details = ErrorDetails::new();
    details.set_error_info(REASON_INTERNAL, ERROR_DOMAIN, HashMap::new());
    localize(&mut details, "内部错误", "internal error");
    Status::with_error_details(Code::Internal, "internal error", details)
}

fn read_texts() -> HashMap<i32, ReasonText> {
    let mut texts = HashMap::new();
    let pool = descriptors::pool();
    let (Some(reasons), Some(option)) = (
        pool.get_enum_by_name("shipei.common.v1.ErrorReason"),
        pool.get_extension_by_name("shipei.common.v1.reason_text"),
    ) else {
        return texts;
    };
    for value in reasons.values() {
        let options = value.options();
        if !options.has_extension(&option) {
            continue;
        }
        let stated = options.get_extension(&option);
        let Some(message) = stated.as_message() else { continue };
        if let Ok(text) = ReasonText::decode(message.encode_to_vec().as_slice()) {
            texts.insert(value.number(), text);
        }
    }
    texts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::words::said_in;

    #[test]
    fn every_reason_has_a_code_and_two_texts() {
        for number in 1.. {
            let Ok(reason) = ErrorReason::try_from(number) else {
                assert!(number > 30);
                break;
            };
            let text = &TEXTS[&number];
            assert_ne!(text.code(), ReasonCode::Unspecified, "{reason:?}");
            assert!(!text.en.is_empty() && !text.zh.is_empty(), "{reason:?}");
        }
    }

    #[test]
    fn refusal_answers_with_all_its_details() {
        let refusal = Refusal::new(ErrorReason::WindowClosed).field("occurred_at").with("window", "phase_3");
        let status = Status::from(Error::from(refusal));
        assert_eq!(status.code(), Code::FailedPrecondition);
        assert_eq!(reason_of(&status).as_deref(), Some("WINDOW_CLOSED"));
        assert_eq!(status.message(), "its window is over");
        let details = status.get_error_details();
        assert_eq!(details.error_info().unwrap().metadata["window"], "phase_3");
        assert_eq!(details.precondition_failure().unwrap().violations[0].subject, "occurred_at");
        assert_eq!(details.localized_message().unwrap().locale, "zh-CN");
        assert_eq!(retry_after(&status), None);
    }

    #[tokio::test]
    async fn words_are_in_the_language_of_the_call_and_have_its_figures() {
        let short = || {
            let refusal = Refusal::new(ErrorReason::TextTooShort).with("characters", "299");
            Status::from(Error::from(refusal.with("characters_min", "300")))
        };
        let said = |status: &Status| status.get_error_details().localized_message().unwrap().clone();
        assert_eq!(
            (said(&short()).locale.as_str(), said(&short()).message.as_str()),
            ("zh-CN", "字数不足：299/300")
        );
        let english = said_in(Language::English, async { short() }).await;
        assert_eq!(said(&english).locale, "en");
        assert!(said(&english).message.ends_with(": 299 of 300 characters"), "{english:?}");
    }

    #[test]
    fn invalid_names_all_fields() {
        let violation = |field: &str| FieldViolation { field: field.into(), description: "required".into() };
        let status = Status::from(Error::Invalid(vec![violation("a"), violation("b[1].c")]));
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(reason_of(&status).as_deref(), Some("INVALID_FIELD"));
        let fields = status.get_details_bad_request().unwrap().field_violations;
        assert_eq!(fields.len(), 2);
        assert_eq!(fields[1].field, "b[1].c");
    }

    #[test]
    fn waiting_helps_where_it_does() {
        let error = Error::NotCaughtUp {
            source_name: "enrollment".into(),
            partition: 3,
            number: 9,
            retry_after: Duration::from_millis(250),
        };
        let status = Status::from(error);
        assert_eq!(status.code(), Code::Unavailable);
        assert_eq!(reason_of(&status).as_deref(), Some("NOT_CAUGHT_UP"));
        assert_eq!(retry_after(&status), Some(Duration::from_millis(250)));
        let status = Status::from(Error::Unavailable("no peer".into()));
        assert_eq!(retry_after(&status), Some(RETRY_AFTER_UNAVAILABLE));
    }

    #[test]
    fn internal_text_stays_inside() {
        let status = Status::from(Error::Internal("secret".into()));
        assert_eq!(status.code(), Code::Internal);
        assert!(!status.message().contains("secret"));
        assert_eq!(Status::from(Error::DeadlineExceeded).code(), Code::DeadlineExceeded);
    }
}
