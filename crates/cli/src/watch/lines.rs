//! A run line by line: for a log, a pipe, a program.

use crate::{
    cx::Cx,
    explain::{WaitLine, Why},
    items, journal, runs,
    show::Shown,
    summary::{self, one_line},
    when,
};
use serde::Serialize;
use std::io;
use towpath::{
    model::{Event, Header, StoredEvent},
    store::Progress,
};

/// One object of what is written as JSON: what it is stands before it.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Said<'a> {
    /// Something was journaled.
    Event(&'a journal::Line),
    /// A step told how far it is.
    Progress { step: &'a str, percent: u8, message: &'a str, at: String },
    /// What the run waits for that somebody has to send or decide.
    Waits(&'a [&'a WaitLine]),
    /// The last line: how the run stands.
    End {
        exit: u8,
        #[serde(flatten)]
        run: runs::Line<'a>,
    },
}

/// What there is to write, and what was written.
#[derive(Default)]
pub(crate) struct Lines {
    events: Vec<(journal::Line, String)>,
    progress: Vec<Progress>,
    /// What the run was last said to wait for.
    waits: Vec<String>,
}

impl Lines {
    /// Takes an event that is to be written.
    pub(crate) fn event(&mut self, stored: &StoredEvent, header: &Header, event: &Event) {
        let kind = event.kind().word();
        let step = summary::step(event).map_or("-", |s| s.as_str());
        let (at, seq, said) = (when::precisely(header.time), header.seq, summary::summary(event));
        let text = format!("{at} {seq} {kind} {step} {said}").trim_end().to_owned();
        self.events.push((journal::line(stored, header.clone(), Some(event)), text));
    }

    /// Writes what is new; at the end, with the exit code, also how the run stands.
    pub(crate) fn write(&mut self, cx: &mut Cx<'_>, shown: &Shown, over: Option<u8>) -> io::Result<()> {
        let json = cx.out.json;
        for (line, text) in self.events.drain(..) {
            if json { cx.out.value(&Said::Event(&line))? } else { cx.out.line(text)? }
        }
        for progress in &shown.progress {
            if self.progress.contains(progress) {
                continue;
            }
            let Progress { step, percent, message, at } = progress;
            if json {
                cx.out.value(&Said::Progress {
                    step: step.as_str(),
                    percent: *percent,
                    message,
                    at: at.to_string(),
                })?;
            } else {
                let at = when::precisely(*at);
                cx.out
                    .line(format!("{at} - progress {step} {percent} % {}", one_line(message)).trim_end())?;
            }
        }
        self.progress.clone_from(&shown.progress);
        self.waits(cx, shown)?;
        over.map_or(Ok(()), |exit| end(cx, shown, exit))
    }

    /// Says what the run waits for, when that is something else than it was.
    fn waits(&mut self, cx: &mut Cx<'_>, shown: &Shown) -> io::Result<()> {
        let why = Why::of(&shown.row, &shown.story, shown.unread, shown.now, &cx.spelling);
        let of_items = items::waits(shown, &cx.spelling);
        let waits: Vec<&WaitLine> =
            why.waits.iter().chain(&of_items).filter(|w| !w.commands.is_empty()).collect();
        let at = when::precisely(shown.now);
        let line = |wait: &&WaitLine| {
            let commands: Vec<String> = wait.commands.iter().map(|c| format!("`{}`", c.command)).collect();
            let step = wait.step.as_deref().unwrap_or("-");
            format!("needs {step} {}: {}", wait.what, commands.join(" or "))
        };
        let now: Vec<String> = waits.iter().map(line).collect();
        if now == self.waits {
            return Ok(());
        }
        if cx.out.json {
            cx.out.value(&Said::Waits(&waits))?;
        } else {
            for line in now.iter().filter(|line| !self.waits.contains(line)) {
                cx.out.line(format!("{at} - {line}"))?;
            }
        }
        self.waits = now;
        Ok(())
    }
}

fn end(cx: &mut Cx<'_>, shown: &Shown, exit: u8) -> io::Result<()> {
    let row = &shown.row;
    if cx.out.json {
        return cx.out.value(&Said::End { exit, run: runs::Line::of(row) });
    }
    if let Err(why) = &shown.story.state {
        cx.out.line(format!("{} - unfolded - {}", when::precisely(shown.now), one_line(why)))?;
    }
    let line = format!("{} - {} - {}", when::precisely(row.changed_at), runs::standing(row), runs::note(row));
    cx.out.line(line.trim_end_matches([' ', '-']).trim_end())
}
