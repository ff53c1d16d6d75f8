//! The service that is released: it answers, and gets some requests wrong when it is told to.

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// What `/slow` takes.
const SLOW: Duration = Duration::from_millis(250);

/// Listens at `HOST` and `PORT` of the environment. Of a hundred requests, `ERRORS` are answered with status 500.
///
/// # Panics
/// When it cannot listen there: its supervisor gives it another port.
pub fn serve() {
    let env = |name: &str| std::env::var(name).unwrap_or_default();
    let errors: u64 = env("ERRORS").parse().unwrap_or(0);
    let listener = TcpListener::bind(format!("{}:{}", env("HOST"), env("PORT"))).expect("listen where told");
    let served = Arc::new(AtomicU64::new(0));
    for stream in listener.incoming().flatten() {
        let served = served.clone();
        std::thread::spawn(move || answer(stream, errors, &served));
    }
}

/// Answers requests without a body until the other side has had enough.
fn answer(stream: TcpStream, errors: u64, served: &AtomicU64) -> Option<()> {
    let mut writer = stream.try_clone().ok()?;
    let mut lines = BufReader::new(stream).lines();
    loop {
        let first = lines.next()?.ok()?;
        while !lines.next()?.ok()?.is_empty() {}
        if first.contains("/slow") {
            std::thread::park_timeout(SLOW);
        }
        let is_bad =
            !first.contains("/health") && served.fetch_add(1, Ordering::SeqCst) * errors % 100 + errors > 99;
        let status = if is_bad { "500 Internal Server Error" } else { "200 OK" };
        writer.write_all(format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nok").as_bytes()).ok()?;
    }
}
