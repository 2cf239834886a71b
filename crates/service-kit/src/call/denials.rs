//! Calls that were refused for lack of a right, counted until they are told in the audit log. Why counted: whoever floods the
//! suite with calls that it refuses must not write its disk full, nor push out what others did. So there is one entry for each
//! caller and RPC in a while, with how often and from where first; and where there are too many kinds of them, one for the rest.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use http::HeaderMap;
use shipei_contracts::common::v1::ErrorReason;
use tokio::time::Instant;
use tonic::Status;

use crate::{
    answer::status::{reason_name, reason_of},
    call::metadata::Arrival,
};

/// PERMISSION_DENIED, as the header has it.
const DENIED: &str = "7";

/// The most kinds of denials that are told apart until they are told.
pub(crate) const KINDS_MAX: usize = 256;

/// What denials are counted by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Denied {
    /// The RPC; empty for the rest.
    pub(crate) method: String,
    /// Who was refused, as events say it.
    pub(crate) actor: String,
    /// The first programme of their token.
    pub(crate) programme_id: String,
}

/// How often, and the first one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) count: i64,
    pub(crate) address: Option<IpAddr>,
    pub(crate) trace: String,
    pub(crate) first_at: Instant,
}

/// The denials of a process that are not told yet. Clones are the same ones.
#[derive(Debug, Clone, Default)]
pub(crate) struct Denials(Arc<Mutex<BTreeMap<Denied, Counted>>>);

impl Denials {
    /// A call was refused.
    pub(crate) fn note(&self, refused: &Arrival) {
        let Arrival { method, caller, address, trace, .. } = refused;
        let programme_id =
            caller.claims().and_then(|claims| claims.programmes.first().cloned()).unwrap_or_default();
        let denied = Denied { method: method.clone(), actor: caller.to_string(), programme_id };
        let counted = Counted { count: 1, address: *address, trace: trace.clone(), first_at: Instant::now() };
        self.add(denied, counted);
    }

    /// Counts some more; what was before stays the first.
    pub(crate) fn add(&self, denied: Denied, counted: Counted) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known = all.contains_key(&denied);
        let denied = if is_known || all.len() < KINDS_MAX { denied } else { Denied::default() };
        match all.get_mut(&denied) {
            Some(before) => before.count += counted.count,
            None => {
                all.insert(denied, counted);
            }
        }
    }

    /// Takes those out that belong to somebody.
    pub(crate) fn take(&self, belongs: impl Fn(&Denied) -> bool) -> Vec<(Denied, Counted)> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.extract_if(.., |denied, _| belongs(denied)).collect()
    }
}

/// Whether these are the headers of an answer that refuses for lack of a right. (What refuses a message in the middle of a stream
/// ends that, and is no answer to it.)
pub(crate) fn is_denial(headers: &HeaderMap) -> bool {
    let denied = headers.get(Status::GRPC_STATUS).is_some_and(|code| code == DENIED);
    denied
        && Status::from_header_map(headers)
            .and_then(|status| reason_of(&status))
            .is_some_and(|reason| reason == reason_name(ErrorReason::NotPermitted))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::caller::Caller;

    fn refused(method: &str, subject: &str) -> Arrival {
        Arrival {
            method: method.to_owned(),
            caller: Caller::parse(&format!("trainee:{subject}")).unwrap(),
            address: Some("192.0.2.7".parse().unwrap()),
            deadline: None,
            trace: String::new(),
            policy: None,
        }
    }

    #[tokio::test]
    async fn flood_is_counted_and_takes_no_more_room() {
        let denials = Denials::default();
        for _ in 0..1000 {
            denials.note(&refused("/a.B/C", "T1"));
        }
        for number in 0..1000 {
            denials.note(&refused("/a.B/D", &format!("S{number}")));
        }
        denials.note(&refused("/a.B/C", "T1"));
        assert!(denials.take(|denied| denied.method == "/other").is_empty());
        let mut taken = denials.take(|_| true);
        assert_eq!(taken.len(), KINDS_MAX + 1);
        let (rest, counted) = taken.remove(0);
        assert_eq!((rest, counted.count), (Denied::default(), 1000 - (KINDS_MAX as i64 - 1)));
        let first = taken.iter().find(|(denied, _)| denied.actor == "trainee:T1").unwrap();
        assert_eq!((first.0.method.as_str(), first.1.count), ("/a.B/C", 1001));
        assert!(denials.take(|_| true).is_empty());
    }
}
