//! A folder with a store, and the binary in it.

use std::{
    path::PathBuf,
    process::{Command, Output},
};
use towpath::{
    engine::{Engine, Settled},
    prelude::*,
};

#[step("demo.build/v1", idempotent)]
async fn build(_cx: &StepContext, commit: String) -> Result<String, StepError> {
    Ok(format!("image-of-{commit}"))
}

#[step("demo.ask/v1", no_effect)]
pub(crate) async fn ask(_cx: &StepContext) -> Result<bool, StepError> {
    Err(StepError::needs_operator("the quota is used up"))
}

#[step("demo.approve/v1", no_effect)]
async fn approve(cx: &StepContext) -> Result<bool, StepError> {
    let decision: serde_json::Value = cx.signal("approval").await?;
    Ok(decision["approve"] == true)
}

/// A folder with a store.
pub(crate) struct Shell {
    folder: tempfile::TempDir,
}

/// What a command said.
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Said { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
    }
}

impl Shell {
    pub(crate) fn new() -> Self {
        Shell { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("deploys.db")
    }

    pub(crate) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    fn url(&self) -> String {
        format!("sqlite:{}", self.path().display())
    }

    /// The binary with these arguments, in an environment that names the store.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_towpath"));
        command.args(args).env_clear().env("TOWPATH_STORE", self.url());
        command.current_dir(self.folder.path());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Said {
        self.command(args).output().unwrap().into()
    }

    /// Runs the binary while other tasks of this test go on.
    pub(crate) async fn run_beside(&self, args: &[&str]) -> Said {
        let mut command = self.command(args);
        tokio::task::spawn_blocking(move || command.output().unwrap().into()).await.unwrap()
    }

    /// The one document that a command writes.
    pub(crate) fn json(&self, args: &[&str]) -> serde_json::Value {
        let said = self.run(&[args, &["--json"]].concat());
        assert_eq!(said.err, "");
        serde_json::from_str(&said.out).unwrap_or_else(|e| panic!("{e}: {}", said.out))
    }

    pub(crate) async fn engine(&self, background: bool) -> Engine {
        let engine = Engine::open(&self.url()).steps(steps![build, ask, approve]);
        engine.background(background).start().await.unwrap()
    }

    /// A run that has succeeded.
    pub(crate) async fn settled(&self, key: &str) {
        let p = Pipeline::new("release");
        let image = p.step("build", build::of("4f2c"));
        let engine = self.engine(true).await;
        let run = engine.run(p.output(&image).build().unwrap().plan().unwrap(), key).await.unwrap();
        assert!(matches!(run.settled().await.unwrap(), Settled::Succeeded(_)));
        engine.shutdown().await.unwrap();
    }

    /// A run for which an operator has to decide.
    pub(crate) async fn resting(&self, key: &str) {
        let p = Pipeline::new("release");
        p.step("ask", ask::of());
        let engine = self.engine(true).await;
        let run = engine.run(p.build().unwrap().plan().unwrap(), key).await.unwrap();
        assert!(matches!(run.settled().await.unwrap(), Settled::Stuck(_)));
        engine.shutdown().await.unwrap();
    }

    /// A run that nobody has driven.
    pub(crate) async fn fresh(&self, key: &str) {
        let p = Pipeline::new("release");
        p.step("approve", approve::of());
        let engine = self.engine(false).await;
        engine.run(p.build().unwrap().plan().unwrap(), key).await.unwrap();
        engine.shutdown().await.unwrap();
    }

    /// Changes the file behind the store's back.
    pub(crate) fn tamper(&self, sql: &str) {
        rusqlite::Connection::open(self.path()).unwrap().execute_batch(sql).unwrap();
    }

    /// Changes bytes of an event's header.
    pub(crate) fn edit_header(&self, seq: u64, edit: impl FnOnce(&mut Vec<u8>)) {
        let file = rusqlite::Connection::open(self.path()).unwrap();
        let find = "SELECT header FROM events WHERE seq = ?1";
        let mut header: Vec<u8> = file.query_row(find, [seq as i64], |row| row.get(0)).unwrap();
        edit(&mut header);
        let set = "UPDATE events SET header = ?1 WHERE seq = ?2";
        assert_eq!(file.execute(set, rusqlite::params![header, seq as i64]).unwrap(), 1);
    }
}
