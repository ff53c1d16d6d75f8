//! What stands between a client and a server, and loses an answer where it is aimed.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
};

/// The name of a server's socket with the usual port.
const SOCKET: &str = ".s.PGSQL.5432";

#[derive(Default)]
struct Aim {
    armed: AtomicBool,
    hits: AtomicU64,
}

/// A socket before that of a server.
pub(crate) struct Between {
    folder: TempDir,
    aim: Arc<Aim>,
}

impl Between {
    /// Stands before the server whose socket is in this folder.
    pub(crate) fn before(server: &Path) -> Self {
        let between = Between { folder: tempfile::tempdir().unwrap(), aim: Arc::default() };
        let listener = UnixListener::bind(between.folder.path().join(SOCKET)).unwrap();
        let (server, aim) = (server.join(SOCKET), between.aim.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = UnixStream::connect(&server).await.unwrap();
                tokio::spawn(pass(client, server, aim.clone()));
            }
        });
        between
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Loses the answer to the next `COMMIT`.
    pub(crate) fn lose_the_next_commit(&self) {
        self.aim.armed.store(true, Ordering::SeqCst);
    }

    pub(crate) fn hits(&self) -> u64 {
        self.aim.hits.load(Ordering::SeqCst)
    }
}

/// Passes on what either side says, until one of them has ended or an answer is lost.
async fn pass(mut client: UnixStream, mut server: UnixStream, aim: Arc<Aim>) {
    let (mut asked, mut said) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    loop {
        let read = tokio::select! {
            read = client.read(&mut asked) => read.map(|n| (n, true)),
            read = server.read(&mut said) => read.map(|n| (n, false)),
        };
        let passed = match read {
            Ok((0, _)) | Err(_) => return,
            Ok((n, true)) => {
                let is_commit = asked[..n].windows(7).any(|bytes| bytes == b"COMMIT\0");
                let lost = is_commit && aim.armed.swap(false, Ordering::SeqCst);
                let passed = server.write_all(&asked[..n]).await;
                if lost {
                    // It has answered, so it has committed.
                    assert!(server.read(&mut said).await.unwrap() > 0);
                    aim.hits.fetch_add(1, Ordering::SeqCst);
                    return;
                }
                passed
            }
            Ok((n, false)) => client.write_all(&said[..n]).await,
        };
        if passed.is_err() {
            return;
        }
    }
}
