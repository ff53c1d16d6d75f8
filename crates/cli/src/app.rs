//! The command as a function.

use crate::{
    again, archive,
    args::{Args, Command, LockAct, LockArgs},
    attempt, backup,
    cx::{Cx, Spelling},
    evidence, explain,
    fault::{Fault, FaultKind, exit},
    freeze, init, journal, live, locks,
    open::Address,
    out::Out,
    plan, redact, retain, rollback, runs, schedule,
    send::{self, Letter},
    setup::{Ready, Setup},
    show, start, tick, verify, watch,
};
use clap::{CommandFactory, FromArgMatches};
use std::{ffi::OsString, fmt, path::Path, process::ExitCode, sync::Arc};
use towpath::{engine::Builder, store::Store};

/// What a `towpath` command is made of: the steps and providers of its user, or none.
#[derive(Default)]
pub struct App {
    store: Option<Arc<dyn Store>>,
    setup: Option<Setup>,
}

impl App {
    /// A command that drives runs with an engine that was made ready so. The store is the one that the command line
    /// names; only `tick`, `start` and `try` make an engine at all.
    pub fn new(setup: impl FnOnce(Builder) -> Ready + Send + 'static) -> Self {
        App { store: None, setup: Some(Box::new(setup)) }
    }

    /// The stock command. It looks at any run and answers it; it drives those that are made of stock steps alone, and holds
    /// no pipelines.
    pub fn stock() -> Self {
        App::default()
    }

    /// Has every command work on this store, whatever the command line says.
    #[must_use]
    pub fn on(mut self, store: Arc<dyn Store>) -> Self {
        self.store = Some(store);
        self
    }
}

/// Runs the command that this process was started with: all that a `main` has to do.
pub fn main(app: App) -> ExitCode {
    main_of(app, std::env::args_os())
}

/// Runs a command line that is a part of another: the first word is how the command is called, and shown.
pub fn main_of(app: App, args: impl IntoIterator<Item = OsString>) -> ExitCode {
    ExitCode::from(code_of(app, args))
}

/// As [`main_of`], for a process whose `main` is not Rust's: the exit code as a number.
pub fn code_of(app: App, args: impl IntoIterator<Item = OsString>) -> u8 {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match runtime {
        Ok(runtime) => {
            let args = args.into_iter().collect();
            runtime.block_on(execute(app, args, Out::of_process()))
        }
        Err(error) => {
            Out::of_process().error(&format!("start a runtime: {error}"));
            exit::FAILED
        }
    }
}

/// Runs the command that this process was started with, inside a tokio runtime.
pub async fn run(app: App) -> ExitCode {
    ExitCode::from(execute(app, std::env::args_os().collect(), Out::of_process()).await)
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").field("is_stock", &self.setup.is_none()).finish_non_exhaustive()
    }
}

/// Runs one command line, and gives its exit code.
pub(crate) async fn execute(app: App, args: Vec<OsString>, mut out: Out) -> u8 {
    let binary = binary(&args);
    // A command line that cannot be read may ask for JSON all the same.
    out.json = args.iter().any(|a| a == "--json");
    let matches = Args::command().bin_name(binary.clone()).try_get_matches_from(args);
    let args = match matches.and_then(|m| Args::from_arg_matches(&m)) {
        Ok(args) => args,
        Err(error) => return unread(&error, &mut out),
    };
    out.json = args.common.json;
    let end = match command(app, args, &binary, &mut out).await {
        Ok(code) => out.flush().map(|()| code).map_err(Fault::from),
        Err(fault) => Err(fault),
    };
    end.unwrap_or_else(|fault| {
        if fault.kind() != FaultKind::Unread {
            out.error(&fault.to_string());
        }
        fault.exit()
    })
}

/// The name under which this binary was called.
fn binary(args: &[OsString]) -> String {
    let name = args.first().map(Path::new).and_then(Path::file_name).and_then(|n| n.to_str());
    let name = name.unwrap_or("towpath");
    name.strip_suffix(std::env::consts::EXE_SUFFIX).unwrap_or(name).to_owned()
}

/// Answers a command line that is no command: by help, by the version, or by what is wrong.
fn unread(error: &clap::Error, out: &mut Out) -> u8 {
    if error.use_stderr() {
        if out.json {
            out.error(error.to_string().trim_start_matches("error: ").trim_end());
        } else {
            out.aside(&error.to_string());
        }
        return exit::USAGE;
    }
    // Whoever asked for help and reads none of it has no use for an error either.
    let _ = out.text(&error.to_string());
    exit::OK
}

async fn command(app: App, args: Args, binary: &str, out: &mut Out) -> Result<u8, Fault> {
    // What works on no run needs no store.
    let args = match args.command {
        Command::Init(init) => return init::init(out, init).map(|()| exit::OK),
        Command::Key(args) => return evidence::key(out, &args).map(|()| exit::OK),
        command => Args { command, ..args },
    };
    let address = Address::of_process(&args.common);
    // A plan may well be looked at where there is no store.
    let command = match args.command {
        Command::Plan(args) => {
            return plan::plan(plan::Sources::new(address, app.store, app.setup), out, args).await;
        }
        Command::Eject(args) => {
            return plan::ejected(plan::Sources::new(address, app.store, app.setup), out, args).await;
        }
        Command::Schema(args) => {
            return plan::schema(plan::Sources::new(address, app.store, app.setup), out, args).await;
        }
        command => command,
    };
    let command = match command {
        Command::Verify(args) if args.what.run.as_deref().and_then(archive::path).is_some() => {
            return verify::file(out, &args);
        }
        Command::Backup(args) if app.store.is_none() => {
            return backup::backup(out, &address, args).await.map(|()| exit::OK);
        }
        command => command,
    };
    let (command, archived) = archive::opened(command).await?;
    let (store, spelling) = match archived.or(app.store) {
        Some(store) => (store, Spelling::plain(binary)),
        None if command.makes_a_store(app.setup.is_none()) => {
            (address.open_or_make().await?, Spelling::new(binary, &address))
        }
        None => (address.open().await?, Spelling::new(binary, &address)),
    };
    on_store(&mut Cx { store, out, spelling }, app.setup, command).await
}

