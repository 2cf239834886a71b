//! The entry of a look at what is masked elsewhere: [`Kit::unmask`]. Why no read: the look and its entry in the audit log are one
//! transaction, so nobody has seen what is not told. Why no command: those keep their answers under their request ids, and such an
//! answer is kept nowhere.

use std::future::Future;

use prost::Message;
use shipei_contracts::{NamesThings, common::v1::ErrorReason};
use tonic::{Request, Response, Status};

use crate::{
    answer::error::{Error, Refusal, Result},
    write::{
        kit::{Kit, respond},
        origin::Origin,
        unit::Unit,
    },
};

/// What it is called in the audit log.
const CAUSE: &str = "unmask";

impl Kit {
    /// Shows what is masked elsewhere to who has the right `unmasked`. The handler tells it in the audit log ([`Unit::audit`]), and
    /// may run several times.
    ///
    /// # Errors
    /// NOT_PERMITTED without the right, what the handler answers, and everything that can go wrong around it.
    pub async fn unmask<State, Req, Res, Handler, Handling>(
        &self,
        state: &State,
        request: Request<Req>,
        handler: Handler,
    ) -> std::result::Result<Response<Res>, Status>
    where
        State: Clone,
        Req: Clone + NamesThings,
        Res: Message,
        Handler: Fn(State, Unit, Req) -> Handling,
        Handling: Future<Output = Result<(Unit, Res)>>,
    {
        let admitted = self.admit(&request).await?;
        if !admitted.may_unmask() {
            return Err(Error::from(Refusal::new(ErrorReason::NotPermitted)).into());
        }
        let request = request.into_inner();
        let showing = self.retry(|| {
            let (state, request) = (state.clone(), request.clone());
            self.transact(&admitted, Origin::of(&admitted, CAUSE), |unit| handler(state, unit, request))
        });
        let shown = showing.await?;
        Ok(respond(shown.value, &admitted.token()))
    }
}
