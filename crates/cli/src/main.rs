//! The stock `towpath` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    towpath_cli::main(towpath_cli::App::stock())
}
