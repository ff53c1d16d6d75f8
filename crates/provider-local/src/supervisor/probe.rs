//! Asking an instance whether it can take traffic.

use super::instance::Instance;
use bytes::Bytes;
use http_body_util::Empty;
use hyper::{Request, client::conn::http1::handshake, header::HOST};
use hyper_util::rt::TokioIo;
use std::{io, net::SocketAddr, time::Duration};
use tokio::{
    net::TcpStream,
    time::{Instant, timeout},
};
use towpath_provider::{Health, HealthProbe};

/// How long an instance may take to come up before bad answers say that it does not.
const COMES_UP_WITHIN: Duration = Duration::from_secs(10);
/// How soon an instance that does not listen yet is asked again.
const NOT_YET: Duration = Duration::from_millis(50);

/// What an instance answered that cannot take traffic.
pub(super) enum Bad {
    /// Nothing listens there.
    NotListening,
    /// In words.
    Said(String),
}

/// Asks once.
pub(super) async fn ask(address: SocketAddr, probe: &HealthProbe) -> Result<(), Bad> {
    let limit = Duration::from_millis(probe.timeout_ms.max(1));
    match timeout(limit, status(address, &probe.path)).await {
        Ok(Ok(status)) if status < 400 => Ok(()),
        Ok(Ok(status)) => Err(Bad::Said(format!("GET {} was answered with {status}", probe.path))),
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => Err(Bad::NotListening),
        Ok(Err(error)) => Err(Bad::Said(format!("GET {} failed: {error}", probe.path))),
        Err(_) => Err(Bad::Said(format!("GET {} was not answered within {limit:?}", probe.path))),
    }
}

async fn status(address: SocketAddr, path: &str) -> io::Result<u16> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    let request = Request::get(path)
        .header(HOST, address.to_string())
        .header("user-agent", "towpath-probe")
        .header("connection", "close")
        .body(Empty::<Bytes>::new())
        .map_err(io::Error::other)?;
    let mut answer = std::pin::pin!(sender.send_request(request));
    // The connection has to be driven while its answer is awaited, and is closed with it.
    let answer = tokio::select! {
        answer = &mut answer => answer,
        _ = connection => answer.await,
    };
    answer.map(|answer| answer.status().as_u16()).map_err(io::Error::other)
}

/// Watches an instance for as long as its process lives.
pub(super) async fn watch(instance: &Instance, probe: &HealthProbe, known_good: bool) {
    let every = Duration::from_millis(probe.every_ms.max(10));
    let (began, mut good, mut bad) = (Instant::now(), 0, 0);
    if known_good {
        instance.set_health(Health::Healthy);
    }
    loop {
        let mut next = every;
        match ask(instance.address(), probe).await {
            Ok(()) => {
                (good, bad) = (good + 1, 0);
                if good >= probe.successes.max(1) {
                    instance.set_health(Health::Healthy);
                }
            }
            Err(why) => {
                (good, bad) = (0, bad + 1);
                let words = match why {
                    Bad::Said(words) => words,
                    Bad::NotListening => {
                        if instance.health() == Health::Starting {
                            next = every.min(NOT_YET);
                        }
                        format!("nothing listens at {}", instance.address())
                    }
                };
                let has_had_time =
                    instance.health() != Health::Starting || began.elapsed() >= COMES_UP_WITHIN;
                if bad >= probe.failures.max(1) {
                    instance.say(words);
                    if has_had_time {
                        instance.set_health(Health::Unhealthy);
                    }
                }
            }
        }
        crate::time::after(next).await;
    }
}
