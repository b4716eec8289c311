//! GitHub's ID-token issuer and nuget.org's token service and push endpoint, on loopback.
