//! The tests, as `docs/benchmarks.md` defines them.

use crate::{
    BoxError,
    args::Args,
    audit::{self, Audit},
    floor::{Rows, transitions_per_second},
    report::{line, median, quantile, round, say},
    retention::{self, Retention},
    rounds::{Round, drive},
};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// What the engine writes for one step of the load: the output of the last and the intent of the next.
const ROWS: Rows = Rows { events: 2, header: 116, payload: 170 };

/// Transitions per commit in the grouped floor.
const GROUP: usize = 64;

/// A folder to measure in; removed in the end, unless it was named.
struct Place {
    path: PathBuf,
    _own: Option<tempfile::TempDir>,
}

fn place(args: &Args) -> Result<Place, BoxError> {
    Ok(match args.folder()? {
        Some(path) => {
            std::fs::create_dir_all(&path)?;
            Place { path, _own: None }
        }
        None => {
            let own = tempfile::Builder::new().prefix("towpath-bench-").tempdir_in(".")?;
            Place { path: own.path().to_owned(), _own: Some(own) }
        }
    })
}

/// The floor of this disk now: commits one by one, and transitions in groups.
fn floors(place: &Path, full: bool) -> Result<(f64, f64), BoxError> {
    let single = transitions_per_second(place, full, ROWS, 1_000, 1)?;
    let group = transitions_per_second(place, full, ROWS, 32_000, GROUP)?;
    Ok((single, group))
}

fn head(args: &Args, test: &str) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("test".into(), json!(test));
    fields.insert("store".into(), json!("sqlite"));
    fields.insert("durability".into(), json!(if args.is_full() { "full" } else { "normal" }));
    fields.insert("cores".into(), json!(std::thread::available_parallelism().map_or(0, usize::from)));
    fields
}

/// `floor`.
pub(crate) fn floor(args: &Args) -> Result<(), BoxError> {
    let place = place(args)?;
    let (mut singles, mut groups) = (Vec::new(), Vec::new());
    for _ in 0..args.rounds {
        let (single, group) = floors(&place.path, args.is_full())?;
        singles.push(single);
        groups.push(group);
    }
    let mut fields = head(args, "floor");
    fields.insert("commits_s".into(), round(median(singles)));
    fields.insert("group_s".into(), round(median(groups)));
    Ok(line(fields)?)
}

/// Interleaves the floor with the engine, and gives the medians' rounds.
fn interleaved(
    args: &Args,
    place: &Path,
    runs: usize,
    in_flight: usize,
) -> Result<(Vec<Round>, f64, f64), BoxError> {
    let (mut rounds, mut singles, mut groups) = (Vec::new(), Vec::new(), Vec::new());
    for n in 1..=args.rounds {
        let (single, group) = floors(place, args.is_full())?;
        let measured = drive(place, args.is_full(), runs, in_flight)?;
        say(&format!(
            "round {n}: floor {single:.0} commits/s, {group:.0}/s in groups; {:.0} steps/s with {in_flight} in flight",
            measured.steps_per_second()
        ));
        singles.push(single);
        groups.push(group);
        rounds.push(measured);
    }
    Ok((rounds, median(singles), median(groups)))
}

fn of(rounds: &[Round], what: impl Fn(&Round) -> f64) -> f64 {
    median(rounds.iter().map(what).collect())
}

fn flushes(rounds: &[Round]) -> Value {
    let all: Option<Vec<f64>> = rounds.iter().map(|r| r.flushes.map(|f| f as f64 / r.steps as f64)).collect();
    all.map_or(Value::Null, |all| round(median(all)))
}

