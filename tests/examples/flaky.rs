//! A way to a suite on which every other call goes wrong: its answer is lost, though it was carried out, or it is sent away with a time to
//! come back, by turns.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use anyhow::Result;
use futures::future::BoxFuture;
use http::{Request, Response};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Code, Status,
    body::Body,
    service::Routes,
    transport::{Channel, Endpoint, Error, Server},
};
use tonic_types::{ErrorDetails, StatusExt as _};
use tower::{Service, ServiceExt as _, layer::layer_fn};

/// When who is sent away may come back.
const COME_BACK: Duration = Duration::from_millis(20);

/// It ends when this is dropped.
pub(super) struct Flaky {
    pub(super) address: SocketAddr,
    calls: Arc<AtomicUsize>,
    serving: JoinHandle<()>,
}

impl Flaky {
    pub(super) async fn start(to: &str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let calls = Arc::new(AtomicUsize::new(0));
        let on =
            Forward { to: Endpoint::new(format!("http://{to}"))?.connect_lazy(), calls: Arc::clone(&calls) };
        let serving = tokio::spawn(async move {
            Server::builder()
                .layer(layer_fn(move |_: Routes| on.clone()))
                .add_routes(Routes::default())
                .serve_with_incoming(TcpListenerStream::new(listener))
                .await
                .expect("it serves until it is dropped");
        });
        Ok(Self { address, calls, serving })
    }

    /// How many calls came, those that were made again too.
    pub(super) fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }
}

impl Drop for Flaky {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

#[derive(Clone)]
struct Forward {
    to: Channel,
    calls: Arc<AtomicUsize>,
}

impl Service<Request<Body>> for Forward {
    type Response = Response<Body>;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Response<Body>, Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        let to = self.to.clone();
        Box::pin(async move {
            match number % 4 {
                0 => {
                    to.oneshot(request).await?;
                    Ok(Status::unavailable("the answer was lost").into_http())
                }
                2 => {
                    let details = ErrorDetails::with_retry_info(Some(COME_BACK));
                    let status = Status::with_error_details(Code::ResourceExhausted, "come back", details);
                    Ok(status.into_http())
                }
                _ => to.oneshot(request).await,
            }
        })
    }
}
