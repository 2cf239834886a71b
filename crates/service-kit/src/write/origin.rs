//! Where a change comes from: who, from which address, why, in which trace, and when. One value, made when a call is admitted or when a
//! service begins work of its own, and written into every event; an audit reads nothing else.

use std::{net::IpAddr, sync::Arc};

use chrono::{DateTime, Utc};
use shipei_contracts::common::v1::Role;

use crate::call::{admit::Admitted, rights::Roles};

/// Who changes something, why, and when.
#[derive(Debug, Clone)]
pub struct Origin {
    /// Who: `role:subject@region`, as [`crate::Caller`] is written.
    pub actor: Arc<str>,
    /// What they are.
    pub role: Role,
    /// The roles of all grants by which they were let in; none of who needs no token.
    pub roles: Roles,
    /// From where, as far as proxies are believed; none for a service's own work.
    pub address: Option<IpAddr>,
    /// Why: the id of a request or an event, or the name of what is done.
    pub cause: Arc<str>,
    /// The caller's id of the request; empty when there is none.
    pub request_id: Arc<str>,
    /// The W3C traceparent that it is a part of; empty without one.
    pub trace: Arc<str>,
    /// When the service works on it.
    pub now: DateTime<Utc>,
    /// When it happened.
    pub occurred_at: DateTime<Utc>,
}

impl Origin {
    /// What an admitted call does, caused by `cause`; it happens now.
    pub fn of(admitted: &Admitted, cause: &str) -> Self {
        let call = admitted.call();
        Self {
            actor: admitted.actor().into(),
            role: call.caller.role(),
            roles: admitted.roles(),
            address: call.address,
            cause: cause.into(),
            request_id: "".into(),
            trace: call.trace.as_str().into(),
            now: admitted.now(),
            occurred_at: admitted.now(),
        }
    }

    /// The same, under the caller's id of the request.
    #[must_use]
    pub fn request_id(mut self, request_id: &str) -> Self {
        self.request_id = request_id.into();
        self
    }

    /// The same, of something that happened then.
    #[must_use]
    pub fn occurred_at(mut self, occurred_at: DateTime<Utc>) -> Self {
        self.occurred_at = occurred_at;
        self
    }
}
