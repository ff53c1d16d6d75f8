//! The proxy: from a client to an instance and back.

use super::{
    body::{Count, Counted},
    headers,
    instance::Ticket,
    service::Service,
    upstream::{self, Sent, is_repeatable},
};
use bytes::Bytes;
use http_body_util::{Either, Empty, Full};
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER},
    http::request::Parts,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    net::TcpStream,
    time::{Instant, timeout},
};

/// How long a client may take to send the head of a request, and how long it may be silent between two.
const CLIENT_HEAD_WITHIN: Duration = Duration::from_secs(75);
/// How long an instance may take to begin its answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(300);
/// How long a request waits for an instance that can take it, when there is none.
const WAITS_FOR: Duration = Duration::from_secs(2);

type Answer = Response<Either<Counted, Full<Bytes>>>;

/// Why the proxy itself had to answer with a failure.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Trouble {
    /// No instance could take the request.
    NoInstance,
    /// None of those that should could be reached.
    Unreachable,
}

impl Trouble {
    pub(super) const ALL: [Trouble; 2] = [Trouble::NoInstance, Trouble::Unreachable];

    pub(super) fn name(self) -> &'static str {
        match self {
            Trouble::NoInstance => "no_instance",
            Trouble::Unreachable => "unreachable",
        }
    }
}

/// Serves one connection of a client, to its end.
pub(super) async fn serve(service: Arc<Service>, stream: TcpStream, from: SocketAddr) {
    // A connection that cannot be told to be quick is served as well.
    let _ = stream.set_nodelay(true);
    let handled = Arc::clone(&service);
    let handle = service_fn(|request| {
        let service = Arc::clone(&handled);
        async move { Ok::<_, Infallible>(handle(service, request, from).await) }
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(CLIENT_HEAD_WITHIN);
    let mut connection = std::pin::pin!(http.serve_connection(TokioIo::new(stream), handle));
    // An error is the client's own: it is gone, or sends what is not HTTP, and has been told so.
    tokio::select! {
        _ = connection.as_mut() => {}
        () = service.closed() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

async fn handle(service: Arc<Service>, mut request: Request<Incoming>, from: SocketAddr) -> Answer {
    if request.method() == Method::CONNECT {
        return own(StatusCode::NOT_IMPLEMENTED, "this proxy makes no tunnels");
    }
    headers::pass_on(&mut request, from.ip(), service.address());
    let began = Instant::now();
    let Some(ticket) = first(&service).await else {
        service.meters.trouble(Trouble::NoInstance);
        let text = format!("no instance of {} can take this request", service.name);
        return own(StatusCode::SERVICE_UNAVAILABLE, &text);
    };
    send(service, request, ticket, began).await
}

/// The instance whose turn it is, awaited for a while when there is none.
async fn first(service: &Service) -> Option<Ticket> {
    if let Some(ticket) = service.choice.next() {
        return Some(ticket);
    }
    let until = Instant::now() + WAITS_FOR;
    let mut look = tokio::time::interval(Duration::from_millis(20));
    while Instant::now() < until {
        look.tick().await;
        if let Some(ticket) = service.choice.next() {
            return Some(ticket);
        }
    }
    None
}

/// What of a request can be sent once more.
struct Copy(Option<Parts>);

impl Copy {
    fn of(request: &Request<Incoming>) -> Self {
        let copy = is_repeatable(request).then(|| request.headers().clone());
        Copy(copy.map(|headers| {
            let mut parts = Request::new(()).into_parts().0;
            parts.method = request.method().clone();
            parts.uri = request.uri().clone();
            parts.headers = headers;
            parts
        }))
    }

    fn take(&mut self) -> Option<Request<Sent>> {
        Some(Request::from_parts(self.0.take()?, Either::Right(Empty::new())))
    }
}

/// Sends a request to its instance. What could not be sent at all is sent to another one; what may be repeated is repeated
/// once when the instance closed a used connection instead of answering.
async fn send(service: Arc<Service>, request: Request<Incoming>, ticket: Ticket, began: Instant) -> Answer {
    let mut copy = Copy::of(&request);
    let must_be_fresh = copy.0.is_none();
    let (mut fresh, mut tried) = (must_be_fresh, Vec::new());
    let (mut request, mut ticket) = (request.map(Either::Left), ticket);
    loop {
        let mut connection = match ticket.instance().connect(fresh).await {
            Ok(connection) => connection,
            Err(_) => match another(&service, &ticket, &mut tried) {
                Some(next) => {
                    ticket = next;
                    fresh = must_be_fresh;
                    continue;
                }
                None => return unreachable(&service, ticket, began),
            },
        };
        match timeout(ANSWER_WITHIN, connection.sender.try_send_request(request)).await {
            Ok(Ok(response)) => {
                upstream::keep(ticket.instance(), connection);
                return pass_back(&service, response, ticket, began);
            }
            Ok(Err(mut error)) => {
                let unsent = error.take_message();
                let again = if connection.is_used { copy.take() } else { None };
                if let Some(unsent) = unsent {
                    // A connection that was just made and takes nothing is one to an instance that is ending.
                    if !connection.is_used {
                        match another(&service, &ticket, &mut tried) {
                            Some(next) => ticket = next,
                            None => return unreachable(&service, ticket, began),
                        }
                    }
                    request = unsent;
                } else if let Some(again) = again {
                    request = again;
                } else {
                    return unanswered(&service, ticket, began, StatusCode::BAD_GATEWAY);
                }
                service.meters.again();
                fresh = true;
            }
            Err(_) => return unanswered(&service, ticket, began, StatusCode::GATEWAY_TIMEOUT),
        }
    }
}

/// Another instance than those that were tried.
fn another(service: &Service, ticket: &Ticket, tried: &mut Vec<u64>) -> Option<Ticket> {
    tried.push(ticket.instance().id);
    service.meters.again();
    service.choice.instead(&ticket.instance().version, tried)
}

fn pass_back(service: &Service, response: Response<Incoming>, ticket: Ticket, began: Instant) -> Answer {
    let mut count = Count::new(Arc::clone(&service.meters), ticket, began);
    if response.status().is_server_error() {
        count.fail();
    }
    let mut response = response.map(|body| Either::Left(Counted::new(body, count)));
    headers::pass_back(&mut response);
    response
}

/// The release got the request and did not answer: that is its failure, and not the proxy's.
fn unanswered(service: &Service, ticket: Ticket, began: Instant, status: StatusCode) -> Answer {
    let text = format!("{} did not answer", ticket.instance().name);
    Count::new(Arc::clone(&service.meters), ticket, began).fail();
    own(status, &text)
}

/// No instance could be reached. The release is not blamed: nothing of the request was sent.
fn unreachable(service: &Service, ticket: Ticket, _began: Instant) -> Answer {
    service.meters.trouble(Trouble::Unreachable);
    own(StatusCode::BAD_GATEWAY, &format!("{} cannot be reached, and nothing else", ticket.instance().name))
}

/// An answer of the proxy itself.
fn own(status: StatusCode, text: &str) -> Answer {
    let mut response = Response::new(Either::Right(Full::from(format!("{text}\n"))));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}
