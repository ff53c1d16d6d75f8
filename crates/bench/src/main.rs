//! Measures of Towpath: `towpath-bench TEST --store sqlite:PATH`. See `docs/benchmarks.md`.
//!
//! One JSON object per line on standard output: the test, the store, what was measured, and the floor measured in the
//! same run on the same disk. What people read goes to standard error.

mod args;
mod audit;
mod floor;
mod load;
mod machine;
mod report;
mod retention;
mod rounds;
mod runs;
mod tests;

use clap::Parser;
use std::process::ExitCode;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    let args = args::Args::parse();
    let done = match args.test {
        args::Test::Floor => tests::floor(&args),
        args::Test::Sequential => tests::sequential(&args),
        args::Test::Concurrent => tests::concurrent(&args),
        args::Test::Audit => tests::audit(&args),
        args::Test::Retention => tests::retention(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report::say(&format!("towpath-bench: {error}"));
            ExitCode::FAILURE
        }
    }
}
