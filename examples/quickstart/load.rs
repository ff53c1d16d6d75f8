//! Customers: a handful of connections that order, look at their order, and count what happens to them.

use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, Response, body::Bytes, body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use std::{
    collections::BTreeMap,
    error::Error,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::{net::TcpStream, task::JoinSet, time};

type Failed = Box<dyn Error + Send + Sync>;

/// How many customers there are at once.
const CUSTOMERS: usize = 8;
/// Between two requests of one customer.
const PAUSE: Duration = Duration::from_millis(16);
/// What a customer waits for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What became of all requests so far.
#[derive(Clone, Default, Debug)]
pub(crate) struct Tally {
    pub(crate) requests: u64,
    /// Requests that no release answered: what the machinery of releasing is to blame for.
    pub(crate) failed: u64,
    /// What the first of those said.
    pub(crate) first_failure: Option<String>,
    /// By version: answers, and those of them that were errors of the release.
    pub(crate) versions: BTreeMap<String, Answers>,
}

/// How a version answered.
#[derive(Clone, Default, Debug)]
pub(crate) struct Answers {
    pub(crate) answers: u64,
    pub(crate) errors: u64,
    pub(crate) first_error: Option<Instant>,
    pub(crate) last: Option<Instant>,
}

/// Customers, until it is dropped.
pub(crate) struct Load {
    tally: Arc<Mutex<Tally>>,
    _customers: JoinSet<()>,
}

impl Load {
    /// Has customers come to an address.
    pub(crate) fn on(address: SocketAddr) -> Self {
        let tally = Arc::<Mutex<Tally>>::default();
        let mut customers = JoinSet::new();
        for n in 0..CUSTOMERS {
            customers.spawn(customer(address, n, tally.clone()));
        }
        Load { tally, _customers: customers }
    }

    /// What became of all requests so far.
    pub(crate) fn tally(&self) -> Tally {
        locked(&self.tally).clone()
    }
}

fn locked(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One customer: every third request is an order, the others look at what there is.
async fn customer(address: SocketAddr, n: usize, tally: Arc<Mutex<Tally>>) {
    // Not all at once.
    let mut tick = time::interval_at(time::Instant::now() + PAUSE / CUSTOMERS as u32 * n as u32, PAUSE);
    let mut connection = None;
    for turn in n.. {
        tick.tick().await;
        let answer = match time::timeout(PATIENCE, ask(address, &mut connection, turn)).await {
            Ok(answer) => answer,
            Err(_) => Err("no answer within ten seconds".into()),
        };
        if answer.is_err() {
            connection = None;
        }
        locked(&tally).count(answer);
    }
}

/// Who answered, if a release did, and whether it was an error.
type Answer = Result<(String, bool), Failed>;

async fn ask(
    address: SocketAddr,
    connection: &mut Option<http1::SendRequest<Full<Bytes>>>,
    turn: usize,
) -> Answer {
    let ready = match connection.as_mut() {
        Some(open) => open.ready().await.is_ok(),
        None => false,
    };
    if !ready {
        *connection = Some(connect(address).await?);
    }
    let open = connection.as_mut().ok_or("a connection was just made")?;
    let request = Request::builder().header("host", "orders.example");
    let request = match turn % 3 {
        0 => request
            .method(Method::POST)
            .uri("/orders")
            .header("content-type", "application/json")
            .body(Full::from(r#"{"item":"rope","quantity":2,"note":"forty fathoms"}"#))?,
        _ => request.uri("/orders").body(Full::default())?,
    };
    read(open.send_request(request).await?).await
}

async fn connect(address: SocketAddr) -> Result<http1::SendRequest<Full<Bytes>>, Failed> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (sender, driver) = http1::handshake(TokioIo::new(stream)).await?;
    // It ends with the sender.
    tokio::spawn(driver);
    Ok(sender)
}

async fn read(response: Response<Incoming>) -> Answer {
    let (head, body) = response.into_parts();
    let body = body.collect().await?.to_bytes();
    match head.headers.get("orders-version").and_then(|v| v.to_str().ok()) {
        Some(version) => Ok((version.to_owned(), head.status.is_server_error())),
        None => Err(format!("{}: {}", head.status, String::from_utf8_lossy(&body)).into()),
    }
}

impl Tally {
    fn count(&mut self, answer: Answer) {
        self.requests += 1;
        match answer {
            Ok((version, is_error)) => {
                let now = Instant::now();
                let of = self.versions.entry(version).or_default();
                of.answers += 1;
                of.last = Some(now);
                if is_error {
                    of.errors += 1;
                    of.first_error.get_or_insert(now);
                }
            }
            Err(why) => {
                self.failed += 1;
                self.first_failure.get_or_insert_with(|| {
                    let mut text = why.to_string();
                    let mut below = why.source();
                    while let Some(cause) = below {
                        text.push_str(&format!(": {cause}"));
                        below = cause.source();
                    }
                    text
                });
            }
        }
    }

    /// Errors that releases answered themselves.
    pub(crate) fn errors(&self) -> u64 {
        self.versions.values().map(|of| of.errors).sum()
    }
}
