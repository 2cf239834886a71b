//! Whatever a client sends as metadata, tokens and cursors, it is read or refused, and what is read is written the same.

use http::{HeaderMap, HeaderValue};
use proptest::{collection::vec, prelude::*};
use shipei_contracts::event::v1::SubscribeRequest;
use shipei_store::{PageTokens, Partition, Positions, SealedTokens, crypto::Keys};

use crate::{
    answer::words::Language,
    call::{consistency::Token, metadata::parse_timeout},
    feed::filter::Filter,
    identity::caller::Caller,
};

const SOURCES: [&str; 6] = shipei_contracts::services::ALL;

fn token() -> impl Strategy<Value = Token> {
    vec((0..SOURCES.len(), 0..64_u32, 1..=i64::MAX), 0..80).prop_map(|raised| {
        let mut token = Token::default();
        for (source, partition, number) in raised {
            token.raise(SOURCES[source], partition, number);
        }
        token
    })
}

fn metadata() -> impl Strategy<Value = Vec<u8>> {
    // What may stand in a header at all.
    vec(prop_oneof![Just(b'\t'), 0x20..=0x7e_u8, 0x80..=0xff_u8], 0..80)
}

fn positions(bytes: &[u8]) -> Option<Positions> {
    Positions::from_bytes(bytes).ok()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn token_is_read_as_it_was_written(token in token()) {
        prop_assert_eq!(Token::decode(token.encode().as_bytes()).unwrap(), token);
    }

    #[test]
    fn changed_token_is_read_or_refused(token in token(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut text = token.encode().into_bytes();
        let at = at.index(text.len());
        text[at] ^= byte;
        if let Ok(read) = Token::decode(&text) {
            prop_assert_eq!(Token::decode(read.encode().as_bytes()).unwrap(), read);
        }
    }

    #[test]
    fn any_bytes_are_a_token_or_refused(bytes in vec(any::<u8>(), 0..200)) {
        use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
        for text in [bytes.clone(), URL_SAFE_NO_PAD.encode(&bytes).into_bytes()] {
            if let Ok(read) = Token::decode(&text) {
                prop_assert_eq!(Token::decode(read.encode().as_bytes()).unwrap(), read);
            }
        }
    }

    #[test]
    fn any_bytes_are_positions_or_refused(bytes in vec(any::<u8>(), 0..200)) {
        // With the version in front most go further.
        let with_version = [&[Positions::new().to_bytes().first().copied().unwrap_or(1)], &bytes[..]].concat();
        for bytes in [&bytes, &with_version] {
            if let Some(read) = positions(bytes) {
                prop_assert_eq!(positions(&read.to_bytes()), Some(read));
            }
        }
    }

    #[test]
    fn sealed_tokens_are_taken_unchanged_only(
        payload in vec(any::<u8>(), 0..60),
        key in vec("[a-z|0-9,:]{0,12}", 0..5),
        at in any::<prop::sample::Index>(),
        byte in 1..=u8::MAX,
        binding in "[a-z|,:0-9]{0,12}",
        other in "[a-z|,:0-9]{0,12}",
    ) {
        let keys = Keys::derive(&[7; 32]);
        let cursors = SealedTokens::new(keys.tokens().clone(), "cursor");
        let pages = PageTokens::new(keys.tokens().clone());
        let (cursor, page) = (cursors.seal(&binding, &payload), pages.seal(&binding, &key));
        prop_assert_eq!(cursors.open(&binding, &cursor), Ok(payload));
        prop_assert_eq!(pages.open(&binding, &page), Ok(key));
        // Neither is the other, nor of another list, nor changed.
        prop_assert!(pages.open(&binding, &cursor).is_err() && cursors.open(&binding, &page).is_err());
        if other != binding {
            prop_assert!(cursors.open(&other, &cursor).is_err() && pages.open(&other, &page).is_err());
        }
        for token in [cursor, page] {
            let mut text = token.into_bytes();
            let at = at.index(text.len());
            text[at] ^= byte;
            let Ok(text) = String::from_utf8(text) else { continue };
            prop_assert!(cursors.open(&binding, &text).is_err() && pages.open(&binding, &text).is_err());
        }
    }

    #[test]
    fn any_accept_language_is_a_language(value in prop_oneof![
        metadata(),
        "(zh|en|fr|\\*|zh-CN|EN-us|é)(;q=[0-9.]{0,6})?(, ?(zh|en)(;q=(0|1|0\\.[0-9]{1,4}|é))?){0,3}".prop_map(String::into_bytes),
    ]) {
        let mut headers = HeaderMap::new();
        if let Ok(value) = HeaderValue::from_bytes(&value) {
            headers.insert("accept-language", value);
        }
        let language = Language::of(&headers);
        prop_assert!(matches!(language, Language::Chinese | Language::English));
    }

    #[test]
    fn any_caller_is_one_or_refused(value in prop_oneof![
        metadata(),
        "(trainee|service|class_tutor|anonymous|x)?:?[A-Za-z0-9:_.@-]{0,40}(@[0-9]{0,8})?".prop_map(String::into_bytes),
    ]) {
        let mut headers = HeaderMap::new();
        if let Ok(value) = HeaderValue::from_bytes(&value) {
            headers.insert("shipei-caller", value);
        }
        if let Ok(caller) = Caller::said_in(&headers) {
            prop_assert_eq!(Caller::parse(&caller.to_string()), Some(caller));
        }
    }

    #[test]
    fn any_timeout_is_one_or_none(text in prop_oneof!["[0-9]{0,12}[HMSmun]?", ".{0,12}"]) {
        let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
        let parsed = parse_timeout(&text);
        prop_assert!(parsed.is_none() || (1..=8).contains(&digits.len()), "{:?} {:?}", text, parsed);
    }

    #[test]
    fn any_filter_is_one_or_names_its_fields(
        types in vec(".{0,30}", 0..4),
        region_codes in vec("[0-9]{5,7}|.{0,8}", 0..4),
        partitions in vec(any::<u32>(), 0..4),
        cursor in ".{0,40}",
        start in any::<i32>(),
    ) {
        let request = SubscribeRequest {
            source: "enrollment".to_owned(), types, region_codes, partitions, cursor, start,
            programme_ids: Vec::new(),
        };
        if Filter::of(&request, None).is_ok() {
            prop_assert!(request.partitions.iter().all(|number| Partition::from_number(i64::from(*number)).is_some()));
            prop_assert!(request.region_codes.iter().all(|code| code.len() == 6));
        }
    }
}
