//! The processes of the crash proof: `ledger FILE`, `drive DB PLAN LEDGER-PORT [SEQ SIDE [ITEM]]`, or `contend` with
//! the same for two runs that want one lock.

use std::{path::PathBuf, process::ExitCode};
use towpath::model::Seq;
use towpath_testkit::{Aim, Side};
use towpath_tests::crash::{
    child::{Orders, contend, drive, tell},
    ledger,
};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args[..] {
        ["ledger", file] => ledger::serve(file.as_ref(), |port| tell(&port.to_string())).map_err(Into::into),
        [word @ ("drive" | "contend"), db, plan, port] => go(word, db, plan, port, None, None),
        [word @ ("drive" | "contend"), db, plan, port, seq, side] => {
            go(word, db, plan, port, Some((seq, side)), None)
        }
        [word @ ("drive" | "contend"), db, plan, port, seq, side, item] => {
            go(word, db, plan, port, Some((seq, side)), Some(item))
        }
        _ => Err("want: ledger FILE, or drive|contend DB PLAN LEDGER-PORT [SEQ before|after [ITEM]]".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&format!("error {error}"));
            ExitCode::FAILURE
        }
    }
}

fn go(
    word: &str,
    db: &str,
    plan: &str,
    port: &str,
    aim: Option<(&str, &str)>,
    item: Option<&str>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let aim = match aim {
        None => None,
        Some((seq, side)) => Some(Aim {
            seq: Seq(seq.parse()?),
            side: match side {
                "before" => Side::Before,
                "after" => Side::After,
                other => return Err(format!("{other:?} is no side: want before or after").into()),
            },
        }),
    };
    let item = item.map(str::parse).transpose()?;
    let orders = Orders { db: PathBuf::from(db), plan: plan.to_owned(), ledger: port.parse()?, aim, item };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    if word == "contend" { runtime.block_on(contend(orders)) } else { runtime.block_on(drive(orders)) }
}
