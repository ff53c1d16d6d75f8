//! Verifying an archive as it lies on the disk.

use super::{
    ArchiveError, ArchiveErrorKind,
    read::Lines,
    record::{Record, RunRecord},
};
use crate::verify::{Names, Verdict, Walk, Wrong, chain};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};
use towpath_model::{Digest, RunId, Seq, SignedHead};

/// What was found out about an archive.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ArchiveVerdict {
    /// The run that was archived.
    pub run: RunId,
    /// What was found out about each run in it, in the order of the file.
    pub runs: Vec<Verdict>,
    /// Heads that somebody has signed. Whether the signatures are right, only keys tell.
    pub signed: Vec<SignedHead>,
    /// What is wrong with the file itself, when something is.
    pub fault: Option<String>,
}

impl ArchiveVerdict {
    /// Whether nothing is wrong: with the file, and with every run in it.
    pub fn is_intact(&self) -> bool {
        self.fault.is_none() && self.runs.iter().all(Verdict::is_intact)
    }

    /// The first thing that is wrong, in words.
    pub fn first_fault(&self) -> Option<String> {
        let of = |verdict: &Verdict| {
            verdict.fault.as_ref().map(|fault| format!("run {} ({}): {fault}", verdict.run, verdict.key))
        };
        self.runs.iter().find_map(of).or_else(|| self.fault.clone())
    }
}

/// Reads an archive from the disk and verifies it: without a store, and without keys.
///
/// # Errors
/// When the file cannot be read, or is no archive at all. One that was cut off or changed is answered by a verdict.
pub fn verify(path: &Path) -> Result<ArchiveVerdict, ArchiveError> {
    let (mut lines, first) = Lines::open(path)?;
    let mut check = Check { runs: Vec::new(), current: None, signed: Vec::new(), blobs: BTreeMap::new() };
    let mut fault = None;
    loop {
        match lines.next() {
            Ok(Some(record)) => {
                if let Err(wrong) = check.record(record, &lines) {
                    fault = Some(chain(&wrong));
                    break;
                }
            }
            Ok(None) => break,
            Err(error) if error.kind() == ArchiveErrorKind::Damaged => {
                fault = Some(chain(&error));
                break;
            }
            Err(error) => return Err(error),
        }
    }
    let signed = std::mem::take(&mut check.signed);
    // A blob that a cut has taken is not found missing: the cut is what is wrong.
    let runs = check.end(fault.is_some());
    if fault.is_none() {
        fault = strangers(&runs, first.run);
    }
    let runs = runs.into_iter().map(|(verdict, _)| verdict).collect();
    Ok(ArchiveVerdict { run: first.run, runs, signed, fault })
}

/// Whether each run but the first is an item of one that stands before it.
fn strangers(runs: &[(Verdict, Option<RunId>)], root: RunId) -> Option<String> {
    if runs.first().map(|(verdict, _)| verdict.run) != Some(root) {
        return Some(format!("the file is said to hold run {root}, and begins with another"));
    }
    let mut known = BTreeSet::from([root]);
    for (verdict, parent) in &runs[1..] {
        if !parent.is_some_and(|parent| known.contains(&parent)) || !known.insert(verdict.run) {
            return Some(format!("run {} is no item of a run before it", verdict.run));
        }
    }
    None
}

/// A run whose events were read.
struct Checked {
    record: RunRecord,
    walk: Walk,
    wrong: Option<Wrong>,
}

struct Check {
    runs: Vec<Checked>,
    current: Option<Checked>,
    signed: Vec<SignedHead>,
    /// Digests of the blobs in the file, with whether their text has it; and the text, which is small, of plans.
    blobs: BTreeMap<Digest, Result<String, &'static str>>,
}

impl Check {
    fn record(&mut self, record: Record, lines: &Lines) -> Result<(), ArchiveError> {
        match record {
            Record::Run(run) => {
                self.close();
                let walk = Walk::new(run.run, run.events, run.head);
                self.current = Some(Checked { record: *run, walk, wrong: None });
            }
            Record::Event(event) => {
                let run = self.current.as_mut().ok_or_else(|| lines.damaged("an event of no run"))?;
                let stored = event.stored().ok_or_else(|| lines.damaged("its digits are none"))?;
                if run.wrong.is_none() {
                    run.wrong = run.walk.event(&stored).err();
                }
                if run.wrong.is_none() && run.walk.seq() > run.record.events {
                    let seq = run.walk.seq();
                    run.wrong = Some(Wrong::event(seq, "it stands behind the end of its journal"));
                }
            }
            Record::Log(_) if self.current.is_none() => return Err(lines.damaged("a log of no run")),
            Record::Signed(head) => match &self.current {
                Some(run) if run.record.run == head.run => self.signed.push(head),
                _ => return Err(lines.damaged("a signature of another run")),
            },
            Record::Blob(blob) => {
                self.close();
                let is_right = Digest::of(blob.text.as_bytes()) == blob.digest;
                let is_plan =
                    self.runs.iter().any(|run| run.walk.plan().map(|p| p.digest) == Some(blob.digest));
                let text = if is_plan { blob.text } else { String::new() };
                let found = if is_right { Ok(text) } else { Err("was changed: it has another digest") };
                self.blobs.insert(blob.digest, found);
            }
            Record::End(_) => self.close(),
            Record::Log(_) | Record::Archive(_) => {}
        }
        Ok(())
    }

    fn close(&mut self) {
        if let Some(mut run) = self.current.take() {
            if run.wrong.is_none() {
                run.wrong = run.walk.end().err();
            }
            self.runs.push(run);
        }
    }

    /// The verdicts, each with the run that its run is an item of.
    fn end(mut self, is_cut: bool) -> Vec<(Verdict, Option<RunId>)> {
        self.close();
        let Check { runs, blobs, .. } = self;
        let verdict = |mut run: Checked| {
            let checked = match run.wrong.take() {
                Some(wrong) => Err(wrong),
                None if is_cut => Ok(()),
                None => beside(&run, &blobs),
            };
            (Verdict::of(&run.record.key, &run.walk, checked), run.record.parent)
        };
        runs.into_iter().map(verdict).collect()
    }
}

/// Checks what a run's events refer to, and how it is listed.
fn beside(run: &Checked, blobs: &BTreeMap<Digest, Result<String, &'static str>>) -> Result<(), Wrong> {
    let find = |digest: &Digest| match blobs.get(digest) {
        None => Err("is missing"),
        Some(Err(what)) => Err(*what),
        Some(Ok(text)) => Ok(text.as_str()),
    };
    for (at, blob) in run.walk.blobs() {
        if let Err(what) = find(&blob.digest) {
            return Err(Wrong::event(*at, format_args!("its value, stored as a blob, {what}")));
        }
    }
    let Some(plan) = run.walk.plan() else { return Ok(()) };
    let record = find(&plan.digest).map_err(|what| Wrong::whole(format!("the plan's record {what}")))?;
    let RunRecord { pipeline, key, plan_hash, .. } = &run.record;
    let names = Names { pipeline: pipeline.to_string(), key: key.to_string(), plan_hash: *plan_hash };
    run.walk.beside(record, &names)?;
    if run.walk.seq() == Seq(0) {
        return Err(Wrong::whole("it has no events"));
    }
    Ok(())
}