/// `sequential`.
pub(crate) fn sequential(args: &Args) -> Result<(), BoxError> {
    let place = place(args)?;
    let (rounds, floor, _) = interleaved(args, &place.path, args.n.unwrap_or(200), 1)?;
    let steps_s = of(&rounds, Round::steps_per_second);
    let mut fields = head(args, "sequential");
    fields.insert("steps_s".into(), round(steps_s));
    fields.insert("p50_us".into(), round(of(&rounds, |r| quantile(&r.step_us, 0.5))));
    fields.insert("p99_us".into(), round(of(&rounds, |r| quantile(&r.step_us, 0.99))));
    fields.insert("cpu_us_per_step".into(), round(of(&rounds, Round::cpu_us_per_step)));
    // A start is no transition: this is (commits − runs) / steps, when one run is in flight.
    fields.insert("commits_per_step".into(), round(of(&rounds, |r| r.transitions as f64 / r.steps as f64)));
    fields.insert("commits_total".into(), round(of(&rounds, |r| r.commits as f64)));
    fields.insert("flushes_per_step".into(), flushes(&rounds));
    fields.insert("floor_commits_s".into(), round(floor));
    fields.insert("floor_commit_us".into(), round(1e6 / floor));
    fields.insert("ratio_to_floor".into(), round(steps_s / floor));
    Ok(line(fields)?)
}

/// `concurrent`.
pub(crate) fn concurrent(args: &Args) -> Result<(), BoxError> {
    let place = place(args)?;
    for in_flight in [64, 1_000] {
        let (rounds, floor, group) = interleaved(args, &place.path, args.n.unwrap_or(1_000), in_flight)?;
        let steps_s = of(&rounds, Round::steps_per_second);
        let mut fields = head(args, "concurrent");
        fields.insert("in_flight".into(), json!(in_flight));
        fields.insert("steps_s".into(), round(steps_s));
        fields.insert("cpu_us_per_step".into(), round(of(&rounds, Round::cpu_us_per_step)));
        fields.insert("commits_total".into(), round(of(&rounds, |r| r.commits as f64)));
        fields.insert("flushes_per_step".into(), flushes(&rounds));
        fields.insert("p99_run_ms".into(), round(of(&rounds, Round::p99_run_ms)));
        fields.insert("floor_commits_s".into(), round(floor));
        fields.insert("floor_group_s".into(), round(group));
        fields.insert("ratio_to_group_floor".into(), round(steps_s / group));
        line(fields)?;
    }
    Ok(())
}

/// `audit`.
pub(crate) fn audit(args: &Args) -> Result<(), BoxError> {
    let place = place(args)?;
    let mut rounds = Vec::new();
    for _ in 0..args.rounds {
        rounds.push(audit::audit(&place.path, args.n.unwrap_or(1_000_000))?);
    }
    let of = |what: fn(&Audit) -> f64| median(rounds.iter().map(what).collect());
    let verify = of(|a| a.verify.as_secs_f64());
    let floor = of(|a| a.floor.as_secs_f64());
    let mut fields = head(args, "audit");
    fields.insert("events".into(), json!(rounds.first().map_or(0, |a| a.events)));
    fields.insert("verify_s".into(), round(verify));
    fields
        .insert("verify_us_per_event".into(), round(of(|a| a.verify.as_secs_f64() * 1e6 / a.events as f64)));
    fields.insert("floor_s".into(), round(floor));
    fields.insert("ratio_to_floor".into(), round(floor / verify));
    fields.insert("chain_cpu_us_per_event".into(), round(of(|a| a.chain.as_secs_f64() * 1e6)));
    fields.insert("floor_hash_us_per_event".into(), round(of(|a| a.hashes.as_secs_f64() * 1e6)));
    Ok(line(fields)?)
}

/// `retention`.
pub(crate) fn retention(args: &Args) -> Result<(), BoxError> {
    let place = place(args)?;
    let rounds: Vec<Retention> =
        (0..args.rounds).map(|n| retention::retention(&place.path, n)).collect::<Result<_, _>>()?;
    let of = |what: fn(&Retention) -> f64| round(median(rounds.iter().map(what).collect()));
    let mut fields = head(args, "retention");
    fields.insert("append_p99_ms".into(), of(|r| r.p99.as_secs_f64() * 1e3));
    fields.insert("floor_append_p99_ms".into(), of(|r| r.floor_p99.as_secs_f64() * 1e3));
    fields.insert("appends".into(), of(|r| r.appends as f64));
    fields.insert("removal_s".into(), of(|r| r.took.as_secs_f64()));
    Ok(line(fields)?)
}
