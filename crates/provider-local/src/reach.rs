//! Reaching the supervisor of a folder, and starting it when there is none.

use crate::{
    files::{self, Folder},
    process::Process,
    supervise::{ANOTHER, NOT_CALLED, ROLE},
    time::after,
    wire::{SEAT_FORMAT, Seat, Wrong},
};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    Request,
    client::conn::http1::handshake,
    header::{AUTHORIZATION, HOST},
};
use hyper_util::rt::TokioIo;
use std::{
    ffi::OsString,
    io,
    path::Path,
    process::{Command, ExitStatus, Stdio},
    time::Duration,
};
use tokio::{
    net::TcpStream,
    sync::{Mutex, oneshot},
    time::{Instant, timeout},
};
use towpath_provider::ProviderError;

/// How long the supervisor may take to accept a connection.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// How long a program may take to become the supervisor; taking over many instances takes some of it.
const BECOMES_WITHIN: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How soon another one is started where a supervisor was that did not answer.
const AGAIN_EVERY: Duration = Duration::from_millis(200);
/// How long a supervisor that was told to end may take for that, once it has said that all instances have.
const LEAVES_WITHIN: Duration = Duration::from_secs(15);

/// Closes what a shell may have opened for its own purposes, such as a lock, before the supervisor begins. Everything that this
/// process itself has opened is closed by the kernel.
const CLEAN: &str = "exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-; exec \"$@\"";

/// The way to the supervisor of a folder.
#[derive(Debug)]
pub(crate) struct Reach {
    pub(crate) folder: Folder,
    /// What becomes the supervisor; this program itself, if nothing else is said.
    pub(crate) program: Option<(OsString, Vec<OsString>)>,
    /// One start at a time; between processes the lock of the folder decides.
    starting: Mutex<()>,
}

/// How the program ended that was started.
type End = oneshot::Receiver<Option<ExitStatus>>;

/// One call.
pub(crate) struct Call<'a> {
    pub(crate) operation: &'static str,
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) body: Vec<u8>,
    /// It changes something, so that a lost answer is an unknown outcome.
    pub(crate) has_effect: bool,
    pub(crate) within: Duration,
    pub(crate) service: &'a str,
}

impl Reach {
    pub(crate) fn new(folder: &Path) -> Self {
        Reach { folder: Folder::new(folder), program: None, starting: Mutex::new(()) }
    }

    /// Whether nothing was ever deployed here, so that there is nothing to ask.
    pub(crate) fn is_fresh(&self) -> bool {
        !self.folder.services().is_dir()
    }

    /// Sends a call, and starts the supervisor when there is none.
    pub(crate) async fn call(&self, call: Call<'_>) -> Result<Bytes, ProviderError> {
        let (operation, service) = (call.operation, call.service.to_owned());
        let named = |error: ProviderError| error.during(operation).with("service", &service);
        let mut seat = self.seat().await.map_err(named)?;
        let mut stream = connect(&seat).await;
        if stream.is_err() && !seat.process.lives() {
            // It died just now.
            seat = self.seat().await.map_err(named)?;
            stream = connect(&seat).await;
        }
        let stream = stream.map_err(|error| {
            let text = "the supervisor does not answer, and nothing was sent";
            named(ProviderError::unavailable(text).with("address", seat.admin).because(error))
        })?;
        let has_effect = call.has_effect;
        let lost = |error: io::Error| {
            let text = "the supervisor was asked, and its answer was lost";
            let error = if has_effect {
                ProviderError::outcome_unknown(text).because(error)
            } else {
                ProviderError::unavailable(text).because(error)
            };
            named(error)
        };
        let within = call.within;
        let sent = timeout(within, send(stream, &seat, call)).await.unwrap_or_else(|_| {
            Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {within:?}")))
        });
        let (is_good, body) = sent.map_err(lost)?;
        if is_good {
            return Ok(body);
        }
        let wrong: Wrong = serde_json::from_slice(&body).map_err(|error| lost(error.into()))?;
        Err(wrong.error().during(operation))
    }

    /// The supervisor that runs, if one does.
    fn running(&self) -> Result<Option<Seat>, ProviderError> {
        let path = self.folder.seat();
        let seat = files::read::<Seat>(&path).map_err(|error| {
            let text = "where the supervisor sits cannot be read: if no supervisor runs in this folder, remove the file";
            ProviderError::unexpected(text).with("file", path.display()).because(error)
        })?;
        match seat {
            Some(seat) if seat.format > SEAT_FORMAT => {
                let text = "the supervisor of this folder is of a newer version than this program";
                Err(ProviderError::unsupported(text).with("file", path.display()))
            }
            // What a dead one has left leads to nobody, or to somebody else.
            seat => Ok(seat.filter(|seat| seat.process.lives())),
        }
    }

    /// Waits until the supervisor that was told to end has ended, so that the next call does not meet it.
    pub(crate) async fn is_left(&self) -> Result<(), ProviderError> {
        let began = Instant::now();
        while began.elapsed() < LEAVES_WITHIN {
            if self.running()?.is_none() {
                return Ok(());
            }
            after(LOOK_EVERY).await;
        }
        Err(ProviderError::outcome_unknown("all instances have ended, and the supervisor has not"))
    }

    async fn seat(&self) -> Result<Seat, ProviderError> {
        if let Some(seat) = self.running()? {
            return Ok(seat);
        }
        let _one = self.starting.lock().await;
        match self.running()? {
            Some(seat) => Ok(seat),
            None => self.start().await,
        }
    }

