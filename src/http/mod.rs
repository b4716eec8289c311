//! HTTP: the one client, its proxy, its certificates, and what can go wrong between a request and its response.

pub mod client;
pub mod error;
pub mod proxy;
pub mod thread;
pub mod tls;
