//! The command line.

use clap::{Parser, ValueEnum};
use std::path::PathBuf;

/// Measures Towpath, with the floor of the same disk beside every figure.
#[derive(Parser, Debug)]
#[command(name = "towpath-bench")]
pub(crate) struct Args {
    /// What to measure.
    pub(crate) test: Test,
    /// Where the journal is: `sqlite:FOLDER`; a folder below the current one, made and removed, by default.
    #[arg(long, default_value = "sqlite:")]
    pub(crate) store: String,
    /// What a commit promises: `full` survives a power cut, `normal` may lose the last commits.
    #[arg(long, value_enum, default_value_t = Durability::Full)]
    pub(crate) durability: Durability,
    /// How much: runs of one round.
    #[arg(long)]
    pub(crate) n: Option<usize>,
    /// Rounds, of which the median counts.
    #[arg(long, default_value_t = 5)]
    pub(crate) rounds: usize,
    /// Seed of everything that is drawn; these tests draw nothing.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}

/// What can be measured.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum, Debug)]
pub(crate) enum Test {
    /// Raw commits of one transition's rows, without an engine, and the same in groups of 64.
    Floor,
    /// One run in flight, 10 steps, 200 runs, outputs of 256 bytes, bodies that do nothing.
    Sequential,
    /// 1,000 runs of 10 steps: one line with 64 in flight, and one with 1,000.
    Concurrent,
    /// Verifying the chains of 1,000,000 events, and what chaining one costs.
    Audit,
    /// Appends beside the removal of 4 runs of 10,000 events, and beside as much other writing.
    Retention,
}

/// What a commit promises.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum, Debug)]
pub(crate) enum Durability {
    /// `synchronous=FULL`.
    Full,
    /// `synchronous=NORMAL`.
    Normal,
}

impl Args {
    /// The folder that `--store` names, if it names one.
    pub(crate) fn folder(&self) -> Result<Option<PathBuf>, crate::BoxError> {
        match self.store.strip_prefix("sqlite:") {
            Some("") => Ok(None),
            Some(folder) => Ok(Some(PathBuf::from(folder))),
            None => {
                Err(format!("{:?} is no store that this can measure: want sqlite:FOLDER", self.store).into())
            }
        }
    }

    /// Whether commits are to survive a power cut.
    pub(crate) fn is_full(&self) -> bool {
        self.durability == Durability::Full
    }
}
