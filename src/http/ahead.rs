//! A connection that is made before its request is known: it saves the round trips of TCP and TLS (or of a proxy's tunnel)
//! while another service is still answering. Nothing is sent on it before.
//!
//! The client connects only for a request. So a first request makes it connect, and is dropped before anything of it is
//! sent; the connection is kept for the second.

use std::future::{Future, pending, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use hyper::rt::{Read, ReadBuf};
use reqwest::{Client, RequestBuilder};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use tower::util::BoxCloneSyncService;
use tower::{BoxError, Layer, Service};

/// A layer around what connects: the first call starts a connection, and the second gets it. Every other call connects as
/// without the layer.
#[derive(Clone)]
pub(super) struct ConnectAhead {
    started: Arc<Notify>,
    deadline: Instant,
}

impl ConnectAhead {
    /// With this time for the connection, from now on. (The client counts its own limit from the second request.)
    pub(super) fn within(limit: Duration) -> ConnectAhead {
        ConnectAhead { started: Arc::default(), deadline: Instant::now() + limit }
    }

    /// Makes `client`, which has this layer, connect for a request like this one.
    pub(super) async fn start(self, client: Client, request: impl FnOnce(&Client) -> RequestBuilder) {
        let mut request = pin!(request(&client).send());
        let mut has_started = pin!(self.started.notified());
        poll_fn(|context| {
            let is_over = has_started.as_mut().poll(context).is_ready() || request.as_mut().poll(context).is_ready();
            if is_over { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

impl<R, C> Layer<BoxCloneSyncService<R, C, BoxError>> for ConnectAhead {
    type Service = Connector<R, C>;

    fn layer(&self, inner: BoxCloneSyncService<R, C, BoxError>) -> Connector<R, C> {
        let early = Arc::new(Mutex::new(Early::NotStarted));
        Connector { inner, early, started: Arc::clone(&self.started), deadline: self.deadline }
    }
}

/// What connects, and the connection that it has started.
pub(super) struct Connector<R, C> {
    inner: BoxCloneSyncService<R, C, BoxError>,
    early: Arc<Mutex<Early<C>>>,
    started: Arc<Notify>,
    deadline: Instant,
}

enum Early<C> {
    NotStarted,
    Started(Task<C>),
    Taken,
}

/// A task that ends with its owner.
struct Task<C>(JoinHandle<Result<C, BoxError>>);

impl<C> Drop for Task<C> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl<R, C> Clone for Connector<R, C> {
    fn clone(&self) -> Self {
        let (early, started) = (Arc::clone(&self.early), Arc::clone(&self.started));
        Connector { inner: self.inner.clone(), early, started, deadline: self.deadline }
    }
}

impl<R, C> Service<R> for Connector<R, C>
where
    R: Send + 'static,
    C: Read + Send + Unpin + 'static,
{
    type Response = C;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<C, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let connecting = self.inner.call(request);
        let mut early = self.early.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *early, Early::Taken) {
            Early::NotStarted => {
                let limited = timeout_at(self.deadline, connecting);
                let timed_out = |_| Err(io::Error::new(io::ErrorKind::TimedOut, "no connection in time").into());
                *early = Early::Started(Task(tokio::spawn(async move { limited.await.unwrap_or_else(timed_out) })));
                self.started.notify_one();
                Box::pin(pending())
            }
            // What was not polled has not connected.
            Early::Started(mut task) => Box::pin(async move {
                match (&mut task.0).await {
                    Ok(Ok(connection)) => match if_open(connection) {
                        Some(connection) => Ok(connection),
                        None => connecting.await,
                    },
                    // A refusal of TLS or of a proxy would be repeated, and can count as a wrong password.
                    Ok(Err(error)) if !is_io(&*error) => Err(error),
                    Ok(Err(_)) | Err(_) => connecting.await,
                }
            }),
            Early::Taken => connecting,
        }
    }
}

/// Whether the network has failed, and not what answered. (A name that cannot be resolved would fail again.)
fn is_io(error: &(dyn std::error::Error + 'static)) -> bool {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let mut io = causes.filter_map(|cause| cause.downcast_ref::<io::Error>());
    io.any(|error| error.get_ref().is_none())
}

/// A connection on which nothing was sent, if the other side has neither closed it nor sent anything.
fn if_open<C: Read + Unpin>(mut connection: C) -> Option<C> {
    let mut byte = [0];
    let mut buffer = ReadBuf::new(&mut byte);
    let read = Pin::new(&mut connection).poll_read(&mut Context::from_waker(Waker::noop()), buffer.unfilled());
    read.is_pending().then_some(connection)
}
