//! `towpath schedules` and `towpath schedule`.

use crate::{
    args::label,
    cx::Cx,
    fault::Fault,
    out::{Table, Tone},
    when,
};
use clap::{Subcommand, ValueEnum};
use serde::Serialize;
use std::collections::BTreeMap;
use towpath::{
    engine::{Missed, Overlap, Schedule, ScheduleRow, Schedules, os_user},
    model::{Actor, Json, Timestamp},
};

#[derive(Debug, clap::Args)]
pub(crate) struct ScheduleArgs {
    #[command(subcommand)]
    act: ScheduleAct,
}

#[derive(Debug, Subcommand)]
enum ScheduleAct {
    /// Make a schedule, or change what one does from its next tick on
    Set(Set),
    /// Let the ticks of a schedule pass
    Pause(Plain),
    /// Have a schedule tick again
    Resume(Plain),
    /// Remove a schedule; what it has started goes on
    Remove(Plain),
    /// Start runs for the ticks of a time that is over, where there are none
    Backfill(Backfill),
}

impl ScheduleArgs {
    /// Whether a schedule is set, and not looked for.
    pub(crate) fn sets(&self) -> bool {
        matches!(self.act, ScheduleAct::Set(_))
    }
}

const SET_HELP: &str = "\
CRON has five fields, as in \"30 3 * * 1-5\" for half past three on working days, or is @hourly, @daily, @weekly, @monthly
or @yearly. A parameter `tick` of the pipeline gets the time of the tick, unless it is given here.";

#[derive(Debug, clap::Args)]
#[command(after_help = SET_HELP)]
struct Set {
    /// Its name
    name: String,
    /// The pipeline that it starts; a worker has to hold it
    pipeline: String,
    /// When
    cron: String,
    /// The time zone of CRON, as in Europe/Berlin
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    zone: String,
    /// A value of a parameter, JSON or else text; may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = label)]
    param: Vec<(String, String)>,
    /// A label for its runs; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
    label: Vec<(String, String)>,
    /// What happens at a tick while the run of an earlier one goes on
    #[arg(long, value_enum, default_value_t = OverlapArg::Skip)]
    overlap: OverlapArg,
    /// What happens with ticks at which no worker was there
    #[arg(long, value_enum, default_value_t = MissedArg::Latest)]
    missed: MissedArg,
    #[command(flatten)]
    said: Said,
}

#[derive(Debug, clap::Args)]
struct Plain {
    /// The schedule
    name: String,
    #[command(flatten)]
    said: Said,
}

#[derive(Debug, clap::Args)]
struct Backfill {
    /// The schedule
    name: String,
    /// From this time on, as in 2026-11-30T08:00:00Z
    #[arg(long, value_name = "TIME", value_parser = when::parse_moment)]
    from: Timestamp,
    /// Up to this time [default: now]
    #[arg(long, value_name = "TIME", value_parser = when::parse_moment)]
    until: Option<Timestamp>,
    #[command(flatten)]
    said: Said,
}

