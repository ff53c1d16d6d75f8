//! `towpath redact`.

use crate::{args::Redact, cx::Cx, fault::Fault, find};
use towpath::{
    engine::{os_user, redact},
    model::Seq,
};

/// Removes the payload of an event.
pub(crate) async fn redact_event(cx: &mut Cx<'_>, args: Redact) -> Result<(), Fault> {
    let row = find::run(&*cx.store, &args.run).await?;
    let by = args.actor.unwrap_or_else(os_user);
    let was_there = redact(&*cx.store, row.run, Seq(args.seq), &by, &args.reason).await?;
    if cx.out.json {
        let (run, seq) = (row.run.to_string(), args.seq);
        return Ok(cx.out.value(&serde_json::json!({ "run": run, "at": seq, "redacted": was_there }))?);
    }
    let seq = args.seq;
    cx.out.line(match was_there {
        true => format!("event {seq} has no payload any more; its header stays"),
        false => format!("event {seq} had no payload any more"),
    })?;
    cx.out.hint("archives and backups that were made before hold it still, and so may other events");
    Ok(())
}

#[cfg(test)]
mod tests;
