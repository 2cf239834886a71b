//! Who was let in. What: [`Admitted`] is the proof that a call was read, its policy asked and its token waited for;
//! the kit makes one for each call, one for each message of a stream, and one for work that a service does by itself. Why a
//! value: a unit of work, a stream of writes, an import and a subscription can be had from nothing else, so no entry can
//! forget to ask. Rights are enforced here, once for all of them: what the request says is decided at once (`rights.rs`), what
//! must be looked up is looked up where the work is done, before its handler (`Admitted::enter`).
//!
//! ```compile_fail
//! use shipei_service_kit::Admitted;
//! let nobody_asked = Admitted::default();
//! ```

use std::sync::Arc;

use chrono::{DateTime, Utc};
use shipei_contracts::{
    NamesThings,
    common::v1::{ErrorReason, Named, Role},
};
use shipei_store::Tx;
use tonic::Request;

use crate::{
    answer::error::{Error, Refusal, Result},
    call::{
        access::Policy,
        consistency::{Applied, Token},
        metadata::{Arrival, Call},
        reach::Reach,
        rights::{self, Decision, Roles},
        things::{self, Asking, Things},
    },
    clock::Clock,
    identity::caller::{Caller, CallerKind},
};

/// A call that may go on, or a service's own work.
#[derive(Debug, Clone)]
pub struct Admitted {
    call: Arc<Call>,
    decision: Arc<Decision>,
    things: Option<Arc<dyn Things>>,
    now: DateTime<Utc>,
    is_own_work: bool,
}

/// A stream of messages that may begin: each of them is admitted for itself.
#[derive(Debug, Clone)]
pub struct AdmittedStream {
    call: Arc<Call>,
    policy: Option<Arc<Policy>>,
    things: Option<Arc<dyn Things>>,
    now: DateTime<Utc>,
}

/// Who may do everything.
fn everything(actor: String) -> Decision {
    let (to_look_up, roles) = (Vec::new(), Roles::default());
    Decision { reach: Reach::Everything, to_look_up, actor, roles, import: true, unmasked: true }
}

/// Who may do what everybody may: nothing that lies anywhere is reached.
fn of_everybody(actor: String) -> Decision {
    Decision { reach: Reach::Programmes(Vec::new()), import: false, unmasked: false, ..everything(actor) }
}

/// Decides by who calls.
fn decide<T: NamesThings + ?Sized>(
    policy: Option<&Policy>,
    caller: &Caller,
    request: &T,
) -> Result<Decision> {
    let refused = || Error::from(Refusal::new(ErrorReason::NotPermitted));
    match &caller.kind {
        CallerKind::Open { .. } => Ok(everything(caller.to_string())),
        _ if policy.is_some_and(|policy| policy.everybody) => Ok(of_everybody(caller.to_string())),
        CallerKind::Token(claims) => {
            let policy = policy.ok_or_else(refused)?;
            Ok(rights::decide(policy, claims, &rights::told(request))?)
        }
        CallerKind::Service { .. } => {
            let is_let_in = |policy: &Policy| policy.rules.iter().any(|(role, _)| *role == Role::Service);
            if !policy.is_some_and(is_let_in) {
                return Err(refused());
            }
            Ok(Decision { import: false, unmasked: false, ..everything(caller.to_string()) })
        }
        CallerKind::Anonymous => Err(refused()),
    }
}

/// The first half of every admission: who calls, and what the token names is known here.
async fn arrive<T>(request: &Request<T>, applied: &Applied) -> Result<(Arc<Call>, Option<Arc<Policy>>)> {
    let call = Arc::new(Call::of(request)?);
    let policy = request.extensions().get::<Arc<Arrival>>().and_then(|arrival| arrival.policy.clone());
    if let Some(token) = &call.token {
        applied.wait_for(token, call.deadline).await?;
    }
    Ok((call, policy))
}

impl Admitted {
    /// Reads who calls, asks who may, and waits until what the caller's token names is known here.
    pub(crate) async fn of<T: NamesThings>(
        request: &Request<T>,
        applied: &Applied,
        things: Option<&Arc<dyn Things>>,
        clock: &Clock,
    ) -> Result<Self> {
        let (call, policy) = arrive(request, applied).await?;
        let decision = decide(policy.as_deref(), &call.caller, request.get_ref())?;
        let things = things.cloned();
        Ok(Self { call, decision: Arc::new(decision), things, now: clock.now(), is_own_work: false })
    }

