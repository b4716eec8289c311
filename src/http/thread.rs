//! The thread that owns the sockets. Everything above it is synchronous.

use std::io;
use std::net::ToSocketAddrs;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use crate::clock::Clock;

/// A separate thread for the sockets: a server that sends without a pause keeps it busy, and must not keep the deadline
/// from being noticed.
pub(crate) struct NetworkThread {
    runtime: Handle,
    /// Its end ends the thread.
    _stop: oneshot::Sender<()>,
}

impl NetworkThread {
    pub(crate) fn start() -> anyhow::Result<NetworkThread> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.context("the network runtime cannot be set up")?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let serve = move || {
            let _ = runtime.block_on(stopped);
            // Without waiting for anything.
            runtime.shutdown_background();
        };
        thread::Builder::new().spawn(serve).context("the network thread cannot be started")?;
        Ok(NetworkThread { runtime: handle, _stop: stop })
    }

    /// Runs `future` on the thread, and does not wait for it.
    pub(crate) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(future);
    }

    /// Runs `future` on the thread and waits for its output; `None` after `limit`, when the future is dropped.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
        limit: Duration,
        clock: &dyn Clock,
    ) -> Option<T> {
        let (sender, receiver) = mpsc::sync_channel(1);
        let task = self.runtime.spawn(async move {
            let _ = sender.send(future.await);
        });
        let mut output = None;
        clock.wait_for(limit, &mut |limit| match receiver.recv_timeout(limit) {
            Ok(received) => {
                output = Some(received);
                true
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => false,
        });
        task.abort();
        output
    }
}

/// Resolves each name on a thread, which the system's resolver blocks. Where no thread can be started (at a process limit),
/// that is an error: the client's own resolver would panic.
pub(crate) struct Resolver;

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (sender, resolved) = oneshot::channel();
        let resolve = move || {
            // The receiver can be gone.
            let _ = sender.send((name.as_str(), 0).to_socket_addrs());
        };
        let started = thread::Builder::new().spawn(resolve);
        Box::pin(async move {
            started.map_err(|error| io::Error::other(format!("the resolver's thread cannot be started: {error}")))?;
            Ok(Box::new(resolved.await??) as Addrs)
        })
    }
}
