//! What the supervisor answers, as JSON over HTTP: to the engine, to `towpath-local`, and to whoever has the token.

use super::{prometheus, services::Services};
use crate::{
    note,
    time::after,
    wire::{Beat, DeployOrder, RouteOrder, Wrong, check_version},
};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue},
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{net::TcpListener, sync::Notify};
use towpath_model::Timestamp;
use towpath_provider::{ProviderError, ProviderErrorKind as Kind, ReleaseState, Window};

/// Most bytes of an order.
const ORDER_BYTES: usize = 1 << 20;

/// Who answers.
pub(super) struct Admin {
    pub(super) services: Services,
    pub(super) token: String,
    /// It ends: it takes no more orders.
    pub(super) closing: AtomicBool,
    /// Told when everything has ended, so that the supervisor has nothing left to do.
    pub(super) stopped: Notify,
}

type Answer = Response<Full<Bytes>>;

/// Answers for as long as the supervisor runs.
pub(super) async fn serve(admin: Arc<Admin>, listener: TcpListener) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            after(Duration::from_millis(50)).await;
            continue;
        };
        let admin = Arc::clone(&admin);
        tokio::spawn(async move {
            let handle = service_fn(move |request| {
                let admin = Arc::clone(&admin);
                // On its own: an order that was begun is carried out, also when nobody waits for the answer any more.
                let handled = tokio::spawn(async move { handle(&admin, request).await });
                async move {
                    let broken =
                        |error| failed(&ProviderError::unexpected("the order broke off").because(error));
                    Ok::<_, Infallible>(handled.await.unwrap_or_else(broken))
                }
            });
            let mut http = hyper::server::conn::http1::Builder::new();
            http.timer(TokioTimer::new());
            let _ = http.serve_connection(TokioIo::new(stream), handle).await;
        });
    }
}

async fn handle(admin: &Admin, request: Request<Incoming>) -> Answer {
    if request.method() == Method::GET && request.uri().path() == "/metrics" {
        let page = prometheus::page(&admin.services.all().await);
        return answer(StatusCode::OK, prometheus::CONTENT_TYPE, page.into());
    }
    if !is_known(request.headers().get(AUTHORIZATION), &admin.token) {
        let text = "show the token of supervisor.json: `authorization: Bearer TOKEN`";
        return failed(&ProviderError::new(Kind::Unauthenticated, text));
    }
    if admin.closing.load(Ordering::Acquire) {
        return failed(&ProviderError::unavailable("the supervisor is about to end, and nothing was begun"));
    }
    match order(admin, request).await {
        Ok(answer) => answer,
        Err(error) => failed(&error),
    }
}

/// Compares in a time that does not depend on where they differ.
fn is_known(shown: Option<&HeaderValue>, token: &str) -> bool {
    let shown = shown.and_then(|value| value.as_bytes().strip_prefix(b"Bearer ")).unwrap_or_default();
    let differs = shown.iter().zip(token.as_bytes()).fold(0, |differs, (a, b)| differs | (a ^ b));
    shown.len() == token.len() && differs == 0
}

