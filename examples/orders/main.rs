//! A small service to be released: orders in a SQLite database, over HTTP. The quickstart builds several versions of it.
//!
//! What it is, is decided when it is built: `ORDERS_VERSION` is its version, `ORDERS_LATENCY_MS` how long it takes for an
//! answer, `ORDERS_ERRORS_PER_MILLE` how many of a thousand requests it gets wrong. A platform tells it where to listen by
//! `HOST` and `PORT`, and where its database is by `ORDERS_DB`.
#![expect(clippy::print_stdout, reason = "a service says on standard output that it listens")]

mod book;

use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderValue, StatusCode},
    middleware::{self, Next},
    response::Response,
    routing::get,
};
use book::{Book, NewOrder, Order};
use std::{
    env,
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

const VERSION: &str = match option_env!("ORDERS_VERSION") {
    Some(version) => version,
    None => "0.0.0",
};

/// What a version is like.
#[derive(Clone, Copy)]
struct Nature {
    latency: Duration,
    errors_per_mille: u64,
}

impl Nature {
    /// What this binary was built with.
    fn built() -> Result<Self, Box<dyn Error>> {
        let number = |name: &str, text: Option<&str>| match text {
            Some(text) => text.parse().map_err(|e| format!("built with {name}={text}: {e}")),
            None => Ok(0),
        };
        Ok(Nature {
            latency: Duration::from_millis(number("ORDERS_LATENCY_MS", option_env!("ORDERS_LATENCY_MS"))?),
            errors_per_mille: number("ORDERS_ERRORS_PER_MILLE", option_env!("ORDERS_ERRORS_PER_MILLE"))?,
        })
    }

    /// Whether the n-th request goes wrong: evenly spread, so that a few hundred requests show what it is like.
    fn errs(self, n: u64) -> bool {
        (n * self.errors_per_mille) % 1_000 + self.errors_per_mille > 999
    }
}

type Answer<T> = Result<Json<T>, (StatusCode, String)>;

async fn list(State(book): State<Arc<Book>>) -> Answer<Vec<Order>> {
    on(book, Book::newest).await
}

async fn show(State(book): State<Arc<Book>>, Path(id): Path<i64>) -> Answer<Order> {
    let found = on(book, move |book| book.order(id)).await?;
    found.0.map(Json).ok_or_else(|| (StatusCode::NOT_FOUND, format!("there is no order {id}")))
}

async fn place(State(book): State<Arc<Book>>, Json(new): Json<NewOrder>) -> Answer<Order> {
    if new.item.is_empty() || new.quantity == 0 {
        return Err((StatusCode::UNPROCESSABLE_ENTITY, "an order wants an item and a quantity".into()));
    }
    on(book, move |book| book.place(&new)).await
}

/// Uses the database, on a thread that may block.
async fn on<T: Send + 'static>(
    book: Arc<Book>,
    work: impl FnOnce(&Book) -> rusqlite::Result<T> + Send + 'static,
) -> Answer<T> {
    let done = tokio::task::spawn_blocking(move || work(&book)).await;
    match done {
        Ok(Ok(value)) => Ok(Json(value)),
        Ok(Err(error)) => Err((StatusCode::INTERNAL_SERVER_ERROR, error.to_string())),
        Err(error) => Err((StatusCode::INTERNAL_SERVER_ERROR, error.to_string())),
    }
}

/// Answers as this version does: late, wrong, and always with its version.
#[expect(clippy::disallowed_methods, reason = "a slow service is slow by the real clock")]
async fn as_built(
    State((nature, count)): State<(Nature, Arc<AtomicU64>)>,
    request: axum::extract::Request,
    next: Next,
) -> Response {
    tokio::time::sleep(nature.latency).await;
    let mut response = match nature.errs(count.fetch_add(1, Ordering::Relaxed)) {
        true => {
            let mut wrong = Response::new("this version gets some requests wrong".into());
            *wrong.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            wrong
        }
        false => next.run(request).await,
    };
    response.headers_mut().insert("orders-version", HeaderValue::from_static(VERSION));
    response
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let book = Arc::new(Book::open(&env::var("ORDERS_DB").unwrap_or_else(|_| "orders.db".into()))?);
    let host = env::var("HOST").unwrap_or_else(|_| "127.0.0.1".into());
    let port = env::var("PORT").unwrap_or_else(|_| "0".into());

    let nature = (Nature::built()?, Arc::new(AtomicU64::new(0)));
    let app = Router::new()
        .route("/orders", get(list).post(place))
        .route("/orders/{id}", get(show))
        .layer(middleware::from_fn_with_state(nature, as_built))
        // Being healthy is no request of a customer: it is neither late nor counted.
        .route("/health", get(|| async { VERSION }))
        .with_state(book);
    let listener = tokio::net::TcpListener::bind(format!("{host}:{port}")).await?;
    println!("orders {VERSION} listens at http://{}", listener.local_addr()?);
    axum::serve(listener, app).with_graceful_shutdown(asked_to_stop()).await?;
    Ok(())
}

/// Returns when the platform, or a person, asks it to stop; requests under way are finished then.
async fn asked_to_stop() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let (Ok(mut term), Ok(mut int)) =
            (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
        {
            tokio::select! {
                _ = term.recv() => {}
                _ = int.recv() => {}
            }
        }
    }
    #[cfg(not(unix))]
    drop(tokio::signal::ctrl_c().await);
}
