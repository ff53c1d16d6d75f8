//! What stands between an engine and the supervisor and breaks calls.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
};
use towpath_provider::contract::Fault;

pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    armed: Arc<Mutex<Option<Fault>>>,
    hits: Arc<AtomicU64>,
}

impl Relay {
    /// Stands before this address.
    pub(crate) async fn before(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let relay =
            Relay { address: listener.local_addr().unwrap(), armed: Arc::default(), hits: Arc::default() };
        let (armed, hits) = (Arc::clone(&relay.armed), Arc::clone(&relay.hits));
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let fault = armed.lock().unwrap().take();
                hits.fetch_add(u64::from(fault.is_some()), Ordering::SeqCst);
                tokio::spawn(pass(client, to, fault));
            }
        });
        relay
    }

    pub(crate) fn arm(&self, fault: Fault) {
        *self.armed.lock().unwrap() = Some(fault);
    }

    pub(crate) fn hits(&self) -> u64 {
        self.hits.load(Ordering::SeqCst)
    }
}

async fn pass(mut client: TcpStream, to: SocketAddr, fault: Option<Fault>) {
    let mut buffer = vec![0; 64 << 10];
    match fault {
        None => {
            let mut server = TcpStream::connect(to).await.unwrap();
            let _ = copy_bidirectional(&mut client, &mut server).await;
        }
        Some(Fault::Unavailable) => {
            let _ = client.read(&mut buffer).await;
            let body = r#"{"error":"the way is blocked","kind":"unavailable"}"#;
            let answer = format!(
                "HTTP/1.1 503 Service Unavailable\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            let _ = client.write_all(answer.as_bytes()).await;
        }
        Some(Fault::LostAnswer) => {
            let mut server = TcpStream::connect(to).await.unwrap();
            let (mut from, mut to) = server.split();
            let (mut sent, _) = client.split();
            tokio::select! {
                // The order was carried out when its answer begins.
                _ = from.read(&mut buffer) => {}
                _ = tokio::io::copy(&mut sent, &mut to) => {}
            }
        }
    }
}
