//! Who was let in. What: [`Admitted`] is the proof that a call was read, its policy looked up and its token waited for;
//! the kit makes one for each call, and one for work that a service does by itself. Why a value: a unit of work, a
//! stream of writes, an import and a subscription can be had from nothing else, so no entry can forget to ask.
//! Rights are enforced where the policy is looked up, once for all of them.
//!
//! ```compile_fail
//! use shipei_service_kit::Admitted;
//! let nobody_asked = Admitted::default();
//! ```

use std::sync::Arc;

use chrono::{DateTime, Utc};
use shipei_contracts::common::v1::AccessPolicy;
use tonic::Request;

use crate::{
    answer::error::Result,
    call::{
        consistency::{Applied, Token},
        metadata::{Arrival, Call},
        reach::Reach,
    },
    clock::Clock,
    identity::caller::Caller,
};

/// A call that may go on, or a service's own work.
#[derive(Debug, Clone)]
pub struct Admitted {
    call: Arc<Call>,
    policy: Option<Arc<AccessPolicy>>,
    reach: Reach,
    now: DateTime<Utc>,
    is_own_work: bool,
}

impl Admitted {
    /// Reads who calls, looks up who may, and waits until what the caller's token names is known here.
    pub(crate) async fn of<T>(request: &Request<T>, applied: &Applied, clock: &Clock) -> Result<Self> {
        let call = Arc::new(Call::of(request)?);
        let policy = request.extensions().get::<Arrival>().and_then(|arrival| arrival.policy.clone());
        if let Some(token) = &call.token {
            applied.wait_for(token, call.deadline).await?;
        }
        Ok(Self { call, policy, reach: Reach::Everything, now: clock.now(), is_own_work: false })
    }

    /// The work of a service that nobody calls for, as a part of this trace.
    pub(crate) fn service(name: &str, trace: String, clock: &Clock) -> Self {
        let call = Call { caller: Caller::service(name), trace, ..Call::default() };
        Self {
            call: Arc::new(call),
            policy: None,
            reach: Reach::Everything,
            now: clock.now(),
            is_own_work: true,
        }
    }

    /// The call.
    pub fn call(&self) -> &Arc<Call> {
        &self.call
    }

    /// Who may call it and how far, as the contract says; none for a service's own work and without a server.
    pub fn policy(&self) -> Option<&AccessPolicy> {
        self.policy.as_deref()
    }

    /// Whether nobody calls: a service works for itself.
    pub(crate) fn is_own_work(&self) -> bool {
        self.is_own_work
    }

    /// How far the caller may see.
    pub fn reach(&self) -> &Reach {
        &self.reach
    }

    /// When it was admitted.
    pub fn now(&self) -> DateTime<Utc> {
        self.now
    }

    /// What the caller has brought, for an answer's token.
    pub fn token(&self) -> Token {
        self.call.token.clone().unwrap_or_default()
    }
}
