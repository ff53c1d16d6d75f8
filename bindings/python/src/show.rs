//! What Rust knows, as JSON that the package makes its values of.

use serde_json::{Value, json};
use towpath::{
    DriveReport, Explanation, Health, Settled, Update,
    engine::RunRow,
    machine::Mover,
    model::{Event, Json},
};

pub(crate) fn settled(settled: &Settled<Json>) -> Value {
    match settled {
        Settled::Succeeded(output) => json!({"end": "succeeded", "output": output}),
        Settled::Compensated(why) => json!({"end": "compensated", "why": why, "text": why.to_string()}),
        Settled::Failed(why) => json!({"end": "failed", "why": why, "text": why.to_string()}),
        Settled::Cancelled(why) => json!({"end": "cancelled", "why": why, "text": why.to_string()}),
        Settled::Superseded { by } => json!({"end": "superseded", "text": by}),
        Settled::Abandoned { by, reason } => {
            json!({"end": "abandoned", "by": by, "reason": reason, "text": reason})
        }
        Settled::Stuck(at) => json!({"end": "stuck", "text": at.to_string(), "at": explanation(at)}),
        _ => {
            json!({"end": "other", "text": "it ended in a way that this release of the package does not know"})
        }
    }
}

pub(crate) fn explanation(explanation: &Explanation) -> Value {
    let waits = explanation.waits.iter().map(|wait| {
        json!({
            "step": wait.step,
            "what": wait.what,
            "since": wait.since.as_micros(),
            "mover": mover(&wait.mover),
        })
    });
    json!({
        "summary": explanation.summary,
        "text": explanation.to_string(),
        "waits": waits.collect::<Vec<_>>(),
        "verbs": explanation.verbs,
    })
}

fn mover(mover: &Mover) -> Value {
    match mover {
        Mover::Worker => json!({"who": "worker"}),
        Mover::Time(at) => json!({"who": "time", "at": at.as_micros()}),
        Mover::Signal { command, or_at } => {
            json!({"who": "signal", "command": command, "at": or_at.map(|at| at.as_micros())})
        }
        Mover::Operator(verbs) => json!({"who": "operator", "verbs": verbs}),
        Mover::Locks(locks) => json!({"who": "locks", "locks": locks}),
        Mover::Items(runs) => {
            json!({"who": "items", "runs": runs.iter().map(ToString::to_string).collect::<Vec<_>>()})
        }
    }
}

pub(crate) fn row(row: &RunRow) -> Value {
    json!({
        "no": row.no.0,
        "run": row.run.to_string(),
        "pipeline": row.pipeline,
        "key": row.key,
        "plan_hash": row.plan_hash.to_string(),
        "status": row.listing.status,
        "note": row.listing.note,
        "outcome": row.listing.outcome.as_ref().map(|outcome| outcome.word()),
        "labels": row.labels,
        "started_at": row.started_at.as_micros(),
        "changed_at": row.changed_at.as_micros(),
        "wake_at": row.wake_at.map(|at| at.as_micros()),
    })
}

pub(crate) fn update(update: &Update) -> Value {
    match update {
        Update::Event { seq, at, actor, event } => {
            let kind = event.kind().word();
            json!({
                "seq": seq.0, "kind": kind, "at": at.as_micros(), "actor": actor, "facts": facts(event),
            })
        }
        Update::Sealed { seq } => json!({"seq": seq.0, "kind": "sealed", "facts": {}}),
        Update::Progress(progress) => json!({
            "kind": "progress",
            "at": progress.at.as_micros(),
            "facts": {"step": progress.step, "percent": progress.percent, "message": progress.message},
        }),
        Update::Lagged(missed) => json!({"kind": "lagged", "facts": {"missed": missed}}),
        _ => json!({"kind": "other", "facts": {}}),
    }
}

fn facts(event: &Event) -> Value {
    event.encode().ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_else(|| json!({}))
}

pub(crate) fn driven(report: &DriveReport) -> Value {
    json!({
        "settled": report.settled,
        "succeeded": report.succeeded,
        "failed": report.failed,
        "parked": report.parked,
        "stuck": report.stuck,
        "blocked": report.blocked,
        "going": report.going,
        "next_wake": report.next_wake.map(|at| at.as_micros()),
    })
}

pub(crate) fn health(health: &Health) -> Value {
    json!({
        "well": health.is_well(),
        "store": health.store.as_ref().map(ToString::to_string),
        "oldest_due": health.oldest_due.map(|at| at.as_micros()),
        "last_commit": health.last_commit.map(|at| at.as_micros()),
        "stuck": health.stuck,
        "quarantined": health.quarantined,
        "lease_left_ms": u64::try_from(health.lease_left.as_millis()).unwrap_or(u64::MAX),
        "runs_in_memory": health.runs_in_memory,
    })
}
