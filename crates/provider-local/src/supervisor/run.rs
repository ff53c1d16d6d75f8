//! The life of a supervisor.

use super::{
    admin::{self, Admin},
    services::{Services, make_folders},
};
use crate::{
    files::{self, Folder},
    note,
    process::Process,
    wire::{SEAT_FORMAT, Seat},
};
use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read},
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::OpenOptionsExt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::Notify,
    time::{Instant, timeout},
};

/// How long requests under way have when the supervisor is asked to end.
const LEAVES_WITHIN: Duration = Duration::from_secs(10);

/// How a supervisor has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ended {
    /// It was told to.
    Told,
    /// Another one supervises this folder.
    Another,
}

/// Supervises a folder until told to end. Instances go on without it, and the next one takes them over.
///
/// # Errors
/// When the folder cannot be used.
pub(crate) async fn run(folder: Folder) -> io::Result<Ended> {
    make_folders(&folder)?;
    let Some(_lock) = lock(&folder)? else { return Ok(Ended::Another) };
    super::limits::raise();
    // Handlers rather than the default, so that a program that is started does not inherit what a shell ignores.
    let mut told =
        [signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?, signal(SignalKind::quit())?];
    let before = files::read::<Seat>(&folder.seat()).ok().flatten();
    let services = Services::resume(folder.clone()).await;
    let listener = listen(before.map(|seat| seat.admin)).await?;
    let admin = Arc::new(Admin {
        services,
        token: token()?,
        closing: AtomicBool::new(false),
        stopped: Notify::new(),
    });
    let process =
        Process::this().ok_or_else(|| io::Error::other("this process cannot be told from others"))?;
    let seat =
        Seat { format: SEAT_FORMAT, process, admin: listener.local_addr()?, token: admin.token.clone() };
    files::write(&folder.seat(), &seat)?;
    note(format_args!("supervises {} and answers at {}", folder.path().display(), seat.admin));
    let answers = tokio::spawn(admin::serve(Arc::clone(&admin), listener));
    let [terminate, interrupt, quit] = &mut told;
    tokio::select! {
        () = admin.stopped.notified() => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        _ = quit.recv() => {}
    }
    admin.closing.store(true, Ordering::Release);
    admin.services.close().await;
    let until = Instant::now() + LEAVES_WITHIN;
    let mut look = tokio::time::interval(Duration::from_millis(10));
    // One look more than needed, for the answer to the order to end.
    look.tick().await;
    look.tick().await;
    while admin.services.under_way().await > 0 && Instant::now() < until {
        look.tick().await;
    }
    answers.abort();
    // What was read from this file would lead nowhere.
    let _ = std::fs::remove_file(folder.seat());
    note(format_args!("has ended"));
    Ok(Ended::Told)
}

/// The lock of a folder; `None` when somebody has it. The kernel gives it back when its holder dies.
fn lock(folder: &Folder) -> io::Result<Option<File>> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(folder.lock())?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Where the last supervisor answered, if that can be had: whoever reads metrics there need not learn another address.
async fn listen(before: Option<SocketAddr>) -> io::Result<TcpListener> {
    if let Some(before) = before
        && let Ok(Ok(listener)) = timeout(Duration::from_secs(1), TcpListener::bind(before)).await
    {
        return Ok(listener);
    }
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await
}

/// 128 bits of the system's randomness.
fn token() -> io::Result<String> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
