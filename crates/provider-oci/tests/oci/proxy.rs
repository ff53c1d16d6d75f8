//! A proxy that breaks what it is told to break, and counts that it did.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// What happens to a request.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// So many bytes of its body get there; then the connection breaks on both sides.
    CutRequest(usize),
    /// So many bytes of its answer come back; then the connection breaks.
    CutAnswer(usize),
    /// All of it gets there, and nothing comes back.
    LostAnswer,
    /// It does not get there; this is answered.
    Answer(&'static str),
}

/// A fault, aimed at requests of a method whose path holds a text.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) fault: Fault,
    /// How many it passes by first.
    pub(crate) after: u32,
    /// How many it hits.
    pub(crate) times: u32,
}

#[derive(Default)]
struct Shared {
    rules: Vec<Rule>,
    hits: u64,
    seen: Vec<String>,
}

/// A proxy in front of one server, a connection for each request.
#[derive(Clone)]
pub(crate) struct Proxy {
    pub(crate) host: String,
    shared: Arc<Mutex<Shared>>,
}

impl Proxy {
    pub(crate) async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let shared = Arc::<Mutex<Shared>>::default();
        let proxy = Proxy { host, shared: shared.clone() };
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let shared = shared.clone();
                tokio::spawn(async move {
                    // An error is the end of a connection, which is what it is about.
                    let _ = serve(client, server, &shared).await;
                });
            }
        });
        proxy
    }

    /// Aims a fault at the next request of this sort.
    pub(crate) fn aim(&self, method: &'static str, path: &'static str, fault: Fault) {
        self.rule(Rule { method, path, fault, after: 0, times: 1 });
    }

    pub(crate) fn rule(&self, rule: Rule) {
        self.shared.lock().unwrap().rules.push(rule);
    }

    /// How many requests met a fault.
    pub(crate) fn hits(&self) -> u64 {
        self.shared.lock().unwrap().hits
    }

    /// The requests that were seen: method, path, and the value of the header field `range` or `content-range`.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.shared.lock().unwrap().seen.clone()
    }

    /// How many of them were of this sort.
    pub(crate) fn count(&self, method: &str, path: &str) -> usize {
        self.seen().iter().filter(|line| line.starts_with(method) && line.contains(path)).count()
    }
}

impl Shared {
    /// The fault of a request.
    fn meets(&mut self, method: &str, path: &str) -> Option<Fault> {
        let hit = self
            .rules
            .iter_mut()
            .find(|rule| rule.times > 0 && rule.method == method && path.contains(rule.path))?;
        if hit.after > 0 {
            hit.after -= 1;
            return None;
        }
        hit.times -= 1;
        self.hits += 1;
        Some(hit.fault.clone())
    }
}

async fn serve(mut client: TcpStream, server: SocketAddr, shared: &Mutex<Shared>) -> std::io::Result<()> {
    let (mut head, mut buffer) = (Vec::new(), vec![0; 64 << 10]);
    let end = loop {
        if let Some(at) = head.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        match client.read(&mut buffer).await? {
            0 => return Ok(()),
            n => head.extend_from_slice(&buffer[..n]),
        }
    };
    let body = head.split_off(end);
    let text = String::from_utf8_lossy(&head[..end - 2]).into_owned();
    let mut words = text.split(' ');
    let (method, path) =
        (words.next().unwrap_or_default().to_owned(), words.next().unwrap_or_default().to_owned());
    let fault = {
        let mut shared = shared.lock().unwrap();
        let field = |name: &str| {
            let line = text.lines().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}:")));
            line.map_or(String::new(), |line| format!(" {}", line[name.len() + 1..].trim()))
        };
        let line = format!("{method} {path}{}{}", field("range"), field("content-range"));
        shared.seen.push(line);
        shared.meets(&method, &path)
    };
    if let Some(Fault::Answer(answer)) = fault {
        client.write_all(answer.as_bytes()).await?;
        client.shutdown().await?;
        // Takes what still comes, so that the answer is not thrown away with it.
        while client.read(&mut buffer).await? > 0 {}
        return Ok(());
    }
    let mut upstream = TcpStream::connect(server).await?;
    // One request for each connection: nothing has to be understood of what follows.
    upstream.write_all(format!("{text}connection: close\r\n\r\n").as_bytes()).await?;
    let (mut from, mut to) = client.split();
    let (mut from_upstream, mut to_upstream) = upstream.split();
    let up = async {
        let most = if let Some(Fault::CutRequest(most)) = fault { most } else { usize::MAX };
        let first = &body[..body.len().min(most)];
        to_upstream.write_all(first).await?;
        let mut sent = first.len();
        while sent < most {
            let n = from.read(&mut buffer).await?;
            if n == 0 {
                // It may only have nothing more to say.
                return std::future::pending::<std::io::Result<()>>().await;
            }
            let n = n.min(most - sent);
            to_upstream.write_all(&buffer[..n]).await?;
            sent += n;
        }
        to_upstream.flush().await
    };
    let down = async {
        let most = match fault {
            Some(Fault::CutAnswer(most)) => most,
            Some(Fault::LostAnswer) => 0,
            _ => usize::MAX,
        };
        let (mut buffer, mut came) = (vec![0; 64 << 10], 0);
        loop {
            let n = from_upstream.read(&mut buffer).await?;
            if n == 0 {
                return Ok(());
            }
            if matches!(fault, Some(Fault::LostAnswer)) {
                continue;
            }
            let n = n.min(most - came);
            to.write_all(&buffer[..n]).await?;
            came += n;
            if came == most {
                return Ok(());
            }
        }
    };
    tokio::select! { end = up => end, end = down => end }
}
