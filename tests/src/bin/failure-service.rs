//! A small service to be released: it answers whatever it is asked.

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
};

fn main() {
    let env = |name: &str| std::env::var(name).unwrap_or_default();
    let listener = TcpListener::bind(format!("{}:{}", env("HOST"), env("PORT"))).expect("listen where told");
    for stream in listener.incoming().flatten() {
        std::thread::spawn(move || serve(stream));
    }
}

/// Answers requests without a body until the other side has had enough.
fn serve(stream: TcpStream) -> Option<()> {
    let mut writer = stream.try_clone().ok()?;
    let mut lines = BufReader::new(stream).lines();
    loop {
        lines.next()?.ok()?;
        while !lines.next()?.ok()?.is_empty() {}
        writer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").ok()?;
    }
}
