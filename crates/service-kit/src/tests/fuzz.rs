//! Whatever a client sends as metadata, tokens and cursors, it is read or refused, and what is read is written the same.

use std::time::Duration;

use bolero::{TypeGenerator, check};
use http::{HeaderMap, HeaderValue};
use shipei_contracts::event::v1::SubscribeRequest;
use shipei_store::{PageTokens, Partition, Positions, SealedTokens, crypto::Keys};

use crate::{
    answer::words::Language,
    call::{consistency::Token, metadata::parse_timeout},
    feed::filter::Filter,
    identity::caller::Caller,
};

const SOURCES: [&str; 6] = shipei_contracts::services::ALL;

/// How often each reader is tried, unless that takes too long.
const CASES: usize = 1000;
const TIME_MAX: Duration = Duration::from_secs(10);

/// What a token of consistency rests on: which source, which partition, how far.
type Raised = Vec<(u8, u8, i64)>;

/// A part of a text: one of the words that its reader knows, or anything.
#[derive(Debug, Clone, TypeGenerator)]
enum Part {
    Word(u8),
    Char(char),
    Byte(u8),
}

fn token(raised: &Raised) -> Token {
    let mut token = Token::default();
    for (source, partition, number) in raised {
        let source = SOURCES[usize::from(*source) % SOURCES.len()];
        token.raise(source, u32::from(*partition % 64), (number & i64::MAX).max(1));
    }
    token
}

fn bytes_of(parts: &[Part], words: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in parts {
        match part {
            Part::Word(number) => bytes.extend(words[usize::from(*number) % words.len()].bytes()),
            Part::Char(char) => bytes.extend(char.encode_utf8(&mut [0; 4]).bytes()),
            Part::Byte(byte) => bytes.push(*byte),
        }
    }
    bytes
}

fn headers(name: &'static str, value: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    // What may not stand in a header at all never comes.
    if let Ok(value) = HeaderValue::from_bytes(value) {
        headers.insert(name, value);
    }
    headers
}

fn positions(bytes: &[u8]) -> Option<Positions> {
    Positions::from_bytes(bytes).ok()
}

/// Tries a reader on so many values of a type.
macro_rules! try_all {
    ($type:ty, $test:expr) => {
        check!().with_type::<$type>().with_iterations(CASES).with_test_time(TIME_MAX).for_each($test)
    };
}

#[test]
fn token_is_read_as_it_was_written() {
    try_all!(Raised, |raised: &Raised| {
        let token = token(raised);
        assert_eq!(Token::decode(token.encode().as_bytes()).unwrap(), token);
    });
}

#[test]
fn changed_token_is_read_or_refused() {
    try_all!((Raised, u16, u8), |(raised, at, byte): &(Raised, u16, u8)| {
        let mut text = token(raised).encode().into_bytes();
        let at = usize::from(*at) % text.len();
        text[at] ^= byte;
        if let Ok(read) = Token::decode(&text) {
            assert_eq!(Token::decode(read.encode().as_bytes()).unwrap(), read);
        }
    });
}

#[test]
fn any_bytes_are_a_token_or_refused() {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    try_all!(Vec<u8>, |bytes: &Vec<u8>| {
        for text in [bytes.clone(), URL_SAFE_NO_PAD.encode(bytes).into_bytes()] {
            if let Ok(read) = Token::decode(&text) {
                assert_eq!(Token::decode(read.encode().as_bytes()).unwrap(), read);
            }
        }
    });
}

#[test]
fn any_bytes_are_positions_or_refused() {
    try_all!(Vec<u8>, |bytes: &Vec<u8>| {
        // With the version in front most go further.
        let with_version =
            [&[Positions::new().to_bytes().first().copied().unwrap_or(1)], &bytes[..]].concat();
        for bytes in [bytes, &with_version] {
            if let Some(read) = positions(bytes) {
                assert_eq!(positions(&read.to_bytes()), Some(read));
            }
        }
    });
}

