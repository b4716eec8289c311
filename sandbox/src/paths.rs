//! The paths of the routes.

/// Where GitHub's side issues ID tokens.
pub(crate) const ID_TOKEN_PATH: &str = "/_apis/distributedtask/jobs/oidctoken";
/// Where nuget.org's side exchanges them.
pub(crate) const TOKEN_SERVICE_PATH: &str = "/api/v2/token";
/// Where nuget.org's side takes packages.
pub(crate) const PUSH_PATH: &str = "/api/v2/package";
/// Where GitHub's side serves release assets: `{tag}/{asset}` behind it.
pub(crate) const RELEASES_PATH: &str = "/releases/download";
/// Where nuget.org's side lists its services.
pub(crate) const SERVICE_INDEX_PATH: &str = "/v3/index.json";
