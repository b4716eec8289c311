//! GitHub's ID-token issuer, GitLab's ID tokens, and nuget.org's token service and push endpoint, on loopback: what a login meets, for the
//! demo, the tests and the action's own CI.
//!
//! [`Sandbox::start`] gives a world that lives until it is dropped; [`runner`] reads what a step prints and writes, as
//! GitHub's runner does.

mod api_key;
mod clock;
pub mod config;
pub mod faults;
mod gallery;
pub mod issuer;
pub mod jwt;
pub mod package;
mod paths;
mod policy;
mod push;
pub mod runner;
mod server;
pub mod summary;
mod token_service;
pub mod wire;

use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use anyhow::Context;
use rand::Rng;
use rand::distributions::Alphanumeric;
use tokio::sync::oneshot;

use clock::Clock;
use config::{Config, GitLabPolicy, Policy};
use faults::{Fault, Request, Route, Script};
use gallery::Gallery;
use issuer::Issuer;
use server::World;

/// The claims of an ID token.
pub type Claims = serde_json::Map<String, serde_json::Value>;

/// A loopback GitHub, GitLab and nuget.org on one port. Stops when dropped.
pub struct Sandbox {
    world: Arc<World>,
    clock: Arc<Clock>,
    stop: Option<oneshot::Sender<()>>,
}

impl Sandbox {
    /// Starts serving on a thread of its own; `port` 0 takes a free one. Ready when this returns.
    pub fn start(config: Config, port: u16) -> anyhow::Result<Sandbox> {
        Sandbox::start_with_releases(config, port, None)
    }

