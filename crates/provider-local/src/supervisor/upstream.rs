//! Connections to instances.

use super::instance::Instance;
use bytes::Bytes;
use http_body_util::{Either, Empty};
use hyper::{
    Request,
    body::Incoming,
    client::conn::http1::{SendRequest, handshake},
};
use hyper_util::rt::TokioIo;
use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    net::TcpStream,
    time::{Instant, timeout},
};

/// What is sent: the body of the request, or nothing.
pub(super) type Sent = Either<Incoming, Empty<Bytes>>;

/// How long an instance may take to accept a connection.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// How long a connection waits for the next request. Shorter than the time after which servers commonly close one.
const IDLE_FOR: Duration = Duration::from_secs(2);
/// Most connections to one instance that wait.
const IDLE_MOST: usize = 64;

/// A connection that can take a request.
pub(super) struct Connection {
    pub(super) sender: SendRequest<Sent>,
    /// It has carried a request before, so that the other side may have closed it meanwhile.
    pub(super) is_used: bool,
    address: SocketAddr,
}

/// Connections that wait for the next request.
#[derive(Default)]
pub(super) struct Pool(Mutex<Vec<(Connection, Instant)>>);

impl Pool {
    fn with<T>(&self, f: impl FnOnce(&mut Vec<(Connection, Instant)>) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn clear(&self) {
        self.with(Vec::clear);
    }

    /// The connection that waited the shortest.
    fn take(&self, address: SocketAddr) -> Option<Connection> {
        self.with(|waiting| {
            waiting.retain(|(connection, since)| {
                connection.address == address && since.elapsed() < IDLE_FOR && connection.sender.is_ready()
            });
            waiting.pop().map(|(connection, _)| connection)
        })
    }

    fn put(&self, connection: Connection) {
        self.with(|waiting| {
            if waiting.len() < IDLE_MOST {
                waiting.push((connection, Instant::now()));
            }
        });
    }
}

impl Instance {
    /// A connection to this instance. `fresh` never takes one that was used: a request that may not be repeated must not meet
    /// one that the instance is just about to close.
    pub(super) async fn connect(&self, fresh: bool) -> io::Result<Connection> {
        let address = self.address();
        if !fresh && let Some(connection) = self.pool.take(address) {
            return Ok(connection);
        }
        let stream = timeout(CONNECT_WITHIN, TcpStream::connect(address)).await??;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        tokio::spawn(async move {
            // Whoever sent the request is told of the error.
            let _ = connection.await;
        });
        Ok(Connection { sender, is_used: false, address })
    }
}

/// Keeps a connection for the next request, once the answer has been read.
pub(super) fn keep(instance: &Arc<Instance>, mut connection: Connection) {
    let instance = Arc::clone(instance);
    tokio::spawn(async move {
        if connection.sender.ready().await.is_ok() {
            connection.is_used = true;
            instance.pool.put(connection);
        }
    });
}

/// A request that may be sent again: it changes nothing when it is repeated, and has no body.
///
/// The methods are those that RFC 9110, 9.2.2 calls idempotent.
pub(super) fn is_repeatable(request: &Request<Incoming>) -> bool {
    let is_idempotent =
        matches!(request.method().as_str(), "GET" | "HEAD" | "OPTIONS" | "TRACE" | "PUT" | "DELETE");
    is_idempotent && hyper::body::Body::is_end_stream(request.body())
}