/// Runs a command that works on a store.
async fn on_store(cx: &mut Cx<'_>, setup: Option<Setup>, command: Command) -> Result<u8, Fault> {
    let letter = match command {
        Command::Runs(args) => return runs::runs(cx, args).await.map(|()| exit::OK),
        Command::Show(args) => return show::show(cx, args).await.map(|()| exit::OK),
        Command::Watch(args) => return watch::watch(cx, args).await,
        Command::Journal(args) => return journal::journal(cx, args).await.map(|()| exit::OK),
        Command::Rollback(args) => return rollback::rollback(cx, setup, args).await,
        Command::Live(args) => return live::live(cx, args).await.map(|()| exit::OK),
        Command::Explain(args) => return explain::explain(cx, args).await.map(|()| exit::OK),
        Command::Verify(args) => {
            let is_intact = verify::verify(cx, args).await?;
            return Ok(if is_intact { exit::OK } else { exit::FAILED });
        }
        Command::Archive(args) => return archive::archive(cx, args).await,
        Command::Redact(args) => return redact::redact_event(cx, args).await.map(|()| exit::OK),
        Command::Retain(args) => return retain::retain(cx, args).await.map(|()| exit::OK),
        Command::Export(args) => return evidence::export(cx, args).await.map(|()| exit::OK),
        Command::Backup(_) => {
            return Err(Fault::failed("this command has a store of its own: back that up by its own means"));
        }
        Command::Init(_) | Command::Key(_) => unreachable!("it was answered before a store was opened"),
        Command::Start(args) => return start::start(cx, setup, args).await,
        Command::Again(args) => return again::again(cx, setup, args).await,
        Command::Try(args) => return attempt::attempt(cx, setup, args).await,
        Command::Tick(args) => return tick::tick(cx, setup, args).await,
        Command::Plan(_) | Command::Eject(_) | Command::Schema(_) => {
            unreachable!("it was answered before the store was opened")
        }
        Command::Freeze(args) => return freeze::freeze(cx, args).await.map(|()| exit::OK),
        Command::Thaw(args) => return freeze::thaw(cx, args).await.map(|()| exit::OK),
        Command::Freezes => return freeze::freezes(cx).await.map(|()| exit::OK),
        Command::Schedule(args) => return schedule::schedule(cx, args).await.map(|()| exit::OK),
        Command::Schedules => return schedule::schedules(cx).await.map(|()| exit::OK),
        Command::Locks => return locks::locks(cx).await.map(|()| exit::OK),
        Command::Lock(LockArgs { act: LockAct::Release(args) }) => locks::release(cx, args).await?,
        Command::Signal(args) => Letter::signal(args),
        Command::Approve(args) => Letter::decide(args, true),
        Command::Reject(args) => Letter::decide(args, false),
        Command::Pause(args) => Letter::pause(args),
        Command::Resume(args) => Letter::resume(args),
        Command::Cancel(args) => Letter::cancel(args),
        Command::Retry(args) => Letter::retry(args),
        Command::Skip(args) => Letter::skip(args),
        Command::Resolve(args) => Letter::resolve(args),
        Command::Handback(args) => Letter::handback(args),
        Command::Abandon(args) => Letter::abandon(args),
    };
    send::send(cx, letter).await
}

/// Runs one command line, and gives its exit code with everything that it wrote.
#[cfg(test)]
pub(crate) async fn run_on(app: App, args: &str) -> (u8, String, String) {
    use crate::out::Kept;
    let (to, errors) = (Kept::default(), Kept::default());
    let out = Out::to(Box::new(to.clone()), Box::new(errors.clone()));
    let args = std::iter::once("towpath").chain(args.split_whitespace()).map(OsString::from).collect();
    let code = execute(app, args, out).await;
    (code, to.text(), errors.text())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fixture::{World, step},
        out::Kept,
    };
    use std::io::{self, Write};

    /// A pipe that nobody reads any more.
    struct Unread;

    impl Write for Unread {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn output_that_nobody_reads_is_no_error() {
        let mut world = World::new().await;
        world.start("checkout", "k", vec![step("build")]).await;
        for args in [&["towpath", "runs"][..], &["towpath", "show", "k"], &["towpath", "--help"]] {
            let errors = Kept::default();
            let out = Out::to(Box::new(Unread), Box::new(errors.clone()));
            let args = args.iter().map(OsString::from).collect();
            let code = execute(App::stock().on(world.store.clone()), args, out).await;
            assert_eq!((code, errors.text()), (0, String::new()));
        }
    }

    #[test]
    fn the_command_is_spelled_as_it_was_called() {
        for (called, name) in [("/usr/bin/shop.deploy", "shop.deploy"), ("towpath", "towpath")] {
            assert_eq!(binary(&[called.into()]), name);
        }
        assert_eq!(binary(&[]), "towpath");
    }
}
