//! The live tree of a real run as a picture that moves: an SVG whose lines are shown by CSS, each for as long as it stood there.

use std::{
    collections::BTreeSet,
    fmt::Write,
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use towpath_cli::screen::clip;

/// The size of the terminal that is drawn.
const COLUMNS: usize = 142;
/// Columns of the pipeline's own lines.
const LEFT: usize = 66;
/// Between two frames, at least: what only counts up needs no more.
const EVERY: Duration = Duration::from_millis(600);
/// How long the last frame stands before it begins again.
const AFTER: Duration = Duration::from_secs(4);
/// The end of this act is what is seen where nothing moves.
const STILL: u32 = 4;

const CELL: f64 = 7.25;
const LINE: usize = 17;
const MARGIN: usize = 14;

const STYLE: &str = "text{font:12px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;\
    fill:#d0d7de;white-space:pre}.a{visibility:hidden}.g{fill:#57ab5a}.b{fill:#39c5cf}.y{fill:#daaa3f}.r{fill:#f47067}\
    .d{fill:#768390}.s{font-weight:bold;fill:#f0f6fc}@media(prefers-reduced-motion:reduce){text{animation:none!important}}";

/// What was seen so far.
pub(crate) struct Recording {
    file: PathBuf,
    began: Instant,
    act: (u32, String),
    said: String,
    frames: Vec<Frame>,
    /// The newest one, when it came too soon after the one before.
    pending: Option<Frame>,
    /// The frame that is seen where nothing moves.
    still: Option<usize>,
}

#[derive(Clone, PartialEq)]
struct Frame {
    at: Duration,
    rows: Vec<String>,
}

/// A line of the picture: where, what, from when to when in tenths of a second, and whether it stands where nothing moves.
struct Line {
    row: usize,
    text: String,
    from: u64,
    to: u64,
    is_still: bool,
}

impl Recording {
    pub(crate) fn to(file: &Path) -> Self {
        Recording {
            file: file.to_owned(),
            began: Instant::now(),
            act: (0, String::new()),
            said: String::new(),
            frames: Vec::new(),
            pending: None,
            still: None,
        }
    }

    /// Columns and rows of the tree, beside so many lines of the pipeline.
    pub(crate) fn room(code: usize) -> (usize, usize) {
        (COLUMNS - LEFT - 3, code.max(12))
    }

    pub(crate) fn act(&mut self, number: u32, what: &str) {
        self.frames.extend(self.pending.take());
        if self.act.0 == STILL {
            self.still = self.frames.len().checked_sub(1);
        }
        self.act = (number, format!("{number}. {what}"));
        self.said.clear();
    }

    pub(crate) fn say(&mut self, text: &str) {
        if let Some(text) = text.strip_prefix("   ") {
            text.trim_start().clone_into(&mut self.said);
        }
    }

    /// What is seen now.
    pub(crate) fn see(&mut self, tree: &[String], counts: String) {
        let mut rows = vec![self.act.1.clone(), self.said.clone(), counts];
        rows.extend_from_slice(tree);
        let frame = Frame { at: self.began.elapsed(), rows };
        let last = self.frames.last();
        if last.is_some_and(|last| last.rows == frame.rows) {
            return;
        }
        match last.is_none_or(|last| frame.at >= last.at + EVERY) {
            true => {
                self.pending = None;
                self.frames.push(frame);
            }
            false => self.pending = Some(frame),
        }
    }

    /// Writes the picture.
    pub(crate) fn end(mut self, code: &[&str]) -> io::Result<()> {
        self.frames.extend(self.pending.take());
        let svg = self.svg(code);
        if let Some(folder) = self.file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(&self.file, svg)
    }

    fn svg(&self, code: &[&str]) -> String {
        let begin = self.frames.first().map_or(Duration::ZERO, |frame| frame.at);
        let tenths = |at: Duration| u64::try_from((at.saturating_sub(begin)).as_millis() / 100).unwrap_or(0);
        let total = self.frames.last().map_or(0, |frame| tenths(frame.at + AFTER));
        let lines = self.lines(tenths, total);
        let rows = lines.iter().map(|line| line.row + 1).max().unwrap_or(0).max(3 + code.len());
        // The act, the tree and what is said below it, in the order of a screen.
        let place = |row: usize| match row {
            0 => 0,
            1 => rows,
            2 => rows - 1 + 2,
            row => row - 1,
        };
        let (width, height) = ((COLUMNS as f64 * CELL) as usize + 2 * MARGIN, (rows + 2) * LINE + 2 * MARGIN);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" xml:space=\"preserve\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\">\n\
             <title>The quickstart: one pipeline beside its live tree</title>\n<style>{STYLE}"
        );
        let lengths: BTreeSet<u64> = lines.iter().map(|line| line.to - line.from).collect();
        for length in lengths {
            let percent = length as f64 * 100.0 / total.max(1) as f64;
            let _ = write!(
                svg,
                "@keyframes k{length}{{0%{{visibility:visible}}{percent:.3}%,to{{visibility:hidden}}}}"
            );
        }
        let _ = writeln!(svg, "</style>\n<rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#1c2128\"/>");
        let y = |row: usize| MARGIN + (place(row) + 1) * LINE - 4;
        for (row, line) in code.iter().enumerate() {
            let line = escaped(&clip(line, LEFT));
            let _ = writeln!(svg, "<text x=\"{MARGIN}\" y=\"{}\" class=\"d\">{line}</text>", y(row + 3));
        }
        for line in &lines {
            let x = MARGIN as f64 + if line.row < 3 { 0.0 } else { (LEFT + 2) as f64 * CELL };
            let shown = if line.is_still { "" } else { " class=\"a\"" };
            let (length, ago) = (line.to - line.from, (total - line.from) as f64 / 10.0);
            let _ = writeln!(
                svg,
                "<text x=\"{x:.0}\" y=\"{}\"{shown} style=\"animation:k{length} {}s step-end -{ago}s infinite\">{}</text>",
                y(line.row),
                total as f64 / 10.0,
                spans(&line.text)
            );
        }
        svg.push_str("</svg>\n");
        svg
    }

    /// What stands in a row from one frame to another is one line.
    fn lines(&self, tenths: impl Fn(Duration) -> u64, total: u64) -> Vec<Line> {
        let mut lines = Vec::new();
        let rows = self.frames.iter().map(|frame| frame.rows.len()).max().unwrap_or(0);
        for row in 0..rows {
            let mut open: Option<Line> = None;
            for (i, frame) in self.frames.iter().enumerate() {
                let text = frame.rows.get(row).map_or("", String::as_str);
                let at = tenths(frame.at);
                match &mut open {
                    Some(line) if line.text == text => {}
                    open => lines.extend(
                        open.replace(Line {
                            row,
                            text: text.to_owned(),
                            from: at,
                            to: total,
                            is_still: false,
                        })
                        .map(|line| Line { to: at, ..line }),
                    ),
                }
                if let Some(line) = &mut open {
                    line.is_still |= self.still == Some(i);
                }
            }
            lines.extend(open);
        }
        lines.retain(|line| !line.text.trim().is_empty() && line.to > line.from);
        lines
    }
}

/// A painted line as spans.
fn spans(line: &str) -> String {
    let (mut spans, mut is_open) = (String::new(), false);
    for (i, piece) in line.split("\x1b[").enumerate() {
        let text = match piece.split_once('m') {
            Some((code, text)) if i > 0 => {
                if std::mem::take(&mut is_open) {
                    spans.push_str("</tspan>");
                }
                let class = match code {
                    "32" => "g",
                    "36" => "b",
                    "33" => "y",
                    "31" => "r",
                    "2" => "d",
                    "1" => "s",
                    _ => "",
                };
                if !class.is_empty() {
                    let _ = write!(spans, "<tspan class=\"{class}\">");
                    is_open = true;
                }
                text
            }
            _ => piece,
        };
        spans.push_str(&escaped(text));
    }
    if is_open {
        spans.push_str("</tspan>");
    }
    spans
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
