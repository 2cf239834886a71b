//! The entry of looks that are told: at what is masked elsewhere ([`Kit::unmask`]), at whom a search finds ([`Kit::show`]). Why no
//! read: the look and its entry in the audit log are one transaction, so nobody has seen what is not told. Why no command: those
//! keep their answers under their request ids, and such an answer is kept nowhere.

use std::future::Future;

use prost::Message;
use shipei_contracts::{NamesThings, common::v1::ErrorReason};
use tonic::{Request, Response, Status};

use crate::{
    answer::error::{Error, Refusal, Result},
    call::admit::Admitted,
    write::{
        kit::{Kit, respond},
        origin::Origin,
        unit::Unit,
    },
};

/// What it is called in the audit log.
const SHOW: &str = "show";

impl Kit {
    /// Shows what whoever is let in may see and is told in the audit log, by the handler ([`Unit::audit`]), which may run several
    /// times. The answer is kept nowhere.
    ///
    /// # Errors
    /// What the handler answers, and everything that can go wrong around it.
    pub async fn show<State, Req, Res, Handler, Handling>(
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
        self.show_to(state, request, handler, |_| true).await
    }

    /// As [`Kit::show`], to whom `may` lets in.
    ///
    /// # Errors
    /// NOT_PERMITTED for others, and as [`Kit::show`].
    pub async fn show_to<State, Req, Res, Handler, Handling>(
        &self,
        state: &State,
        request: Request<Req>,
        handler: Handler,
        may: impl Fn(&Admitted) -> bool,
    ) -> std::result::Result<Response<Res>, Status>
    where
        State: Clone,
        Req: Clone + NamesThings,
        Res: Message,
        Handler: Fn(State, Unit, Req) -> Handling,
        Handling: Future<Output = Result<(Unit, Res)>>,
    {
        let admitted = self.admit(&request).await?;
        if !may(&admitted) {
            return Err(Error::from(Refusal::new(ErrorReason::NotPermitted)).into());
        }
        let request = request.into_inner();
        let showing = self.retry(|| {
            let (state, request) = (state.clone(), request.clone());
            self.transact(&admitted, Origin::of(&admitted, SHOW), |unit| handler(state, unit, request))
        });
        let shown = showing.await?;
        Ok(respond(shown.value, &admitted.token()))
    }

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
        self.show_to(state, request, handler, Admitted::may_unmask).await
    }
}
