//! What is shown: the pipeline's own lines beside the live tree, what the customers see, and one line that explains.

use crate::{load::Tally, record::Recording};
use std::{
    io::{self, IsTerminal, Write},
    path::Path,
};
use towpath_cli::{
    Picture,
    screen::{Screen, Size, cells, clip},
};

/// The pipeline, as it stands in its file between two marks.
const PIPELINE: &str = include_str!("pipeline.rs");

/// Where the story is told.
pub(crate) struct Stage {
    /// Drawn in place, on a terminal.
    screen: Option<Screen>,
    /// Everything that is said goes beside the output, because that is for a program.
    aside: bool,
    /// A picture of it is made.
    recording: Option<Recording>,
}

impl Stage {
    /// For a terminal, or for a log when there is none.
    pub(crate) fn new(json: bool, record: Option<&Path>) -> Self {
        let is_screen = !json && io::stdout().is_terminal() && std::env::var("TERM").as_deref() != Ok("dumb");
        let recording = record.map(Recording::to);
        Stage { screen: is_screen.then(Screen::default), aside: json, recording }
    }

    /// Whether somebody sits before it and can press keys.
    pub(crate) fn is_screen(&self) -> bool {
        self.screen.is_some()
    }

    /// Begins an act: its one line stays on the screen, and below it is drawn what goes on.
    pub(crate) fn act(&mut self, number: u32, what: &str) {
        self.say("");
        self.say(&format!("{number}. {what}"));
        if let Some(recording) = &mut self.recording {
            recording.act(number, what);
        }
    }

    /// Whether a picture is made, which tells nothing of this machine.
    pub(crate) fn is_recorded(&self) -> bool {
        self.recording.is_some()
    }

    /// Writes the picture, when one is made.
    pub(crate) fn end(&mut self) -> io::Result<()> {
        self.recording.take().map_or(Ok(()), |recording| recording.end(&pipeline()))
    }

    /// Says something that stays.
    pub(crate) fn say(&mut self, text: &str) {
        if let Some(screen) = &mut self.screen {
            // What is drawn next stands below what is said now.
            let gone = screen.redraw(&[], Size::of_terminal());
            self.write(&gone);
        }
        if let Some(recording) = &mut self.recording {
            recording.say(text);
        }
        self.write(&format!("{text}\n"));
    }

    /// Draws what goes on, and what may be pressed.
    pub(crate) fn draw(&mut self, picture: &Picture, tally: Option<&Tally>, weights: &str, keys: &str) {
        if let Some(recording) = &mut self.recording {
            let (width, height) = Recording::room(pipeline().len());
            let counts = tally.map(|tally| counts(tally, weights)).unwrap_or_default();
            recording.see(&picture.lines(width, height, true), counts);
        }
        let Some(screen) = &mut self.screen else { return };
        let size = Size::of_terminal();
        let left = 66.min(size.width / 2);
        let code = pipeline();
        let tree = picture.lines(size.width - left - 3, code.len().max(12), true);
        let mut lines = vec![String::new()];
        for i in 0..code.len().max(tree.len()) {
            let (code, tree) = (code.get(i).copied().unwrap_or(""), tree.get(i).map_or("", String::as_str));
            let code = clip(code, left);
            let gap = " ".repeat(left.saturating_sub(cells(&code)));
            lines.push(clip(&format!("\x1b[2m{code}\x1b[0m{gap} │ {tree}"), size.width));
        }
        lines.push(String::new());
        if let Some(tally) = tally {
            lines.push(clip(&counts(tally, weights), size.width));
        }
        lines.push(clip(&format!("\x1b[1m{keys}\x1b[0m"), size.width));
        let drawn = screen.redraw(&lines, size);
        self.write(&drawn);
    }

    fn write(&self, text: &str) {
        // A story that nobody reads any more is still lived to its end.
        let _ = if self.aside {
            io::stderr().write_all(text.as_bytes())
        } else {
            io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush())
        };
    }
}

/// What the customers saw, in a line.
pub(crate) fn counts(tally: &Tally, weights: &str) -> String {
    let by_version: Vec<String> = tally
        .versions
        .iter()
        .map(|(version, of)| match of.errors {
            0 => format!("{version}: {}", of.answers),
            errors => format!("{version}: {} ({errors} of them its own errors)", of.answers),
        })
        .collect();
    format!(
        "traffic {weights} · {} requests, {} failed by the release machinery · {}",
        tally.requests,
        tally.failed,
        by_version.join(", ")
    )
}

/// The lines of the pipeline.
fn pipeline() -> Vec<&'static str> {
    let inside = PIPELINE.lines().skip_while(|line| !line.contains("pub(crate) fn orders")).skip(1);
    inside
        .take_while(|line| !line.starts_with('}'))
        .map(|line| line.strip_prefix("    ").unwrap_or(line))
        .collect()
}
