//! The process of the proof of releases: `release-child ORDERS`, which are JSON.

use std::process::ExitCode;
use towpath_tests::{
    crash::child::{Failed, tell},
    release::child::drive,
};

fn main() -> ExitCode {
    let done = go(&std::env::args().nth(1).unwrap_or_default());
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&format!("error {error}"));
            ExitCode::FAILURE
        }
    }
}

fn go(orders: &str) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(drive(serde_json::from_str(orders)?))
}