    /// The same; GitHub's side serves release assets as well, from a folder with one folder a tag in it.
    pub fn start_with_releases(config: Config, port: u16, releases: Option<PathBuf>) -> anyhow::Result<Sandbox> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .with_context(|| format!("port {port} of 127.0.0.1 can't be used"))?;
        listener.set_nonblocking(true)?;
        let clock = Arc::new(Clock::default());
        let random = || rand::thread_rng().sample_iter(Alphanumeric).take(40).map(char::from).collect::<String>();
        let world = Arc::new(World {
            base: format!("http://{}", listener.local_addr()?),
            // A JSON web token too, whose header begins as that of an ID token.
            request_token: format!("eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9.{}.{}", random(), random()),
            gallery: Mutex::new(Gallery::new(config, Arc::clone(&clock))),
            id_tokens: Mutex::default(),
            releases,
            script: Mutex::new(Script::default()),
        });
        let (stop, stopped) = oneshot::channel();
        let served = Arc::clone(&world);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = server::serve(listener, served) => {}
                    _ = stopped => {}
                }
            });
        });
        Ok(Sandbox { world, clock, stop: Some(stop) })
    }

    /// Starts the seed story after `change` had its way with it, on a free port. For tests: it panics if it can't.
    pub fn with(change: impl FnOnce(&mut Config)) -> Sandbox {
        let mut config = Config::default();
        change(&mut config);
        Sandbox::start(config, 0).expect("a free port on loopback")
    }

    /// `http://127.0.0.1:port`.
    pub fn base_url(&self) -> &str {
        &self.world.base
    }

    /// `ACTIONS_ID_TOKEN_REQUEST_URL` of the job.
    pub fn id_token_request_url(&self) -> String {
        format!("{}{}?api-version=2.0", self.world.base, paths::ID_TOKEN_PATH)
    }

    /// `ACTIONS_ID_TOKEN_REQUEST_TOKEN` of the job.
    pub fn request_token(&self) -> &str {
        &self.world.request_token
    }

    /// The environment of the job's login step, but for `GITHUB_OUTPUT`: `INPUT_USER` is who created the first policy.
    pub fn step_environment(&self) -> [(&'static str, String); 5] {
        let policies = self.policies();
        [
            ("GITHUB_ACTIONS", "true".to_owned()),
            ("ACTIONS_ID_TOKEN_REQUEST_URL", self.id_token_request_url()),
            ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", self.request_token().to_owned()),
            ("INPUT_TOKEN_SERVICE_URL", self.token_service_url()),
            ("INPUT_USER", policies.first().map(|policy| policy.created_by.clone()).unwrap_or_default()),
        ]
    }

    /// What GitLab's runner puts into the environment of a job with `id_tokens:`, one ID token for nuget.org. Where the
    /// config has no such job, it panics.
    pub fn gitlab_environment(&self) -> [(&'static str, String); 2] {
        let id_token = self.gitlab_id_token(token_service::AUDIENCE, |_| {});
        [("GITLAB_CI", "true".to_owned()), ("NUGET_ID_TOKEN", id_token)]
    }

    /// An ID token of GitLab's for `audience`, with the job's claims after `change` had its way with them.
    pub fn gitlab_id_token(&self, audience: &str, change: impl FnOnce(&mut Claims)) -> String {
        let gallery = self.world.gallery.lock().expect("no holder panics");
        let job = gallery.config.gitlab_job.as_ref().expect("the config has a job of GitLab's");
        let mut claims = issuer::gitlab_claims(job, audience, self.clock.now());
        change(&mut claims);
        let token = Issuer::GitLab.sign(&claims);
        self.world.id_tokens.lock().expect("no holder panics").push(token.clone());
        token
    }

    /// The token service.
    pub fn token_service_url(&self) -> String {
        format!("{}{}", self.world.base, paths::TOKEN_SERVICE_PATH)
    }

    /// The base URL of release assets.
    pub fn releases_url(&self) -> String {
        format!("{}{}", self.world.base, paths::RELEASES_PATH)
    }

    /// The V3 service index, the source that a NuGet client pushes to.
    pub fn service_index_url(&self) -> String {
        format!("{}{}", self.world.base, paths::SERVICE_INDEX_PATH)
    }

    /// The push endpoint itself.
    pub fn push_url(&self) -> String {
        format!("{}{}/", self.world.base, paths::PUSH_PATH)
    }

    /// Moves the sandbox's time on, or back with a negative duration.
    pub fn advance(&self, by: time::Duration) {
        self.clock.advance(by);
    }

    /// Lets a fault happen to the `nth` request of a route, counted from 1.
    pub fn fault(&self, route: Route, nth: usize, fault: impl Into<Fault>) {
        self.world.script.lock().expect("no holder panics").add(route, nth, fault.into());
    }

    /// Every request so far.
    pub fn requests(&self) -> Vec<Request> {
        self.world.script.lock().expect("no holder panics").requests().to_vec()
    }

    /// Every ID token that was issued so far.
    pub fn id_tokens(&self) -> Vec<String> {
        self.world.id_tokens.lock().expect("no holder panics").clone()
    }

    /// Every API key that was made so far.
    pub fn api_keys(&self) -> Vec<String> {
        self.world.gallery.lock().expect("no holder panics").keys().cloned().collect()
    }

    /// The policies as they are now: a first use may have saved IDs in them.
    pub fn policies(&self) -> Vec<Policy> {
        let gallery = self.world.gallery.lock().expect("no holder panics");
        gallery.policies.iter().map(|(policy, _)| policy.clone()).collect()
    }

    /// The policies for GitLab CI as they are now.
    pub fn gitlab_policies(&self) -> Vec<GitLabPolicy> {
        let gallery = self.world.gallery.lock().expect("no holder panics");
        gallery.gitlab_policies.iter().map(|(policy, _)| policy.clone()).collect()
    }

    /// Whether a version of a package was pushed.
    pub fn has_package(&self, id: &str, version: &str) -> bool {
        let gallery = self.world.gallery.lock().expect("no holder panics");
        let registration = gallery.packages.get(&id.to_ascii_lowercase());
        registration.is_some_and(|it| it.versions.contains(&gallery::normalized(version)))
    }

    /// An ID token that GitHub's side signed, with the job's claims after `change` had its way with them.
    pub fn forge(&self, audience: &str, change: impl FnOnce(&mut Claims)) -> String {
        let gallery = self.world.gallery.lock().expect("no holder panics");
        let mut claims = issuer::github_claims(&gallery.config.job, audience, self.clock.now());
        change(&mut claims);
        Issuer::GitHub.sign(&claims)
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
    }
}
