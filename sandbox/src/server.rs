//! The routes of GitHub, GitLab and nuget.org on one loopback port, and the injected faults.

use std::net::TcpListener as StdListener;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{DefaultBodyLimit, FromRequest, Multipart, Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Json, Response};
use axum::routing::{get, post, put};
use hyper::ext::ReasonPhrase;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt;

use crate::faults::{Effect, Request as Noted, Route, Script};
use crate::gallery::{Gallery, Grant};
use crate::issuer::{self, Issuer};
use crate::paths::{
    ID_TOKEN_PATH, PUSH_PATH, RELEASES_PATH, SERVICE_INDEX_PATH, SYMBOL_PUSH_PATH, TOKEN_SERVICE_PATH, VERIFY_KEY_PATH,
};
use crate::push::{Action, Refusal, authorize, push, push_symbols, verify_key};
use crate::token_service::{Outcome, answer};

/// The maximum size of a request in bytes.
const LARGEST_REQUEST: usize = 256 * 1024 * 1024;

/// The state that the routes share.
pub(crate) struct World {
    /// `http://127.0.0.1:port`.
    pub(crate) base: String,
    /// The credential for GitHub's ID-token service.
    pub(crate) request_token: String,
    /// The state of nuget.org.
    pub(crate) gallery: Mutex<Gallery>,
    /// All issued ID tokens.
    pub(crate) id_tokens: Mutex<Vec<String>>,
    /// The folder with release assets: one folder for each tag, with its assets.
    pub(crate) releases: Option<PathBuf>,
    /// The faults to inject, and the received requests.
    pub(crate) script: Mutex<Script>,
}

/// Serves until the task is dropped.
pub(crate) async fn serve(listener: StdListener, world: Arc<World>) {
    let router = Router::new()
        .merge(metadata(Issuer::GitHub))
        .merge(metadata(Issuer::GitLab))
        .route(ID_TOKEN_PATH, get(id_token))
        .route(TOKEN_SERVICE_PATH, post(token_service))
        .route(SERVICE_INDEX_PATH, get(service_index))
        .route(PUSH_PATH, put(push_package))
        .route(&format!("{PUSH_PATH}/"), put(push_package))
        .route(SYMBOL_PUSH_PATH, put(push_symbol_package))
        .route(&format!("{SYMBOL_PUSH_PATH}/"), put(push_symbol_package))
        .route(&format!("{VERIFY_KEY_PATH}/{{id}}/{{version}}"), get(verify_package_key))
        .route(&format!("{RELEASES_PATH}/{{tag}}/{{asset}}"), get(release_asset))
        .layer(DefaultBodyLimit::disable())
        .with_state(Arc::clone(&world));
    let listener = TcpListener::from_std(listener).expect("a bound, non-blocking listener");
    loop {
        // An error here concerns one connection, or is temporary.
        if let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve_connection(stream, Arc::clone(&world), router.clone()));
        }
    }
}

async fn serve_connection(stream: TcpStream, world: Arc<World>, router: Router) -> std::io::Result<()> {
    // A second handle on the socket, for faults below HTTP.
    let stream = stream.into_std()?;
    let raw = Arc::new(stream.try_clone()?);
    let stream = TokioIo::new(TcpStream::from_std(stream)?);
    let service = service_fn(move |request| respond(request, Arc::clone(&world), router.clone(), Arc::clone(&raw)));
    // An error is an injected fault, or a client that closed the connection.
    let _ = http1::Builder::new().serve_connection(stream, service).await;
    Ok(())
}