    async fn start(&self) -> Result<Seat, ProviderError> {
        let began = Instant::now();
        let mut ours = Some(self.spawn()?);
        while began.elapsed() < BECOMES_WITHIN {
            if let Some(seat) = self.running()? {
                return Ok(seat);
            }
            let Some((ended, _)) = &mut ours else {
                // Somebody else was faster and is about to answer, or is about to end.
                after(AGAIN_EVERY).await;
                if self.running()?.is_none() {
                    ours = Some(self.spawn()?);
                }
                continue;
            };
            tokio::select! {
                status = ended => match status.ok().flatten().and_then(|status| status.code()) {
                    Some(0 | ANOTHER) => ours = None,
                    code => return Err(self.did_not_become(code)),
                },
                () = after(LOOK_EVERY) => {}
            }
        }
        if let Some((_, Some(process))) = ours {
            process.signal(rustix::process::Signal::KILL);
        }
        let text = "the program that was started did not become the supervisor in time: call \
                    `towpath_provider_local::supervise_here()` first in its `main`, or name another program by \
                    `Local::supervisor`, such as `towpath-local`";
        Err(ProviderError::unavailable(text).with("within", format!("{BECOMES_WITHIN:?}")))
    }

    /// Starts the program that is to become the supervisor: in no one's way, and with nothing of this process but its
    /// environment without secrets.
    fn spawn(&self) -> Result<(End, Option<Process>), ProviderError> {
        let unusable = |error: io::Error| {
            let text =
                "the folder of releases cannot be written, and nothing was begun: look for space and rights";
            ProviderError::unavailable(text).with("folder", self.folder.path().display()).because(error)
        };
        files::make(self.folder.path()).map_err(unusable)?;
        let log = files::log(&self.folder.log()).map_err(unusable)?;
        let errors = log.try_clone().map_err(unusable)?;
        // What cannot be rotated now is rotated the next time.
        let _ = files::rotate(&self.folder.log(), 1 << 20);
        let (program, arguments) = match &self.program {
            Some((program, arguments)) => (from_the_root(program), arguments.clone()),
            None => (std::env::current_exe().map_err(unknown_program)?.into_os_string(), Vec::new()),
        };
        let mut command = Command::new("/bin/sh");
        command.args(["-c", CLEAN, "towpath-supervisor"]).arg(&program).args(arguments);
        command.stdin(Stdio::null()).stdout(log).stderr(errors);
        // Not where this process is: that folder may be on a disk that is to go.
        command.env(ROLE, self.folder.path()).current_dir(self.folder.path());
        let private = |name: &OsString| {
            let name = name.to_string_lossy();
            name.starts_with("TOWPATH_SECRET_") || name == "TOWPATH_KEY"
        };
        for (name, _) in std::env::vars_os().filter(|(name, _)| private(name)) {
            command.env_remove(name);
        }
        let mut child = command.spawn().map_err(|error| {
            let text = "the supervisor cannot be started, and nothing was begun";
            ProviderError::unavailable(text).with("program", program.display()).because(error)
        })?;
        let process = Process::of(child.id());
        let (tell, ended) = oneshot::channel();
        // A thread of its own: it is awaited for as long as this process lives, so that it is no zombie when it ends.
        let waits = std::thread::Builder::new().name("towpath-supervisor".into()).spawn(move || {
            let _ = tell.send(child.wait().ok());
        });
        waits.map_err(|error| ProviderError::unavailable("there is no room for a thread").because(error))?;
        Ok((ended, process))
    }

    fn did_not_become(&self, code: Option<i32>) -> ProviderError {
        let text = match code {
            Some(NOT_CALLED) => {
                "the program that was started as the supervisor did not become it: call \
                 `towpath_provider_local::supervise_here()` first in its `main`, or name another program by \
                 `Local::supervisor`, such as `towpath-local`"
            }
            Some(126 | 127) => "the program that is to be the supervisor is not there, or cannot be run",
            _ => "the supervisor ended at once",
        };
        let error = ProviderError::unavailable(text).with("log", self.folder.log().display());
        match files::tail(&self.folder.log(), 0, 1_000, 3) {
            Some(words) => error.with("it says", words.replace('\n', "; ")),
            None => error,
        }
    }
}

/// A program that is named by a path, from wherever it is run. A bare name is looked for in `PATH`.
fn from_the_root(program: &OsString) -> OsString {
    let path = Path::new(program);
    if path.components().count() < 2 && !path.starts_with(".") {
        return program.clone();
    }
    std::path::absolute(path).map_or_else(|_| program.clone(), Into::into)
}

fn unknown_program(error: io::Error) -> ProviderError {
    let text = "this program cannot be told by its path, so name the supervisor by `Local::supervisor`";
    ProviderError::unavailable(text).because(error)
}

async fn connect(seat: &Seat) -> io::Result<TcpStream> {
    let stream = timeout(CONNECT_WITHIN, TcpStream::connect(seat.admin)).await??;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Sends a call over a connection of its own, and tells whether it was answered well, and with what.
async fn send(stream: TcpStream, seat: &Seat, call: Call<'_>) -> io::Result<(bool, Bytes)> {
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    let connection = tokio::spawn(connection);
    let request = Request::builder()
        .method(call.method)
        .uri(call.path)
        .header(HOST, seat.admin.to_string())
        .header(AUTHORIZATION, format!("Bearer {}", seat.token))
        .body(Full::<Bytes>::from(call.body))
        .map_err(io::Error::other)?;
    let answer = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        Ok::<_, hyper::Error>((status, response.into_body().collect().await?.to_bytes()))
    };
    let answer = answer.await;
    connection.abort();
    let (status, body) = answer.map_err(io::Error::other)?;
    Ok((status.is_success(), body))
}
