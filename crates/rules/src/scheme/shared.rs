//! Schemes that were parsed, shared by everybody in the process: a text says the same whoever asks, so it is read once.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use super::{Scheme, SchemeError};

/// The most schemes that are kept; beyond it, all are forgotten and parsed again when needed.
const SHARED_MAX: usize = 64;

static SHARED: LazyLock<Mutex<HashMap<Box<str>, Arc<Scheme>>>> = LazyLock::new(Mutex::default);

fn shared() -> MutexGuard<'static, HashMap<Box<str>, Arc<Scheme>>> {
    SHARED.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Scheme {
    /// The scheme of a text, if it was parsed before.
    pub fn shared(toml_text: &str) -> Option<Arc<Self>> {
        shared().get(toml_text).cloned()
    }

    /// [`Scheme::parse`], once for each text; a text that is no scheme is refused each time.
    pub fn parse_shared(toml_text: &str) -> Result<Arc<Self>, SchemeError> {
        if let Some(scheme) = Self::shared(toml_text) {
            return Ok(scheme);
        }
        let scheme = Arc::new(Self::parse(toml_text)?);
        let mut shared = shared();
        if shared.len() >= SHARED_MAX {
            shared.clear();
        }
        Ok(Arc::clone(shared.entry(toml_text.into()).or_insert(scheme)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_parsed_once_and_the_number_of_texts_is_bounded() {
        let text = include_str!("../../data/qinhuangdao-2019.toml");
        let first = Scheme::parse_shared(text).unwrap();
        assert!(Arc::ptr_eq(&first, &Scheme::parse_shared(text).unwrap()));
        assert!(Scheme::shared("id = 7").is_none() && Scheme::parse_shared("id = 7").is_err());
        for number in 0..2 * SHARED_MAX {
            Scheme::parse_shared(&format!("{text}\n# {number}")).unwrap();
            assert!(shared().len() <= SHARED_MAX);
        }
    }
}
