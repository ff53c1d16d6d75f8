//! A tiny HTTP service to try releases on one machine with; the tests run it. Standard library only.
//!
//! It listens where `HOST` and `PORT` say and answers
//!
//! | Address | With |
//! |---|---|
//! | `/health` | 200, or 500 when `HEALTH=bad` |
//! | `/fail` | 500 |
//! | `/slow/MS` | the version, after so many milliseconds |
//! | `/slow-body/MS` | the version, its head at once and its body after so many milliseconds |
//! | `/head` | the head of the request as it arrived |
//! | `/echo` | the body of the request, as it arrives |
//! | `/cut` | half an answer |
//! | `/env/NAME` | a variable of its environment |
//! | anything else | its version |
//!
//! With `EXIT=CODE` it ends at once; with `IDLE_MS=N` it closes connections that were silent for so long
//! after a request; with `ONE=1` it closes
//! each connection after the second request without an answer, as a server does that loses patience.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::Duration,
};

fn main() {
    let env = |name: &str| std::env::var(name).ok();
    if let Some(code) = env("EXIT").and_then(|code| code.parse().ok()) {
        let _ = writeln!(io::stderr(), "cannot begin: told to exit");
        std::process::exit(code);
    }
    let address = format!("{}:{}", env("HOST").unwrap_or_default(), env("PORT").unwrap_or_default());
    let listener = match TcpListener::bind(&address) {
        Ok(listener) => listener,
        Err(error) => {
            let _ = writeln!(io::stderr(), "cannot listen at {address}: {error}");
            std::process::exit(1);
        }
    };
    for stream in listener.incoming().flatten() {
        std::thread::spawn(move || {
            let _ = serve(stream);
        });
    }
}

/// The head of a request.
struct Head {
    path: String,
    lines: String,
    length: u64,
    is_chunked: bool,
}

fn head(reader: &mut impl BufRead) -> io::Result<Option<Head>> {
    let (mut lines, mut length, mut is_chunked) = (String::new(), 0, false);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        is_chunked |= lower.starts_with("transfer-encoding:") && lower.contains("chunked");
        if line.trim().is_empty() {
            break;
        }
        lines += &line;
    }
    let path = lines.split(' ').nth(1).unwrap_or("/").to_owned();
    Ok(Some(Head { path, lines, length, is_chunked }))
}

fn serve(stream: TcpStream) -> io::Result<()> {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    stream.set_nodelay(true)?;
    let (mut reader, mut writer) = (BufReader::new(stream.try_clone()?), stream);
    let mut requests = 0;
    while let Some(head) = head(&mut reader)? {
        requests += 1;
        if number("ONE").is_some() && requests > 1 && head.path != "/health" {
            return Ok(());
        }
        answer(&mut reader, &mut writer, &head)?;
        // Of a connection that was just made, nobody is impatient.
        reader.get_ref().set_read_timeout(number("IDLE_MS").map(Duration::from_millis))?;
    }
    Ok(())
}

fn answer(reader: &mut impl BufRead, writer: &mut impl Write, head: &Head) -> io::Result<()> {
    let version = std::env::var("VERSION").unwrap_or_default();
    let after = |prefix: &str| head.path.strip_prefix(prefix);
    if head.path == "/echo" {
        return echo(reader, writer, head);
    }
    io::copy(&mut reader.take(head.length), &mut io::sink())?;
    if head.path == "/cut" {
        writer.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")?;
        return Err(io::Error::other("cut"));
    }
    if let Some(ms) = after("/slow-body/") {
        write!(writer, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", version.len())?;
        pass(ms);
        return writer.write_all(version.as_bytes());
    }
    let (status, body) = if head.path == "/health" {
        let is_bad = std::env::var("HEALTH").is_ok_and(|health| health == "bad");
        (if is_bad { "500 Internal Server Error" } else { "200 OK" }, String::new())
    } else if head.path == "/fail" {
        ("500 Internal Server Error", version)
    } else if let Some(ms) = after("/slow/") {
        pass(ms);
        ("200 OK", version)
    } else if head.path == "/head" {
        ("200 OK", head.lines.clone())
    } else if let Some(name) = after("/env/") {
        ("200 OK", std::env::var(name).unwrap_or_default())
    } else {
        ("200 OK", version)
    };
    write!(writer, "HTTP/1.1 {status}\r\ncontent-length: {}\r\nserver: test\r\n\r\n{body}", body.len())
}

/// Sends back what arrives, when it arrives.
fn echo(reader: &mut impl BufRead, writer: &mut impl Write, head: &Head) -> io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    if head.is_chunked {
        writer.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let size = usize::from_str_radix(line.trim(), 16).map_err(io::Error::other)?;
            let mut chunk = vec![0; size + 2];
            reader.read_exact(&mut chunk)?;
            write!(writer, "{size:x}\r\n")?;
            writer.write_all(&chunk)?;
            if size == 0 {
                return Ok(());
            }
        }
    }
    write!(writer, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", head.length)?;
    let mut left = head.length as usize;
    while left > 0 {
        let most = left.min(buffer.len());
        let n = reader.read(&mut buffer[..most])?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        writer.write_all(&buffer[..n])?;
        left -= n;
    }
    Ok(())
}

/// Lets some milliseconds pass.
fn pass(ms: &str) {
    let (_never, told) = mpsc::channel::<()>();
    let _ = told.recv_timeout(Duration::from_millis(ms.parse().unwrap_or(0)));
}