    /// The work of a service that nobody calls for, as a part of this trace.
    pub(crate) fn service(name: &str, trace: String, clock: &Clock) -> Self {
        let call = Call { caller: Caller::service(name), trace, ..Call::default() };
        let decision = Arc::new(everything(call.caller.to_string()));
        Self { call: Arc::new(call), decision, things: None, now: clock.now(), is_own_work: true }
    }

    /// The call.
    pub fn call(&self) -> &Arc<Call> {
        &self.call
    }

    /// Whether nobody calls: a service works for itself.
    pub(crate) fn is_own_work(&self) -> bool {
        self.is_own_work
    }

    /// Who acts, as events say it: `role:subject@place`, of the grant by which the call was let in.
    pub fn actor(&self) -> &str {
        &self.decision.actor
    }

    /// The roles of all grants by which the call was let in; none of who needs no token.
    pub(crate) fn roles(&self) -> Roles {
        self.decision.roles
    }

    /// May the caller say when something happened?
    pub fn may_import(&self) -> bool {
        self.decision.import
    }

    /// May the caller see what is masked?
    pub fn may_unmask(&self) -> bool {
        self.decision.unmasked
    }

    /// Who asks, for what must not be given to another caller; empty where everybody may do everything.
    pub(crate) fn asker(&self) -> &str {
        match self.call.caller.kind {
            CallerKind::Token(_) => &self.call.caller.subject,
            _ => "",
        }
    }

    /// How far the caller may see of what lies in places. Who works in a unit of work has its reach.
    pub(crate) fn reach(&self) -> &Reach {
        &self.decision.reach
    }

    /// How far the caller may see, when everything that the request names is found within it. Whoever begins to work in a
    /// transaction asks here, before the handler.
    ///
    /// # Errors
    /// NOT_FOUND for a thing that is not within the reach or not there, NOT_PERMITTED for a place outside of it, and what the
    /// database does.
    pub(crate) async fn enter(&self, tx: &mut Tx) -> Result<Reach> {
        let Decision { reach, to_look_up, .. } = &*self.decision;
        if to_look_up.is_empty() && reach.people().is_empty() {
            return Ok(reach.clone());
        }
        let programme_id = to_look_up.first().map_or("", |thing| thing.programme_id.as_str());
        let asking = Asking { subject: &self.call.caller.subject, programme_id, now: self.now };
        things::look_up(tx, self.things.as_deref(), reach, to_look_up, asking).await
    }

    /// For a call whose work begins in no transaction of its own: all that it names must be covered by what it says.
    ///
    /// # Errors
    /// NOT_PERMITTED.
    pub fn without_look_ups(self) -> Result<Self> {
        match self.decision.to_look_up.is_empty() {
            true => Ok(self),
            false => Err(Refusal::new(ErrorReason::NotPermitted).into()),
        }
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

impl AdmittedStream {
    /// Reads who calls and waits until what the caller's token names is known here. Who may call the RPC with no message at all
    /// is not refused before the first one.
    pub(crate) async fn of<T>(
        request: &Request<T>,
        applied: &Applied,
        things: Option<&Arc<dyn Things>>,
        clock: &Clock,
    ) -> Result<Self> {
        let (call, policy) = arrive(request, applied).await?;
        decide(policy.as_deref(), &call.caller, &Nothing)?;
        Ok(Self { call, policy, things: things.cloned(), now: clock.now() })
    }

    /// Admits one message.
    ///
    /// # Errors
    /// NOT_PERMITTED.
    pub fn admit<T: NamesThings>(&self, message: &T) -> Result<Admitted> {
        let decision = Arc::new(decide(self.policy.as_deref(), &self.call.caller, message)?);
        let (call, things) = (self.call.clone(), self.things.clone());
        Ok(Admitted { call, decision, things, now: self.now, is_own_work: false })
    }

    /// The call.
    pub fn call(&self) -> &Arc<Call> {
        &self.call
    }
}

/// A request that names nothing.
struct Nothing;

impl NamesThings for Nothing {
    fn tell_named<'a>(&'a self, _: &mut dyn FnMut(Named, &'static str, &'a str)) {}
}
