//! GitHub's ID-token service, GitLab's ID tokens, and nuget.org's token service and push endpoints, on loopback: for the
//! demo, the tests and the action's CI.
//!
//! [`Sandbox::start`] starts a sandbox, which stops when it is dropped. [`runner`] reads the log and the output file of a
//! step as GitHub's runner does.

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

/// A GitHub, GitLab and nuget.org on one loopback port. Stops when dropped.
pub struct Sandbox {
    world: Arc<World>,
    clock: Arc<Clock>,
    stop: Option<oneshot::Sender<()>>,
}

impl Sandbox {
    /// Starts a sandbox on its own thread. `port` 0 selects a free port. The sandbox is ready when this returns.
    pub fn start(config: Config, port: u16) -> anyhow::Result<Sandbox> {
        Sandbox::start_with_releases(config, port, None)
    }

    /// Starts a sandbox that also serves release assets from a folder with one folder for each tag.
    pub fn start_with_releases(config: Config, port: u16, releases: Option<PathBuf>) -> anyhow::Result<Sandbox> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .with_context(|| format!("port {port} on 127.0.0.1 cannot be used"))?;
        listener.set_nonblocking(true)?;
        let clock = Arc::new(Clock::default());
        let random = || rand::thread_rng().sample_iter(Alphanumeric).take(40).map(char::from).collect::<String>();
        let world = Arc::new(World {
            base: format!("http://{}", listener.local_addr()?),
            // A JSON web token whose header begins like that of an ID token.
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

    /// Starts a sandbox with a changed default config on a free port. For tests: it panics if that fails.
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

    /// The environment of the job's login step without `GITHUB_OUTPUT`. `INPUT_USER` is the creator of the first policy.
    /// `RUNNER_OS` and `GITHUB_RUN_ID` are missing: they identify a real runner, which hides masked values.
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

    /// The environment of a GitLab CI job with `id_tokens:` and one ID token for nuget.org. It panics if the config has
    /// no such job.
    pub fn gitlab_environment(&self) -> [(&'static str, String); 2] {
        let id_token = self.gitlab_id_token(token_service::AUDIENCE, |_| {});
        [("GITLAB_CI", "true".to_owned()), ("NUGET_ID_TOKEN", id_token)]
    }

    /// GitLab's ID token for `audience` with the job's claims, changed by `change`.
    pub fn gitlab_id_token(&self, audience: &str, change: impl FnOnce(&mut Claims)) -> String {
        let gallery = self.world.gallery.lock().expect("no holder panics");
        let job = gallery.config.gitlab_job.as_ref().expect("the config has a GitLab CI job");
        let mut claims = issuer::gitlab_claims(job, audience, self.clock.now());
        change(&mut claims);
        let token = Issuer::GitLab.sign(&claims);
        self.world.id_tokens.lock().expect("no holder panics").push(token.clone());
        token
    }

    /// The URL of the token service.
    pub fn token_service_url(&self) -> String {
        format!("{}{}", self.world.base, paths::TOKEN_SERVICE_PATH)
    }

    /// The base URL of release assets.
    pub fn releases_url(&self) -> String {
        format!("{}{}", self.world.base, paths::RELEASES_PATH)
    }

    /// The URL of the V3 service index, the source of a NuGet client.
    pub fn service_index_url(&self) -> String {
        format!("{}{}", self.world.base, paths::SERVICE_INDEX_PATH)
    }

    /// The URL of the push endpoint for packages.
    pub fn push_url(&self) -> String {
        format!("{}{}/", self.world.base, paths::PUSH_PATH)
    }

    /// Moves the sandbox's clock forward, or back with a negative duration.
    pub fn advance(&self, by: time::Duration) {
        self.clock.advance(by);
    }

    /// Injects a fault into the `nth` request of a route, counted from 1.
    pub fn fault(&self, route: Route, nth: usize, fault: impl Into<Fault>) {
        self.world.script.lock().expect("no holder panics").add(route, nth, fault.into());
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.world.script.lock().expect("no holder panics").requests().to_vec()
    }

    /// All ID tokens that were issued so far.
    pub fn id_tokens(&self) -> Vec<String> {
        self.world.id_tokens.lock().expect("no holder panics").clone()
    }

    /// All API keys that were created so far.
    pub fn api_keys(&self) -> Vec<String> {
        self.world.gallery.lock().expect("no holder panics").keys().cloned().collect()
    }

    /// The policies for GitHub Actions with their saved IDs.
    pub fn policies(&self) -> Vec<Policy> {
        let gallery = self.world.gallery.lock().expect("no holder panics");
        gallery.policies.iter().map(|(policy, _)| policy.clone()).collect()
    }

    /// The policies for GitLab CI with their saved IDs.
    pub fn gitlab_policies(&self) -> Vec<GitLabPolicy> {
        let gallery = self.world.gallery.lock().expect("no holder panics");
        gallery.gitlab_policies.iter().map(|(policy, _)| policy.clone()).collect()
    }

    /// Whether a version of a package exists.
    pub fn has_package(&self, id: &str, version: &str) -> bool {
        let gallery = self.world.gallery.lock().expect("no holder panics");
        let registration = gallery.packages.get(&id.to_ascii_lowercase());
        registration.is_some_and(|it| it.versions.contains_key(&gallery::normalized(version)))
    }

    /// The symbol package of a version, as it was pushed.
    pub fn symbols(&self, id: &str, version: &str) -> Option<Vec<u8>> {
        let gallery = self.world.gallery.lock().expect("no holder panics");
        gallery.packages.get(&id.to_ascii_lowercase())?.versions.get(&gallery::normalized(version))?.clone()
    }

    /// GitHub's ID token for `audience` with the job's claims, changed by `change`.
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