/// Responds to a request. An error closes the connection after a fault was written to the socket.
async fn respond(
    request: hyper::Request<hyper::body::Incoming>,
    world: Arc<World>,
    router: Router,
    raw: Arc<std::net::TcpStream>,
) -> anyhow::Result<Response> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(Body::new(body), LARGEST_REQUEST).await?;
    let text = |value: &axum::http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let fault = world.script.lock().expect("no holder panics").next(Noted {
        route: Route::of(parts.uri.path()),
        method: parts.method.to_string(),
        target: parts.uri.to_string(),
        headers: parts.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
        body: body.to_vec(),
    });
    tokio::time::sleep(fault.delay).await;
    let genuine = || async { router.oneshot(Request::from_parts(parts, Body::from(body))).await };
    let written = match fault.effect {
        Effect::Answered => return Ok(genuine().await?),
        Effect::Instead(answer) => answer.to_bytes(),
        Effect::Bytes(bytes) => bytes,
        Effect::Endless { start, then, pause } => {
            let mut stream = TcpStream::from_std(raw.try_clone()?)?;
            stream.write_all(&start).await?;
            while stream.write_all(&then).await.is_ok() {
                tokio::time::sleep(pause).await;
            }
            return Err(anyhow::anyhow!("the client closed the connection"));
        }
        Effect::CutOff(length) => cut_off(genuine().await?, length).await?,
        Effect::Lost => {
            genuine().await?;
            return Err(reset(&raw));
        }
        Effect::Reset => return Err(reset(&raw)),
    };
    let mut stream = TcpStream::from_std(raw.try_clone()?)?;
    stream.write_all(&written).await?;
    stream.shutdown().await?;
    Err(anyhow::anyhow!("the response was a fault"))
}

/// Makes the socket send a reset when it is closed.
fn reset(raw: &std::net::TcpStream) -> anyhow::Error {
    match socket2::SockRef::from(raw).set_linger(Some(std::time::Duration::ZERO)) {
        Ok(()) => anyhow::anyhow!("reset by a fault"),
        Err(error) => error.into(),
    }
}

