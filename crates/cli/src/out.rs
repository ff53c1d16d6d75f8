//! Where output goes: the only module that prints.
//!
//! Commands write lines and JSON documents to an [`Out`]; whether that is a terminal, a pipe or a test's buffer is
//! decided outside of them.

use serde::Serialize;
use std::{
    fmt::Display,
    io::{self, IsTerminal, Write},
};
pub(crate) use towpath::view::Tone;

/// The output of one command.
pub(crate) struct Out {
    to: Box<dyn Write + Send>,
    errors: Box<dyn Write + Send>,
    /// Whether everything is written as JSON.
    pub(crate) json: bool,
    /// How text is painted.
    pub(crate) paint: Paint,
    /// Whether what was written can be written over: on a terminal that knows how.
    pub(crate) is_screen: bool,
}

impl Out {
    /// The process's own output: painted on a terminal, unless `NO_COLOR` says otherwise.
    pub(crate) fn of_process() -> Self {
        let is_plain = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
        let is_dumb = std::env::var_os("TERM").is_some_and(|v| v == "dumb");
        let is_screen = io::stdout().is_terminal() && !is_dumb;
        let (to, errors) = (Box::new(io::stdout()), Box::new(io::stderr()));
        Out { to, errors, json: false, paint: Paint { on: is_screen && !is_plain }, is_screen }
    }

    /// Output that goes to these writers, not painted.
    #[cfg(test)]
    pub(crate) fn to(to: Box<dyn Write + Send>, errors: Box<dyn Write + Send>) -> Self {
        Out { to, errors, json: false, paint: Paint::none(), is_screen: false }
    }

    /// Writes one line.
    pub(crate) fn line(&mut self, text: impl Display) -> io::Result<()> {
        writeln!(self.to, "{text}")
    }

    /// Writes one value as one line of JSON.
    pub(crate) fn value(&mut self, value: &impl Serialize) -> io::Result<()> {
        let line = serde_json::to_string(value)?;
        writeln!(self.to, "{line}")
    }

    /// Writes text as it is.
    pub(crate) fn text(&mut self, text: &str) -> io::Result<()> {
        self.to.write_all(text.as_bytes())
    }

    /// Says what went wrong. Nothing can be done when that cannot be written either.
    pub(crate) fn error(&mut self, text: &str) {
        let _ = if self.json {
            writeln!(self.errors, "{}", serde_json::json!({ "error": text }))
        } else {
            writeln!(self.errors, "error: {text}")
        };
    }

    /// Writes text about the command line as it is, beside the output.
    pub(crate) fn aside(&mut self, text: &str) {
        let _ = self.errors.write_all(text.as_bytes());
    }

    /// Writes a line beside the output, for people: not when programs read.
    pub(crate) fn hint(&mut self, text: &str) {
        if !self.json {
            let _ = writeln!(self.errors, "{text}");
        }
    }

    /// Has everything written that was held back.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// How text is painted: with the eight colours that every terminal has, or not at all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint {
    on: bool,
}

impl Paint {
    /// Paint, or none.
    pub(crate) fn new(on: bool) -> Self {
        Paint { on }
    }

    /// No paint at all.
    #[cfg(test)]
    pub(crate) fn none() -> Self {
        Paint { on: false }
    }

    /// Whether text is painted at all.
    pub(crate) fn is_on(self) -> bool {
        self.on
    }

    /// The text in a tone. Pad it before: what paints it counts as characters.
    pub(crate) fn text(self, tone: Tone, text: &str) -> String {
        if self.on { tone.painted(text) } else { text.to_owned() }
    }
}

/// A writer that keeps what is written, for tests.
#[cfg(test)]
#[derive(Clone, Default)]
pub(crate) struct Kept(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

#[cfg(test)]
impl Kept {
    /// What was written.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

#[cfg(test)]
impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A table: columns as wide as their widest cell, two spaces apart.
#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<Vec<(Tone, String)>>,
}

impl Table {
    /// Adds a row.
    pub(crate) fn row(&mut self, cells: Vec<(Tone, String)>) {
        self.rows.push(cells);
    }

    /// The lines, painted, without spaces at their ends.
    pub(crate) fn lines(&self, paint: Paint) -> Vec<String> {
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|(_, text)| text.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.rows.iter().map(Vec::len).max().unwrap_or(0)).map(width).collect();
        let line = |row: &Vec<(Tone, String)>| {
            let last = row.iter().rposition(|(_, text)| !text.is_empty()).map_or(0, |i| i + 1);
            let cells = row[..last].iter().zip(&widths).enumerate().map(|(i, ((tone, text), width))| {
                let padded = if i + 1 == last { text.clone() } else { format!("{text:<width$}") };
                paint.text(*tone, &padded)
            });
            cells.collect::<Vec<_>>().join("  ")
        };
        self.rows.iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::default();
        let row = |cells: [&str; 3]| cells.map(|c| (Tone::Plain, c.to_owned())).to_vec();
        table.row(row(["RUN", "KEY", "NOTE"]));
        table.row(row(["1", "longer", ""]));
        assert_eq!(table.lines(Paint { on: false }), ["RUN  KEY     NOTE", "1    longer"]);
    }

    #[test]
    fn paint_is_around_the_padding() {
        let mut table = Table::default();
        table.row(vec![(Tone::Bad, "a".into()), (Tone::Plain, "b".into())]);
        table.row(vec![(Tone::Plain, "wide".into()), (Tone::Plain, "b".into())]);
        assert_eq!(table.lines(Paint { on: true })[0], "\x1b[31ma   \x1b[0m  b");
    }
}