#[test]
fn sealed_tokens_are_taken_unchanged_only() {
    type Sealed = (Vec<u8>, Vec<String>, u16, u8, String, String);
    let keys = Keys::derive(&[7; 32]);
    let cursors = SealedTokens::new(keys.tokens(), "cursor");
    let pages = PageTokens::new(keys.tokens());
    check!().with_type::<Sealed>().with_iterations(CASES).with_test_time(TIME_MAX).for_each(
        |(payload, key, at, byte, binding, other): &Sealed| {
            // As many parts as a key may have.
            let key = &key[..key.len().min(4)];
            let (cursor, page) = (cursors.seal(binding, payload), pages.seal(binding, key));
            assert_eq!(cursors.open(binding, &cursor).as_ref(), Ok(payload));
            assert_eq!(pages.open(binding, &page).as_deref(), Ok(key));
            // Neither is the other, nor of another list, nor changed.
            assert!(pages.open(binding, &cursor).is_err() && cursors.open(binding, &page).is_err());
            if other != binding {
                assert!(cursors.open(other, &cursor).is_err() && pages.open(other, &page).is_err());
            }
            for token in [cursor, page] {
                let mut text = token.into_bytes();
                let at = usize::from(*at) % text.len();
                text[at] ^= (*byte).max(1);
                let Ok(text) = String::from_utf8(text) else { continue };
                assert!(cursors.open(binding, &text).is_err() && pages.open(binding, &text).is_err());
            }
        },
    );
}

#[test]
fn any_accept_language_is_a_language() {
    const WORDS: [&str; 14] =
        ["zh", "en", "fr", "*", "-CN", "EN-us", ";q=", "0", ".", "0.5", "1", ",", " ", "é"];
    try_all!(Vec<Part>, |parts: &Vec<Part>| {
        let language = Language::of(&headers("accept-language", &bytes_of(parts, &WORDS)));
        assert!(matches!(language, Language::Chinese | Language::English));
    });
}

#[test]
fn any_caller_is_one_or_refused() {
    const WORDS: [&str; 10] =
        ["trainee", "service", "class_tutor", "anonymous", ":", "@", "130302", "T000008", ",", "-"];
    try_all!(Vec<Part>, |parts: &Vec<Part>| {
        if let Ok(caller) = Caller::said_in(&headers("shipei-caller", &bytes_of(parts, &WORDS))) {
            assert_eq!(Caller::parse(&caller.to_string()), Some(caller));
        }
    });
}

#[test]
fn any_timeout_is_one_or_none() {
    const WORDS: [&str; 10] = ["0", "1", "99999999", "H", "M", "S", "m", "u", "n", "-"];
    try_all!(Vec<Part>, |parts: &Vec<Part>| {
        let text = String::from_utf8_lossy(&bytes_of(parts, &WORDS)).into_owned();
        let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
        let parsed = parse_timeout(&text);
        assert!(parsed.is_none() || (1..=8).contains(&digits.len()), "{text:?} {parsed:?}");
    });
}

#[test]
fn any_filter_is_one_or_names_its_fields() {
    type Asked = (Vec<String>, Vec<(u32, String)>, Vec<u32>, String, i32);
    try_all!(Asked, |(types, codes, partitions, cursor, start): &Asked| {
        let code = |(digits, text): &(u32, String)| match digits % 3 {
            0 => text.clone(),
            _ => (digits % 10_000_000).to_string(),
        };
        let request = SubscribeRequest {
            source: "enrollment".to_owned(),
            types: types.clone(),
            region_codes: codes.iter().map(code).collect(),
            partitions: partitions.clone(),
            cursor: cursor.clone(),
            start: *start,
            programme_ids: Vec::new(),
            start_time: partitions
                .first()
                .map(|at| prost_types::Timestamp { seconds: i64::from(*at) << 20, nanos: -1 }),
        };
        if Filter::of(&request, None).is_ok() {
            let known = |number: &u32| Partition::from_number(i64::from(*number)).is_some();
            assert!(request.partitions.iter().all(known));
            assert!(request.region_codes.iter().all(|code| code.len() == 6));
        }
    });
}
