//! A user's own command, stopped by a signal.
//!
//! This test is its own subject: started with `OWN` set it is a `towpath` with a step of its own, and else it starts
//! itself so.

use std::{process::ExitCode, time::Duration};
use towpath::{engine::Engine, prelude::*};
use towpath_cli::App;

#[step("own.wait/v1", ask_operator)]
async fn wait(cx: &StepContext) -> Result<bool, StepError> {
    cx.cancelled().await;
    Err(StepError::needs_operator("it was asked to stop"))
}

fn main() -> ExitCode {
    if std::env::var_os("OWN").is_some() {
        return towpath_cli::main(App::new(|engine| Ok(engine.steps(steps![wait]))));
    }
    if cfg!(unix) {
        a_tick_that_is_stopped_gives_its_runs_back();
    }
    ExitCode::SUCCESS
}

#[tokio::main]
async fn a_tick_that_is_stopped_gives_its_runs_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite:{}", folder.path().join("deploys.db").display());
    start(&url).await;
    let own = |args: &str| {
        let mut command = this_program();
        command.args(args.split(' ')).env("OWN", "1").env("TOWPATH_STORE", &url);
        command
    };
    let said = |args: &str| {
        let output = own(args).output().expect("the command runs");
        String::from_utf8(output.stdout).expect("text")
    };
    let ticking = own("tick").stderr(std::process::Stdio::piped()).spawn().expect("the command starts");
    while !said("journal k").contains("step-started") {
        tokio::time::timeout(Duration::from_millis(20), std::future::pending::<()>()).await.ok();
    }
    let id = ticking.id().to_string();
    let killed = std::process::Command::new("kill").args(["-TERM", &id]).status();
    assert!(killed.expect("kill runs").success());
    let output = ticking.wait_with_output().expect("the command ends");
    let error = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.starts_with("error: stopped by a signal: what ran had its grace"), "{error}");
    let runs = said("runs --json");
    assert!(runs.contains(r#""status":"stuck""#) && runs.contains(r#""owner":null"#), "{runs}");
}

fn this_program() -> std::process::Command {
    std::process::Command::new(std::env::current_exe().expect("this program"))
}

/// A run that nobody has driven.
async fn start(url: &str) {
    let engine = Engine::open(url).steps(steps![wait]).background(false);
    let engine = engine.start().await.expect("the store can be made");
    let p = Pipeline::new("own");
    p.step("wait", wait::of());
    let plan = p.build().and_then(|p| p.plan()).expect("a plan");
    engine.run(plan, "k").await.expect("the run starts");
    engine.shutdown().await.expect("the engine stops");
}
