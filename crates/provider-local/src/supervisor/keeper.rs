//! Keeping an instance running: started, watched, started again when it ends, and ended when it has to go.

use super::{instance::Instance, probe, saved::SavedInstance, service::Service, start};
use crate::{files, note, process::Process, time::after};
use rustix::process::{Pid, Signal, kill_process_group};
use std::{os::unix::process::ExitStatusExt, sync::Arc, time::Duration};
use tokio::{
    process::Child,
    time::{Instant, timeout},
};
use towpath_provider::Health;

/// How long an instance that was asked to end has before it is killed.
const GRACE: Duration = Duration::from_secs(5);
/// Before the first restart; twice as long before each further one, up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(10);
/// Who ran this long begins with the first pause again.
const RAN_WELL: Duration = Duration::from_secs(30);
/// How often a process that is no child of this one is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Most bytes of an instance's log; as many are kept of what was before.
const LOG_BYTES: u64 = 4 << 20;
/// What is told of what an instance wrote.
const WORDS_BYTES: u64 = 2 << 10;
const WORDS_LINES: usize = 12;

/// The process of an instance.
enum Running {
    /// A child of this supervisor.
    Child(Box<Child>, Process),
    /// One that an earlier supervisor has started.
    Adopted(Process),
}

impl Running {
    fn process(&self) -> &Process {
        match self {
            Running::Child(_, process) | Running::Adopted(process) => process,
        }
    }

    /// Resolves when it has ended, and says how.
    async fn ended(&mut self) -> String {
        let how = match self {
            Running::Child(child, _) => match child.wait().await {
                Ok(status) => match (status.code(), status.signal()) {
                    (Some(code), _) => format!("it ended with code {code}"),
                    (_, Some(signal)) => format!("it was ended by signal {signal}"),
                    _ => "it ended".to_owned(),
                },
                Err(error) => format!("it ended, and how cannot be told: {error}"),
            },
            Running::Adopted(process) => {
                while process.lives() {
                    after(LOOK_EVERY).await;
                }
                "it ended; how is not known, since another supervisor had started it".to_owned()
            }
        };
        // What it has started and left. At once: the number is given out again only after all others were.
        if let Some(group) = Pid::from_raw(self.process().pid).filter(|_| self.process().pid > 1) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        how
    }

    /// Asks it to end, and does not ask any more after a while.
    async fn stop(&mut self) {
        self.process().signal(Signal::TERM);
        if timeout(GRACE, self.ended()).await.is_err() {
            self.process().signal(Signal::KILL);
            self.ended().await;
        }
    }
}

/// Keeps an instance running until it is sent away.
pub(super) async fn keep(service: Arc<Service>, instance: Arc<Instance>, adopted: Option<Process>) {
    let mut running = adopted.map(Running::Adopted);
    let mut pause = FIRST_PAUSE;
    loop {
        let began = Instant::now();
        let known_good = running.is_some() && instance.takes_traffic();
        let from = std::fs::metadata(service.log(&instance)).map_or(0, |log| log.len());
        let started = match running.take() {
            Some(running) => Ok(running),
            None => begin(&service, &instance).await,
        };
        match started {
            Ok(mut process) => {
                let left = tokio::select! {
                    how = process.ended() => Err(how),
                    drain = watched(&service, &instance, known_good) => Ok(drain),
                };
                match left {
                    Ok(drain) => {
                        service.choice.leave_out(instance.id);
                        tokio::select! {
                            // Who still has requests after that time has had it.
                            _ = timeout(drain, instance.drained()) => {}
                            _ = process.ended() => {}
                        }
                        process.stop().await;
                        break;
                    }
                    Err(how) => mourn(&service, &instance, &how, from),
                }
            }
            Err(why) => {
                instance.set_health(Health::Exited);
                instance.say(why);
            }
        }
        if began.elapsed() >= RAN_WELL {
            pause = FIRST_PAUSE;
        }
        tokio::select! {
            _ = instance.sent_away() => break,
            () = after(pause) => pause = (pause * 2).min(LAST_PAUSE),
        }
    }
    service.choice.leave_out(instance.id);
    service.forget(&instance).await;
}

/// Watches an instance until it is sent away, and holds its log within its size.
async fn watched(service: &Service, instance: &Instance, known_good: bool) -> Duration {
    let Some(release) = service.release(&instance.version) else { return instance.sent_away().await };
    let rotate = async {
        loop {
            after(Duration::from_secs(1)).await;
            // What cannot be rotated now is rotated later.
            let _ = files::rotate(&service.log(instance), LOG_BYTES);
        }
    };
    tokio::select! {
        drain = instance.sent_away() => drain,
        () = probe::watch(instance, &release.spec.health, known_good) => Duration::ZERO,
        () = rotate => Duration::ZERO,
    }
}

/// Starts its process, which may act once it is recorded.
async fn begin(service: &Service, instance: &Instance) -> Result<Running, String> {
    let release = service.release(&instance.version).ok_or("the release is no longer there")?;
    let log = service.log(instance);
    if let Some(folder) = log.parent() {
        files::make(folder).map_err(|error| format!("its log cannot be written: {error}"))?;
    }
    let port = start::free_port().map_err(|error| format!("there is no port for it: {error}"))?;
    let held =
        start::start(service.root.path(), &release.spec, &release.program, (&instance.name, port), &log);
    let held = held.map_err(|error| format!("it cannot be started: {error}"))?;
    let restarts = instance.restarts() + u32::from(instance.health() == Health::Exited);
    let is = SavedInstance { process: Some(held.process.clone()), port, restarts, leaving: false };
    // What is not let go ends by itself.
    service.record(instance, is).await.map_err(|error| format!("it cannot be recorded: {error}"))?;
    instance.began(port, restarts);
    let process = held.process.clone();
    Ok(Running::Child(Box::new(held.go().await), process))
}

/// An instance has ended that should not have.
fn mourn(service: &Service, instance: &Instance, how: &str, from: u64) {
    instance.set_health(Health::Exited);
    instance.pool.clear();
    let wrote = files::tail(&service.log(instance), from, WORDS_BYTES, WORDS_LINES);
    let words =
        wrote.map_or_else(|| format!("{how} and wrote nothing"), |wrote| format!("{how}; it wrote: {wrote}"));
    note(format_args!("{}: {words}", instance.name));
    instance.say(words);
}
