//! The entry of every read: [`Kit::read`] answers from one snapshot, after the caller's token is caught up with.

use std::future::Future;

use prost::Message;
use tonic::{Request, Response, Status};

use crate::{
    answer::{
        error::{Error, Result},
        size,
    },
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
        Req: Clone,
        Res: Message,
        Handler: Fn(State, ReadUnit, Req) -> Handling,
        Handling: Future<Output = Result<(ReadUnit, Res)>>,
    {
        let admitted = self.admit(&request).await?;
        let request = request.into_inner();
        let response = self
            .retry(|| async {
                let tx = self.database().begin_read().await?;
                let unit = ReadUnit::new(tx, &admitted);
                let (unit, response) = handler(state.clone(), unit, request.clone()).await?;
                unit.tx.rollback().await?;
                Ok::<_, Error>(response)
            })
            .await?;
        size::check(&response)?;
        Ok(respond(response, &admitted.token()))
    }
}