#[derive(Debug, clap::Args)]
struct Said {
    /// Why, in your words
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Who does it [default: os-user:NAME]
    #[arg(long = "as", value_name = "ACTOR")]
    actor: Option<Actor>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum OverlapArg {
    /// The tick is left out
    Skip,
    /// It waits until that run is over
    Queue,
    /// It starts beside it
    Allow,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum MissedArg {
    /// The last of them is made up for
    Latest,
    /// All of them are
    All,
    /// They are left out
    Skip,
}

/// A schedule in the list, as JSON.
#[derive(Serialize)]
struct Line<'a> {
    schedule: &'a str,
    pipeline: &'a str,
    params: &'a BTreeMap<String, Json>,
    cron: &'a str,
    zone: &'a str,
    overlap: Overlap,
    missed: Missed,
    labels: &'a BTreeMap<String, String>,
    paused: Option<String>,
    next: Option<String>,
    due: Vec<String>,
    last_tick: Option<String>,
    last_run: Option<String>,
    skipped: Option<String>,
    skipped_why: Option<&'a str>,
    trouble: Option<&'a str>,
}

/// Changes a schedule.
pub(crate) async fn schedule(cx: &mut Cx<'_>, args: ScheduleArgs) -> Result<(), Fault> {
    let (name, said) = match &args.act {
        ScheduleAct::Set(set) => (&set.name, &set.said),
        ScheduleAct::Pause(plain) | ScheduleAct::Resume(plain) | ScheduleAct::Remove(plain) => {
            (&plain.name, &plain.said)
        }
        ScheduleAct::Backfill(backfill) => (&backfill.name, &backfill.said),
    };
    let store = cx.store.clone();
    let schedules = Schedules::of(&*store, said.actor.clone().unwrap_or_else(os_user));
    let reason = &said.reason;
    let done = match &args.act {
        ScheduleAct::Set(set) => {
            schedules.set(&set.schedule(), reason).await?;
            let all = schedules.list().await?;
            let next = all.iter().find(|row| row.name.as_str() == *name).and_then(|row| row.next);
            next.map_or_else(
                || "set; it never ticks".to_owned(),
                |next| format!("set; its next tick is {}", when::at(next)),
            )
        }
        ScheduleAct::Pause(_) => schedules.pause(name, reason).await.map(|()| "paused".to_owned())?,
        ScheduleAct::Resume(_) => schedules.resume(name, reason).await.map(|()| "ticks again".to_owned())?,
        ScheduleAct::Remove(_) => schedules.remove(name, reason).await.map(|()| "removed".to_owned())?,
        ScheduleAct::Backfill(backfill) => {
            let until = match backfill.until {
                Some(until) => until,
                None => store.now().await?,
            };
            let n = schedules.backfill(name, backfill.from, until, reason).await?;
            format!("{n} tick{} to be made up for, where there is no run yet", if n == 1 { "" } else { "s" })
        }
    };
    if cx.out.json {
        return Ok(cx.out.value(&serde_json::json!({ "schedule": name, "done": done }))?);
    }
    Ok(cx.out.line(format!("{name}: {done}"))?)
}

impl Set {
    fn schedule(&self) -> Schedule {
        let mut schedule = Schedule::cron(&self.name, &self.pipeline, &self.cron)
            .zone(&self.zone)
            .overlap(match self.overlap {
                OverlapArg::Skip => Overlap::Skip,
                OverlapArg::Queue => Overlap::Queue,
                OverlapArg::Allow => Overlap::Allow,
            })
            .missed(match self.missed {
                MissedArg::Latest => Missed::Latest,
                MissedArg::All => Missed::All,
                MissedArg::Skip => Missed::Skip,
            });
        for (name, value) in &self.param {
            // Which type the parameter has is known to the worker that holds the pipeline, and not here.
            schedule = match Json::parse(value) {
                Ok(json) => schedule.param(name, &json),
                Err(_) => schedule.param(name, value),
            };
        }
        self.label.iter().fold(schedule, |schedule, (label, value)| schedule.label(label, value))
    }
}

/// Lists the schedules.
pub(crate) async fn schedules(cx: &mut Cx<'_>) -> Result<(), Fault> {
    let rows = Schedules::of(&*cx.store, os_user()).list().await?;
    if cx.out.json {
        return Ok(rows.iter().try_for_each(|row| cx.out.value(&line(row)))?);
    }
    if rows.is_empty() {
        return Ok(cx.out.line("there is no schedule")?);
    }
    let now = cx.store.now().await?;
    let mut table = Table::default();
    table.row(["SCHEDULE", "PIPELINE", "WHEN", "NEXT", "LAST"].map(|t| (Tone::Dim, t.into())).to_vec());
    for row in &rows {
        let next = match (&row.paused, row.next) {
            (Some(act), _) => format!("paused by {}: {}", act.by, act.reason),
            (None, Some(next)) => when::at_and_ago(next, now),
            (None, None) => "never".to_owned(),
        };
        let last = row.last.as_ref().map(|last| format!("{} run {}", when::at(last.tick), last.run));
        table.row(vec![
            (Tone::Strong, row.name.to_string()),
            (Tone::Plain, row.pipeline.to_string()),
            (Tone::Plain, format!("{} {}", row.cron, row.zone)),
            (Tone::Plain, next),
            (Tone::Plain, last.unwrap_or_default()),
        ]);
    }
    let paint = cx.out.paint;
    table.lines(paint).iter().try_for_each(|line| cx.out.line(line))?;
    for row in &rows {
        if let Some(first) = row.due.first() {
            let why = row
                .trouble
                .as_deref()
                .unwrap_or("it waits for the run before it, or for a worker that holds its pipeline");
            let text = format!("{}: the tick of {} has not started: {why}", row.name, when::at(*first));
            cx.out.line(paint.text(Tone::Needs, &text))?;
        }
        if let Some(skipped) = &row.skipped {
            let text =
                format!("{}: the tick of {} was left out: {}", row.name, when::at(skipped.tick), skipped.why);
            cx.out.line(paint.text(Tone::Dim, &text))?;
        }
    }
    Ok(())
}

fn line(row: &ScheduleRow) -> Line<'_> {
    Line {
        schedule: row.name.as_str(),
        pipeline: row.pipeline.as_str(),
        params: &row.params,
        cron: &row.cron,
        zone: &row.zone,
        overlap: row.overlap,
        missed: row.missed,
        labels: &row.labels,
        paused: row.paused.as_ref().map(|act| format!("{}: {}", act.by, act.reason)),
        next: row.next.map(when::at),
        due: row.due.iter().copied().map(when::at).collect(),
        last_tick: row.last.as_ref().map(|last| when::at(last.tick)),
        last_run: row.last.as_ref().map(|last| last.run.to_string()),
        skipped: row.skipped.as_ref().map(|skipped| when::at(skipped.tick)),
        skipped_why: row.skipped.as_ref().map(|skipped| skipped.why.as_str()),
        trouble: row.trouble.as_deref(),
    }
}

#[cfg(test)]
mod tests;
