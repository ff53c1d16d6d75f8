//! What steps wrote to their logs.

use crate::{LogCut, LogLine, LogRoom, log_pieces, logs::LOG_GAP};
use std::collections::{BTreeMap, HashMap};
use towpath_model::{Attempt, StepId};

/// The logs of one run.
#[derive(Default)]
pub(super) struct Logs {
    lines: BTreeMap<u64, LogLine>,
    rooms: HashMap<(StepId, Attempt), LogRoom>,
}

impl Logs {
    /// Adds a text under the numbers after `last`.
    pub(super) fn add(&mut self, text: LogLine, last: &mut u64) {
        for piece in log_pieces(&text.text) {
            *last += 1;
            self.lines.insert(*last, LogLine { line: *last, text: piece.to_owned(), ..text.clone() });
            let room = self.rooms.entry((text.step.clone(), text.attempt)).or_default();
            room.add(*last, piece.len());
            while let Some(cut) = room.cut() {
                let mut tail = self.lines.range_mut(room.head_end + 1..).map(|(_, line)| line);
                let Some(oldest) = tail.find(|l| l.step == text.step && l.attempt == text.attempt) else {
                    break;
                };
                let (line, bytes) = (oldest.line, oldest.text.len());
                match cut {
                    LogCut::Mark => oldest.text = LOG_GAP.to_owned(),
                    LogCut::Delete => drop(self.lines.remove(&line)),
                }
                room.was_cut(line, bytes);
            }
        }
    }

    pub(super) fn of(&self, step: &StepId, after: u64) -> impl Iterator<Item = &LogLine> {
        self.lines.range(after.saturating_add(1)..).map(|(_, line)| line).filter(move |l| l.step == *step)
    }
}
