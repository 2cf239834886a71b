//! The entry of every command: [`Kit::write`] admits the call, makes it repeatable by its request id, and puts it in
//! line; the answer comes when it is kept, with a consistency token. One shape for the handlers of all services: an
//! async function of the service's state, a unit and the request, which gives the unit back with the response.

use std::future::Future;

use chrono::{DateTime, Utc};
use prost::{Message, Name};
use shipei_contracts::{NamesThings, WriteRequest};
use shipei_store::{DataKeys, idempotency};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::{
    answer::error::{Error, Result},
    call::{admit::Admitted, stated_time::StatedTimes},
    telemetry::traces::Course,
    write::{
        command::{Job, RequestKey, Typed},
        facts::Correcting,
        group,
        kit::{Kit, respond},
        origin::Origin,
        unit::Unit,
    },
};

/// The longest request id, bytes.
pub const REQUEST_ID_BYTES_MAX: usize = 128;

impl Kit {
    /// Carries a write out. The handler may run several times, each time with a fresh unit; what it wrote is kept
    /// when it gives the unit back with a response, and undone otherwise. With a `request_id` the write is
    /// carried out once, and the same request again gets the same answer.
    ///
    /// # Errors
    /// What the handler answers, and everything that can go wrong around it, as a status with details.
    pub async fn write<State, Req, Res, Handler, Handling>(
        &self,
        state: &State,
        request: Request<Req>,
        handler: Handler,
    ) -> std::result::Result<Response<Res>, Status>
    where
        State: Clone + Send + Sync + 'static,
        Req: Message + Name + Clone + Default + WriteRequest + NamesThings + 'static,
        Res: Message + Default + 'static,
        Handler: Fn(State, Unit, Req) -> Handling + Send + Sync + 'static,
        Handling: Future<Output = Result<(Unit, Res)>> + Send + 'static,
    {
        let admitted = self.admit(&request).await?;
        self.check_room()?;
        let request = request.into_inner();
        let occurred_at = resolve_occurred_at(&admitted, &request)?;
        let key = key_of(self.keys(), &admitted, &request)?;
        if request.validate_only() {
            let origin = Origin::of(&admitted, &Req::full_name()).occurred_at(occurred_at);
            let rehearsing = self.retry(|| {
                let (state, request) = (state.clone(), request.clone());
                self.rehearse(&admitted, origin.clone(), |unit| handler(state, unit, request))
            });
            return Ok(respond(rehearsing.await?, &admitted.token()));
        }
        let cause = key.as_ref().map_or_else(Req::full_name, |key| key.id.clone());
        let request_id = key.as_ref().map_or("", |key| key.id.as_str());
        let origin = Origin::of(&admitted, &cause).request_id(request_id).occurred_at(occurred_at);
        let correcting = self.correcting(&request)?;
        let mut token = admitted.token();
        let ended = || Error::Unavailable("the service is ending".to_owned());

        let (answer, answered) = oneshot::channel();
        let gone = CancellationToken::new();
        let _going = gone.clone().drop_guard();
        let lane = self.lines().lane_of(request.concerns());
        let is_recorded = key.is_some();
        let state = state.clone();
        let command =
            Box::new(Typed { state, request, handler, correcting, is_recorded, response: None, answer });
        let room = self.lines().room().acquire_owned().await.map_err(|_| ended())?;
        let course = Course::current();
        let begins =
            self.lines().put(lane, Job { admitted, origin, key, command, course, gone, _room: room });
        if begins {
            tokio::spawn(group::serve(self.clone(), lane));
        }
        let (response, written) = answered.await.map_err(|_| ended())??;
        token.merge(&written);
        Ok(respond(response, &token))
    }
}

impl Kit {
    /// What a request corrects, if it does.
    fn correcting<Req: WriteRequest>(&self, request: &Req) -> Result<Option<Correcting>> {
        let Some(correction) = request.correction().cloned() else { return Ok(None) };
        let no_facts =
            || Error::Internal(format!("{} does not say what it does about its facts", self.source()));
        let facts = self.facts().ok_or_else(no_facts)?.clone();
        let programme_id = request.programme_id().to_owned();
        Ok(Some(Correcting { facts, source: self.source(), programme_id, correction }))
    }
}

/// What the digest of a request is for, among keyed digests.
const REQUEST_DIGEST: &[u8] = b"request";

/// A request id is its caller's: another one who uses it is told that it is taken, and nothing of what became of it.
fn key_of<Req: Message + Name + WriteRequest>(
    keys: &DataKeys,
    admitted: &Admitted,
    request: &Req,
) -> Result<Option<RequestKey>> {
    let id = request.request_id();
    if id.is_empty() {
        return Ok(None);
    }
    if let Some(fault) = shipei_text::fault_of_id(id, REQUEST_ID_BYTES_MAX) {
        return Err(Error::invalid("request_id", fault));
    }
    let method = Req::full_name();
    let plain = match admitted.asker() {
        "" => idempotency::digest(&method, &request.encode_to_vec()),
        // No name of a method has this sign, and no subject either.
        asker => idempotency::digest(&format!("{method}|{asker}"), &request.encode_to_vec()),
    };
    // Keyed: a request may hold an identity number, of which there are few enough to try them all against a plain digest.
    let digest = keys.lookup().digest(REQUEST_DIGEST, &plain).to_vec();
    Ok(Some(RequestKey { id: id.to_owned(), method, digest }))
}

fn resolve_occurred_at<Req: WriteRequest>(admitted: &Admitted, request: &Req) -> Result<DateTime<Utc>> {
    let now = admitted.now();
    request.occurred_at().map_or(Ok(now), |stated| StatedTimes::of(admitted, now).read(&stated))
}
