//! The entry of every read: [`Kit::read`] answers from one snapshot, after the caller's token is caught up with.

use std::future::Future;

use prost::Message;
use shipei_contracts::{GivesPages, NamesThings, common::v1::ErrorReason};
use tonic::{Request, Response, Status};

use crate::{
    answer::{
        error::{Error, Refusal, Result},
        size,
    },
    call::admit::Admitted,
    write::{
        kit::{Kit, respond},
        unit::ReadUnit,
    },
};

impl Kit {
    /// Answers a read from one snapshot, after the caller's token is caught up with.
    ///
    /// # Errors
    /// What the handler answers, and everything that can go wrong around it, as a status with details.
    pub async fn read<State, Req, Res, Handler, Handling>(
        &self,
        state: &State,
        request: Request<Req>,
        handler: Handler,
    ) -> std::result::Result<Response<Res>, Status>
    where
        State: Clone,
        Req: Clone + NamesThings,
        Res: Message + GivesPages,
        Handler: Fn(State, ReadUnit, Req) -> Handling,
        Handling: Future<Output = Result<(ReadUnit, Res)>>,
    {
        let admitted = self.admit(&request).await?;
        let mut request = request.into_inner();
        self.open_page_token(&admitted, &mut request)?;
        let mut response = self.retry(|| self.answer_once(&admitted, state, &request, &handler)).await?;
        self.seal_page_token(&admitted, &mut response);
        Ok(respond(response, &admitted.token()))
    }

    /// What a handler answers from one snapshot, if it fits into a message.
    pub(super) async fn answer_once<State, Req, Res, Handler, Handling>(
        &self,
        admitted: &Admitted,
        state: &State,
        request: &Req,
        handler: &Handler,
    ) -> Result<Res>
    where
        State: Clone,
        Req: Clone,
        Res: Message,
        Handler: Fn(State, ReadUnit, Req) -> Handling,
        Handling: Future<Output = Result<(ReadUnit, Res)>>,
    {
        let tx = self.database().begin_read().await?;
        let unit = ReadUnit::open(tx, admitted).await?;
        let (unit, response) = handler(state.clone(), unit, request.clone()).await?;
        unit.tx.rollback().await?;
        size::check(&response)?;
        Ok(response)
    }

    /// Takes off the seal of the caller. A page token is its caller's: another one's shows where others' rows are.
    fn open_page_token<Req: NamesThings>(&self, admitted: &Admitted, request: &mut Req) -> Result<()> {
        let asker = admitted.asker();
        let Some(token) = request.page_token_mut().filter(|token| !asker.is_empty() && !token.is_empty())
        else {
            return Ok(());
        };
        let opened = self.page_seal().open(asker, token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let refusal = || Error::from(Refusal::new(ErrorReason::InvalidPageToken).field("page_token"));
        *token = opened.ok_or_else(refusal)?;
        Ok(())
    }

    fn seal_page_token<Res: GivesPages>(&self, admitted: &Admitted, response: &mut Res) {
        let asker = admitted.asker();
        if let Some(token) = response.next_page_token_mut().filter(|_| !asker.is_empty())
            && !token.is_empty()
        {
            *token = self.page_seal().seal(asker, token.as_bytes());
        }
    }
}