/// The bytes of a response with a complete head and a truncated body.
async fn cut_off(response: Response, length: usize) -> anyhow::Result<Vec<u8>> {
    let (head, body) = response.into_parts();
    let body = to_bytes(body, LARGEST_REQUEST).await?;
    let mut bytes = format!("HTTP/1.1 {}\r\nContent-Length: {}\r\n", head.status, body.len()).into_bytes();
    for (name, value) in head.headers.iter().filter(|(name, _)| **name != header::CONTENT_LENGTH) {
        bytes.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    bytes.extend(b"\r\n");
    bytes.extend(&body[..length.min(body.len())]);
    Ok(bytes)
}

/// The metadata of an issuer, which relying parties read.
fn metadata(issuer: Issuer) -> Router<Arc<World>> {
    let configuration =
        move |State(world): State<Arc<World>>| async move { Json(issuer.openid_configuration(&world.base)) };
    Router::new()
        .route(&format!("{}/.well-known/openid-configuration", issuer.folder()), get(configuration))
        .route(&format!("{}/.well-known/jwks", issuer.folder()), get(async move || Json(issuer.jwks())))
}

#[derive(Deserialize)]
struct IdTokenQuery {
    audience: Option<String>,
}

async fn id_token(State(world): State<Arc<World>>, Query(query): Query<IdTokenQuery>, headers: HeaderMap) -> Response {
    let expected = format!("Bearer {}", world.request_token);
    if headers.get(header::AUTHORIZATION).is_none_or(|given| given != expected.as_str()) {
        return (StatusCode::UNAUTHORIZED, Json(json!({ "message": "The request token is missing or wrong." })))
            .into_response();
    }
    let gallery = world.gallery.lock().expect("no holder panics");
    let job = &gallery.config.job;
    let audience = query.audience.unwrap_or_else(|| format!("https://github.com/{}", job.repository_owner()));
    let token = Issuer::GitHub.sign(&issuer::github_claims(job, &audience, gallery.clock.now()));
    world.id_tokens.lock().expect("no holder panics").push(token.clone());
    Json(json!({ "count": token.len(), "value": token })).into_response()
}

async fn token_service(State(world): State<Arc<World>>, headers: HeaderMap, body: Bytes) -> Response {
    let outcome = answer(&mut world.gallery.lock().expect("no holder panics"), &headers, &body);
    let page = |status: StatusCode, text: &str| {
        (status, Html(format!("<html><head><title>{text}</title></head><body><h1>{text}</h1></body></html>")))
    };
    match outcome {
        Outcome::Created { api_key, expires } => {
            Json(json!({ "tokenType": "ApiKey", "expires": expires, "apiKey": api_key })).into_response()
        }
        Outcome::Refused { status, message } => refusal(status, "Bearer", &message, Json(json!({ "error": message }))),
        Outcome::SwitchedOff => page(StatusCode::NOT_FOUND, "404 Not Found").into_response(),
        Outcome::TooManyRequests { seconds } => {
            let retry = [(header::RETRY_AFTER, seconds.to_string())];
            (retry, page(StatusCode::TOO_MANY_REQUESTS, "429 Too Many Requests")).into_response()
        }
        Outcome::Unreadable => page(StatusCode::INTERNAL_SERVER_ERROR, "Runtime Error").into_response(),
    }
}

async fn service_index(State(world): State<Arc<World>>) -> Json<Value> {
    let base = &world.base;
    Json(json!({
        "version": "3.0.0",
        "resources": [
            {
                "@id": format!("{base}{PUSH_PATH}"),
                "@type": "PackagePublish/2.0.0",
                "comment": "Push endpoint",
            },
            {
                "@id": format!("{base}{SYMBOL_PUSH_PATH}"),
                "@type": "SymbolPackagePublish/4.9.0",
                "comment": "Push endpoint for symbol packages",
            },
            {
                "@id": format!("{base}{TOKEN_SERVICE_PATH}"),
                "@type": "TokenService/1.0.0",
                "comment": "Token service for trusted publishing",
            },
        ],
    }))
}

async fn release_asset(
    State(world): State<Arc<World>>,
    Path((tag, asset)): Path<(String, String)>,
) -> Result<Vec<u8>, StatusCode> {
    let is_name = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.contains(['/', '\\', ':']);
    let folder = world.releases.as_ref().filter(|_| is_name(&tag) && is_name(&asset)).ok_or(StatusCode::NOT_FOUND)?;
    std::fs::read(folder.join(tag).join(asset)).map_err(|_| StatusCode::NOT_FOUND)
}

async fn push_package(State(world): State<Arc<World>>, request: Request) -> Response {
    pushed(&world, request, push).await
}

async fn push_symbol_package(State(world): State<Arc<World>>, request: Request) -> Response {
    pushed(&world, request, push_symbols).await
}

/// Checks the key, then reads the package and stores it.
async fn pushed(
    world: &World,
    request: Request,
    store: fn(&mut Gallery, &Grant, &[u8]) -> Result<(), Refusal>,
) -> Response {
    let authorized = authorize(&world.gallery.lock().expect("no holder panics"), request.headers(), Action::Push);
    let grant = match authorized {
        Ok(grant) => grant,
        Err(refusal) => return refused(refusal),
    };
    let package = match package_of(request).await {
        Ok(package) => package,
        Err(error) => return (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    };
    match store(&mut world.gallery.lock().expect("no holder panics"), &grant, &package) {
        Ok(()) => StatusCode::CREATED.into_response(),
        Err(refusal) => refused(refusal),
    }
}

async fn verify_package_key(
    State(world): State<Arc<World>>,
    Path((id, version)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let gallery = world.gallery.lock().expect("no holder panics");
    let verified = authorize(&gallery, &headers, Action::Verify);
    match verified.and_then(|grant| verify_key(&gallery, &grant, &id, &version)) {
        Ok(()) => Json(json!({})).into_response(),
        Err(refusal) => refused(refusal),
    }
}

fn refused(Refusal { status, message }: Refusal) -> Response {
    refusal(status, "ApiKey realm=\"127.0.0.1\"", &message, message.clone())
}

/// The package is the first part of a form, or the body itself.
async fn package_of(request: Request) -> anyhow::Result<Bytes> {
    let form = request.headers().get(header::CONTENT_TYPE).is_some_and(|it| it.as_bytes().starts_with(b"multipart/"));
    if !form {
        return Ok(to_bytes(request.into_body(), LARGEST_REQUEST).await?);
    }
    let mut form = Multipart::from_request(request, &()).await?;
    let part = form.next_field().await?.ok_or_else(|| anyhow::anyhow!("The form has no part."))?;
    Ok(part.bytes().await?)
}

/// An error response of nuget.org. The message is in the reason phrase too, because some clients show only that. A 401
/// has a challenge.
fn refusal(status: u16, challenge: &'static str, message: &str, body: impl IntoResponse) -> Response {
    let mut response = (StatusCode::from_u16(status).expect("a status"), body).into_response();
    if response.status() == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static(challenge));
    }
    if let Ok(reason) = ReasonPhrase::try_from(message.as_bytes().to_vec()) {
        response.extensions_mut().insert(reason);
    }
    response
}