async fn order(admin: &Admin, request: Request<Incoming>) -> Result<Answer, ProviderError> {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let query = request.uri().query().unwrap_or_default().to_owned();
    let path: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let services = &admin.services;
    match (method.as_str(), path.as_slice()) {
        ("GET", ["v1", "services"]) => {
            json(&services.all().await.iter().map(|service| service.state()).collect::<Vec<_>>())
        }
        ("GET", ["v1", "services", name]) => json(&services.find(name).await?.map(|service| service.state())),
        ("GET", ["v1", "services", name, "releases"]) => {
            let service = services.find(name).await?;
            json::<Vec<ReleaseState>>(&service.map(|service| service.releases_now()).unwrap_or_default())
        }
        ("PUT", ["v1", "services", name, "releases", version]) => {
            let order: DeployOrder = read(request).await?;
            if (order.release.service.as_str(), order.release.version.as_str()) != (*name, *version) {
                let text = "the order names another release than its address";
                return Err(ProviderError::new(Kind::Invalid, text));
            }
            services.deploy(order).await?;
            json(&())
        }
        ("DELETE", ["v1", "services", name, "releases", version]) => {
            services.remove(name, version, Duration::from_millis(number(&query, "drain_ms")?)).await?;
            json(&())
        }
        ("GET", ["v1", "services", name, "routes"]) => {
            json(&services.find(name).await?.and_then(|service| service.routes_now()))
        }
        ("PUT", ["v1", "services", name, "routes"]) => {
            let order: RouteOrder = read(request).await?;
            match services.find(name).await? {
                Some(service) => json(&service.move_traffic(order).await?),
                None => Err(unknown(name, order.expected.as_deref())),
            }
        }
        ("POST", ["v1", "services", name, "heartbeat"]) => {
            let beat: Beat = read(request).await?;
            match services.find(name).await? {
                Some(service) => json(&service.heartbeat(&beat.revision).await?),
                None => Err(unknown(name, Some(&beat.revision))),
            }
        }
        ("GET", ["v1", "services", name, "counts", version]) => {
            check_version(version)?;
            let at = |name| Ok(Timestamp::from_micros(number(&query, name)?.try_into().unwrap_or(i64::MAX)));
            let window = Window { from: at("from_us")?, to: at("to_us")? };
            match services.find(name).await? {
                Some(service) => json(&service.meters.counts(version, window)?),
                None => json(&towpath_provider::Counts::default()),
            }
        }
        ("POST", ["v1", "stop"]) => {
            let drain = Duration::from_millis(number(&query, "drain_ms")?);
            admin.closing.store(true, Ordering::Release);
            services.halt(drain).await;
            note(format_args!("everything has ended, as ordered"));
            admin.stopped.notify_one();
            json(&())
        }
        _ => Err(ProviderError::not_found("there is no such address here").with("method", method)),
    }
}

fn unknown(service: &str, expected: Option<&str>) -> ProviderError {
    match expected {
        Some(revision) => {
            let text = "the service is not known, and so is not what the caller has seen";
            let error = ProviderError::new(Kind::ConditionFailed, text).with("service", service);
            error.with("expected", revision)
        }
        None => {
            let text = "the service is not known: deploy a release of it first";
            ProviderError::new(Kind::Invalid, text).with("service", service)
        }
    }
}

fn number(query: &str, name: &str) -> Result<u64, ProviderError> {
    let found = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    found.and_then(|value| value.parse().ok()).ok_or_else(|| {
        ProviderError::new(Kind::Invalid, "a number is missing in the address").with("name", name)
    })
}

async fn read<T: DeserializeOwned>(request: Request<Incoming>) -> Result<T, ProviderError> {
    let body = Limited::new(request.into_body(), ORDER_BYTES).collect().await.map_err(|error| {
        ProviderError::new(Kind::Invalid, "the order did not arrive, or is above 1 MiB").because(error)
    })?;
    serde_json::from_slice(&body.to_bytes())
        .map_err(|error| ProviderError::new(Kind::Invalid, "the order cannot be understood").because(error))
}

fn answer(status: StatusCode, kind: &'static str, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}

fn json<T: Serialize>(value: &T) -> Result<Answer, ProviderError> {
    let mut text = serde_json::to_vec(value)
        .map_err(|error| ProviderError::unexpected("the answer cannot be written").because(error))?;
    text.push(b'\n');
    Ok(answer(StatusCode::OK, "application/json", text.into()))
}

fn failed(error: &ProviderError) -> Answer {
    let (status, wrong) = Wrong::of(error);
    let text = serde_json::to_vec(&wrong).unwrap_or_default();
    answer(
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        "application/json",
        text.into(),
    )
}
