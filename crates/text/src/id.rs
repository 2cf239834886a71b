//! What ids of the caller's choosing are made of: of things, of requests, of callers. One rule for all, so that each of them
//! is safe in a log, a URL, a table and a database key on every platform, and is nobody's name or number.

use crate::holds_valid_identity_number;

/// What is wrong with an id, to be read after what it is the id of. The text is not repeated: somebody may have put an
/// identity number there.
pub fn fault_of_id(text: &str, bytes_max: usize) -> Option<&'static str> {
    if text.is_empty() {
        return Some("is empty");
    }
    if text.len() > bytes_max {
        return Some("is too long");
    }
    let may_stand = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':');
    if !text.bytes().all(may_stand) {
        return Some("has a character other than ASCII letters, digits, '-', '_', '.' and ':'");
    }
    if holds_valid_identity_number(text) {
        return Some("holds what looks like an identity number");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_is_of_plain_characters_and_nobodys_number() {
        for good in ["a", "T-01_a.b:C", "qinhuangdao-2019:17:0af7"] {
            assert_eq!(fault_of_id(good, 64), None, "{good}");
        }
        for bad in [
            "",
            "a b",
            "a\0",
            "张三",
            "a/b",
            "a\n",
            "130302198001010118",
            "x-130302198001010118",
            &"a".repeat(65),
        ] {
            assert!(fault_of_id(bad, 64).is_some(), "{bad:?}");
        }
    }
}
