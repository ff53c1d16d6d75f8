//! The quickstart: a real service is built, scanned, migrated, released behind a canary, hit by a crash, a bad version and a
//! human hand, and rolled back, on this machine and nothing else. `cargo run --example quickstart`
//!
//! `-- --yes` asks nothing; `-- --json` does neither and ends with one line of JSON. `-- towpath …` is the command for what
//! it leaves behind.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example shows what it does")]

mod acts;
mod keys;
mod load;
mod pipeline;
mod place;
mod record;
mod screen;
mod show;
mod slow;

use place::Place;
use screen::Stage;
use show::{Failed, Show};
use std::{ffi::OsString, io::Read, path::Path, process::ExitCode};
use towpath_cli::App;

const USAGE: &str = "\
usage: cargo run --example quickstart [-- --yes | --json | --record FILE | towpath ARGUMENTS…]

  --yes      ask nothing
  --json     ask nothing, and end with one line of JSON
  --record   ask nothing, and write a picture of it, an SVG that moves
  towpath    the command, with what the quickstart's journal needs";

fn main() -> ExitCode {
    // What runs the releases is this program as well, in a process that outlives the one that began it.
    towpath::local::supervise_here();
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let words: Vec<&str> = arguments.iter().filter_map(|word| word.to_str()).collect();
    match words.as_slice() {
        ["engine", folder] => {
            ended(runtime().and_then(|runtime| runtime.block_on(engine(Path::new(folder)))))
        }
        ["towpath", ..] => command(&arguments[1..]),
        [] => play(false, false, None),
        ["--yes"] => play(true, false, None),
        ["--json"] | ["--yes", "--json"] | ["--json", "--yes"] => play(true, true, None),
        ["--record", file] => play(true, false, Some(Path::new(file))),
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn ended(result: Result<(), Failed>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("quickstart: {error}");
            let mut below = error.source();
            while let Some(cause) = below {
                eprintln!("  because: {cause}");
                below = cause.source();
            }
            ExitCode::FAILURE
        }
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Failed> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

/// The process that is killed and started again: it drives whatever the journal holds, until its standard input is closed.
async fn engine(folder: &Path) -> Result<(), Failed> {
    let engine = Place::at(folder)?.engine()?.start().await?;
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    Ok(engine.shutdown().await?)
}

/// `towpath`, with the kinds and providers of this quickstart: the folder is that of the journal.
fn command(arguments: &[OsString]) -> ExitCode {
    let url = arguments.iter().filter_map(|word| word.to_str()).find_map(|word| word.strip_prefix("sqlite:"));
    let folder = url.map(Path::new).and_then(Path::parent).map(Path::to_owned);
    let app = App::new(move |engine| {
        let folder = folder.ok_or("name the journal: --store sqlite:FOLDER/deploys.db")?;
        Place::at(&folder)?.ready(engine)
    });
    let name = OsString::from("cargo run -q --example quickstart -- towpath");
    towpath_cli::main_of(app, std::iter::once(name).chain(arguments.iter().cloned()))
}

fn play(yes: bool, json: bool, record: Option<&Path>) -> ExitCode {
    let played = runtime().and_then(|runtime| {
        runtime.block_on(async {
            let mut show = Show::new(Place::new()?, Stage::new(json, record), yes).await?;
            let played = acts::play(&mut show).await;
            let journal = show.place.journal();
            let ended = show.end().await;
            let told = played.map_err(|error| format!("{error}; its journal is {journal}"))?;
            ended.map(|()| told)
        })
    });
    match played {
        Ok(told) => {
            if json {
                println!("{told}");
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            if json {
                println!("{}", serde_json::json!({ "ok": false, "error": error.to_string() }));
            }
            ended(Err(error))
        }
    }
}
