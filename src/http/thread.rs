//! The thread that the sockets live on.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::thread;

use anyhow::Context;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

/// A thread of its own for the sockets: a peer that sends without a pause keeps it busy, and must not keep the clock
/// from being looked at.
pub struct NetworkThread {
    runtime: Handle,
    /// Dropped with this, which ends the thread.
    _stop: oneshot::Sender<()>,
}

impl NetworkThread {
    /// Starts it.
    pub fn start() -> anyhow::Result<NetworkThread> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.context("the network's runtime can't be set up")?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let serve = move || {
            let _ = runtime.block_on(stopped);
            // Without waiting: a name may still be being resolved.
            runtime.shutdown_background();
        };
        thread::Builder::new().spawn(serve).context("the network's thread can't be started")?;
        Ok(NetworkThread { runtime: handle, _stop: stop })
    }

    /// What `future` gives, which runs on the thread for as long as somebody waits for it; `None` if it broke off.
    pub async fn run<T: Send + 'static>(&self, future: impl Future<Output = T> + Send + 'static) -> Option<T> {
        struct Aborted(AbortHandle);
        impl Drop for Aborted {
            fn drop(&mut self) {
                self.0.abort();
            }
        }
        let task = self.runtime.spawn(future);
        let _aborted = Aborted(task.abort_handle());
        task.await.ok()
    }
}

/// Resolves a name on a thread of its own, which the system's resolver blocks. Where no thread can be started (at a limit of
/// processes), that is an error: the client's own resolver would panic.
pub struct Resolver;

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        // Whatever a resolver says.
        if name.as_str() == "localhost" {
            let loopback = [SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), SocketAddr::from((Ipv6Addr::LOCALHOST, 0))];
            return Box::pin(async move { Ok(Box::new(loopback.into_iter()) as Addrs) });
        }
        let (sender, resolved) = oneshot::channel();
        let resolve = move || {
            // Nobody may wait for it any more.
            let _ = sender.send((name.as_str(), 0).to_socket_addrs());
        };
        let started = thread::Builder::new().spawn(resolve);
        Box::pin(async move {
            started.map_err(|error| io::Error::other(format!("no thread for the resolver can be started: {error}")))?;
            Ok(Box::new(resolved.await??) as Addrs)
        })
    }
}
