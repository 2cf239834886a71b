//! Tokens that a caller keeps for us and can neither read sense into nor forge: page tokens and cursors.
//!
//! A token is base64url(payload, HMAC-SHA256). It is bound to a text that is not in the token (method and filter of
//! the list, say): used anywhere else it is invalid. It is authenticated, not encrypted: put no secret in it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::crypto::TokenKey;

/// The longest token that is looked at, in characters.
pub const TOKEN_LENGTH_MAX: usize = 8192;

/// The most texts in a page token's last key.
pub const KEY_PARTS_MAX: usize = 16;

/// Bytes of the authentication code at a token's end.
const MAC_BYTES: usize = 32;

/// A token that we did not give out for this use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the token was not given out for this request")]
pub struct InvalidToken;

/// Page tokens: the last key of a keyset page.
#[derive(Clone, Debug)]
pub struct PageTokens {
    sealed: SealedTokens,
}

/// Opaque tokens of any bytes. Two of these with different purposes don't take each other's tokens.
#[derive(Clone, Debug)]
pub struct SealedTokens {
    key: TokenKey,
    purpose: &'static str,
}

impl PageTokens {
    /// Page tokens under the installation's key.
    pub fn new(key: TokenKey) -> PageTokens {
        PageTokens { sealed: SealedTokens::new(key, "page") }
    }

    /// The token for the page after `last_key`; `binding` names the list and its filter.
    pub fn seal(&self, binding: &str, last_key: &[String]) -> String {
        let mut payload = Vec::new();
        for part in last_key {
            payload.extend_from_slice(&(part.len() as u32).to_be_bytes());
            payload.extend_from_slice(part.as_bytes());
        }
        self.sealed.seal(binding, &payload)
    }

    /// The last key in a token that [`PageTokens::seal`] gave for the same binding.
    pub fn open(&self, binding: &str, token: &str) -> Result<Vec<String>, InvalidToken> {
        let payload = self.sealed.open(binding, token)?;
        let mut rest = &payload[..];
        let mut last_key = Vec::new();
        while !rest.is_empty() {
            if last_key.len() == KEY_PARTS_MAX {
                return Err(InvalidToken);
            }
            let (length, after) = rest.split_first_chunk::<4>().ok_or(InvalidToken)?;
            let length = u32::from_be_bytes(*length) as usize;
            let (part, after) = after.split_at_checked(length).ok_or(InvalidToken)?;
            last_key.push(String::from_utf8(part.to_vec()).map_err(|_| InvalidToken)?);
            rest = after;
        }
        Ok(last_key)
    }
}

impl SealedTokens {
    /// Tokens for one purpose (`"cursor"`).
    pub fn new(key: TokenKey, purpose: &'static str) -> SealedTokens {
        SealedTokens { key, purpose }
    }

    /// A token that holds `payload` and is bound to `binding`.
    pub fn seal(&self, binding: &str, payload: &[u8]) -> String {
        let lengths = self.lengths(binding);
        let mac = self.key.mac(&[&lengths, self.purpose.as_bytes(), binding.as_bytes(), payload]);
        URL_SAFE_NO_PAD.encode([payload, &mac].concat())
    }

    /// The payload of a token that was sealed for the same purpose and binding.
    pub fn open(&self, binding: &str, token: &str) -> Result<Vec<u8>, InvalidToken> {
        if token.len() > TOKEN_LENGTH_MAX {
            return Err(InvalidToken);
        }
        let mut bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| InvalidToken)?;
        let length = bytes.len().checked_sub(MAC_BYTES).ok_or(InvalidToken)?;
        let (payload, mac) = bytes.split_at(length);
        let lengths = self.lengths(binding);
        if !self.key.verify(&[&lengths, self.purpose.as_bytes(), binding.as_bytes(), payload], mac) {
            return Err(InvalidToken);
        }
        bytes.truncate(length);
        Ok(bytes)
    }

    /// Keeps purpose, binding and payload apart, whatever they contain.
    fn lengths(&self, binding: &str) -> [u8; 16] {
        let mut lengths = [0; 16];
        lengths[..8].copy_from_slice(&(self.purpose.len() as u64).to_be_bytes());
        lengths[8..].copy_from_slice(&(binding.len() as u64).to_be_bytes());
        lengths
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Keys;

    #[test]
    fn page_token_opens_only_for_its_binding() {
        let tokens = PageTokens::new(Keys::derive(&[1; 32]).tokens());
        let last_key = vec!["130302".to_owned(), String::new(), "师".to_owned()];
        let token = tokens.seal("List?county=130302", &last_key);
        assert_eq!(tokens.open("List?county=130302", &token), Ok(last_key));
        assert_eq!(tokens.open("List?county=130303", &token), Err(InvalidToken));
        let others = PageTokens::new(Keys::derive(&[2; 32]).tokens());
        assert_eq!(others.open("List?county=130302", &token), Err(InvalidToken));
    }

    #[test]
    fn changed_token_is_refused() {
        let tokens = SealedTokens::new(Keys::derive(&[1; 32]).tokens(), "cursor");
        let token = tokens.seal("stream", b"payload");
        assert_eq!(tokens.open("stream", &token), Ok(b"payload".to_vec()));
        for place in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(tokens.open("stream", &changed), Err(InvalidToken), "{place}");
        }
        for bad in ["", "A", "not base64!", &"A".repeat(TOKEN_LENGTH_MAX + 1)] {
            assert_eq!(tokens.open("stream", bad), Err(InvalidToken));
        }
    }

    #[test]
    fn purposes_do_not_take_each_others_tokens() {
        let key = Keys::derive(&[1; 32]).tokens();
        let token = SealedTokens::new(key.clone(), "cursor").seal("x", b"");
        assert_eq!(SealedTokens::new(key.clone(), "page").open("x", &token), Err(InvalidToken));
        assert_eq!(PageTokens::new(key).open("x", &token), Err(InvalidToken));
    }
}
