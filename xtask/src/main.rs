//! Development tasks of Towpath. `cargo xtask test` is the one test command; everything else serves it.

#![expect(clippy::print_stdout, reason = "a command line tool talks on standard output")]

use std::process::ExitCode;

mod command;
mod counts;
mod outcome;
mod skips;
mod stages;
mod tidy;
mod weight;
mod workspace;

const USAGE: &str = "\
usage: cargo xtask <command>

commands:
  test [--only <stage>]...   run every check there is, or only the named stages
  weight                     count the crates that a user of the library builds
  help                       print this

stages of `test`:
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::from(2)
        }
    }
}

/// Whether everything that was asked for is well; an error is a mistake in the asking.
fn run(args: &[String]) -> Result<bool, String> {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["test", rest @ ..] => stages::run(&stages::select(rest)?),
        ["weight"] => weight::print(&workspace::Workspace::find()?),
        [] | ["help" | "--help" | "-h"] => {
            print!("{USAGE}{}", stages::list());
            Ok(true)
        }
        other => Err(format!("unknown command `{}`; `cargo xtask help` lists them", other.join(" "))),
    }
}
