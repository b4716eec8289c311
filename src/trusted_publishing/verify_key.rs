//! Whether an API key can push a package, without a push (NuGet gallery, `ApiController.cs`, `VerifyPackageKey`).

use std::time::Duration;

use crate::clock::Clock;
use crate::http::client::Http;
use crate::http::error::{Body, HttpError, Rejection};
use crate::http::response::Response;
use crate::package::Package;
use crate::retry::{Attempts, SHORTEST};
use crate::text::{self, Text, text};
use crate::trusted_publishing::login::LoggedIn;

/// Time for the whole request.
const VERIFY_LIMIT: Duration = Duration::from_secs(15);

/// The registry's answer about a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Allowed,
    /// The version does not exist, so that only a push can show it.
    Unknown,
}

/// The key cannot push the package, or it is not known whether it can.
#[derive(Debug)]
pub(crate) struct PushError {
    pub(crate) package: Package,
    pub(crate) http: HttpError,
}

/// Whether the registry has answered with this status. (A web page is not from the registry.)
fn is_rejection(error: &HttpError, status: u16) -> bool {
    matches!(error, HttpError::Rejected(Rejection { head, body, .. })
        if head.status == status && !matches!(body, Body::Page))
}

text::errors!(PushError);

impl PushError {
    /// Whether the registry has refused the package to this key.
    pub(crate) fn is_refusal(&self) -> bool {
        is_rejection(&self.http, 403)
    }

    pub(crate) fn fact(&self) -> Text {
        match self.is_refusal() {
            true => text!("the API key of this trust policy is not allowed to push {}", &self.package.id),
            false => self.http.fact(),
        }
    }
}

/// Asks the registry whether the key of a login can push another version of `package`, until the login's deadline. The key
/// is sent only to the token service that issued it.
pub(crate) fn verify(
    http: &Http<'_>,
    clock: &dyn Clock,
    logged_in: &LoggedIn,
    package: &Package,
) -> Result<Verdict, PushError> {
    let Package { id, version } = package;
    let route = logged_in.token_service.at_path(&format!("/api/v2/verifykey/{id}/{version}"));
    let mut attempts = Attempts::begin(clock, logged_in.left.max(SHORTEST));
    loop {
        let limit = VERIFY_LIMIT.min(attempts.left());
        let response = http.get_with_api_key(&route, &logged_in.api_key.key, limit).and_then(Response::nothing);
        let http = match response {
            Ok(()) => return Ok(Verdict::Allowed),
            Err(error) if is_rejection(&error, 404) => return Ok(Verdict::Unknown),
            Err(error) => error,
        };
        match attempts.next(http.retry().of_a_read()) {
            Ok(wait) => clock.sleep(wait),
            Err(_) => return Err(PushError { package: package.clone(), http }),
        }
    }
}
