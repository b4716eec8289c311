//! The paths of the routes.

/// GitHub's ID-token service.
pub(crate) const ID_TOKEN_PATH: &str = "/_apis/distributedtask/jobs/oidctoken";
/// nuget.org's token service.
pub(crate) const TOKEN_SERVICE_PATH: &str = "/api/v2/token";
/// nuget.org's push endpoint for packages.
pub(crate) const PUSH_PATH: &str = "/api/v2/package";
/// nuget.org's push endpoint for symbol packages.
pub(crate) const SYMBOL_PUSH_PATH: &str = "/api/v2/symbolpackage";
/// nuget.org's check of a key: followed by `/{id}/{version}`.
pub(crate) const VERIFY_KEY_PATH: &str = "/api/v2/verifykey";
/// GitHub's release assets: followed by `/{tag}/{asset}`.
pub(crate) const RELEASES_PATH: &str = "/releases/download";
/// nuget.org's service index.
pub(crate) const SERVICE_INDEX_PATH: &str = "/v3/index.json";
