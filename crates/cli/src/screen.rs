//! Drawing in place on a terminal, with the few commands that every terminal knows.
//!
//! ```
//! use towpath_cli::screen::{Screen, Size};
//!
//! let mut screen = Screen::default();
//! let size = Size { width: 20, height: 5 };
//! let first = screen.redraw(&["10 %".to_owned()], size);
//! let second = screen.redraw(&["50 %".to_owned()], size);
//! assert!(second.starts_with("\u{1b}[1A"), "one row up, and over what was there");
//! # drop(first);
//! ```

/// The size of a terminal, in cells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Size {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

impl Size {
    /// The size of this process's terminal now; 80 by 24 where there is none.
    pub fn of_terminal() -> Size {
        #[cfg(unix)]
        if let Ok(size) = rustix::termios::tcgetwinsize(std::io::stdout())
            && size.ws_col > 0
            && size.ws_row > 0
        {
            return Size { width: size.ws_col.into(), height: size.ws_row.into() };
        }
        let variable = |name, otherwise| {
            std::env::var(name).ok().and_then(|v| v.parse().ok()).filter(|n| *n > 0).unwrap_or(otherwise)
        };
        Size { width: variable("COLUMNS", 80), height: variable("LINES", 24) }
    }
}

/// What is drawn, so that it can be drawn over.
#[derive(Default, Debug)]
pub struct Screen {
    /// The widths of its lines.
    drawn: Vec<usize>,
}

impl Screen {
    /// Leaves on the terminal what was drawn, so that what is drawn next stands below.
    pub fn leave(&mut self) {
        self.drawn.clear();
    }

    /// The one text that draws these lines over those that were drawn last.
    pub fn redraw(&mut self, lines: &[String], size: Size) -> String {
        // A terminal that became narrower has broken what was drawn into more rows.
        let rows = |width: &usize| width.div_ceil(size.width.max(1)).max(1);
        let up: usize = self.drawn.iter().map(rows).sum();
        let mut text = String::new();
        if up > 0 {
            // What has left the screen cannot be reached.
            text.push_str(&format!("\x1b[{}A", up.min(size.height.saturating_sub(1))));
        }
        text.push('\r');
        for line in lines {
            text.push_str(line);
            // Only what the line leaves of the row is cleared, so that nothing flickers.
            text.push_str("\x1b[K\n");
        }
        text.push_str("\x1b[J");
        self.drawn = lines.iter().map(|line| cells(line)).collect();
        text
    }
}

/// The pieces of a painted line: what moves no cursor, and characters.
fn pieces(line: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut rest = line;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        // A colour: escape, bracket, numbers, m.
        let (width, end) = match rest.strip_prefix("\x1b[").and_then(|r| r.find('m')) {
            Some(end) => (0, end + 3),
            None => (width(first), first.len_utf8()),
        };
        let (piece, after) = rest.split_at(end);
        rest = after;
        Some((width, piece))
    })
}

/// The cells that a character takes: two for those of East Asian scripts and for pictures (UAX #11, by its blocks).
fn width(c: char) -> usize {
    let wide = matches!(u32::from(c),
        0x1100..=0x115f | 0x2e80..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff | 0xfe30..=0xfe6f
        | 0xff00..=0xff60 | 0xffe0..=0xffe6 | 0x1f300..=0x1faff | 0x20000..=0x3fffd);
    if wide { 2 } else { 1 }
}

/// The cells that a painted line takes.
pub fn cells(line: &str) -> usize {
    pieces(line).map(|(width, _)| width).sum()
}

/// The line, cut to fewer cells than a terminal has: a full row moves some terminals on to the next.
pub fn clip(line: &str, terminal: usize) -> String {
    let most = terminal.saturating_sub(1).max(1);
    if cells(line) <= most {
        return line.to_owned();
    }
    let (mut text, mut used, mut painted) = (String::new(), 0, false);
    for (width, piece) in pieces(line) {
        if used + width >= most {
            break;
        }
        painted |= width == 0;
        used += width;
        text.push_str(piece);
    }
    text.push('…');
    if painted {
        text.push_str("\x1b[0m");
    }
    text
}

/// The line in as many rows as it needs.
pub(crate) fn wrap(line: &str, terminal: usize) -> Vec<String> {
    let most = terminal.saturating_sub(1).max(2);
    let (mut rows, mut used) = (vec![String::new()], 0);
    for (width, piece) in pieces(line) {
        if used + width > most {
            rows.push(String::new());
            used = 0;
        }
        used += width;
        if let Some(row) = rows.last_mut() {
            row.push_str(piece);
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size { width: 10, height: 5 };

    #[test]
    fn what_is_drawn_again_covers_what_was_drawn() {
        let mut screen = Screen::default();
        let lines = |n: usize| vec!["12345678".to_owned(); n];
        assert_eq!(screen.redraw(&lines(1), SIZE), "\r12345678\x1b[K\n\x1b[J");
        assert_eq!(screen.redraw(&lines(2), SIZE), "\x1b[1A\r12345678\x1b[K\n12345678\x1b[K\n\x1b[J");
        // At half the width each line has become two rows.
        let narrow = Size { width: 4, ..SIZE };
        assert!(screen.redraw(&["1".to_owned()], narrow).starts_with("\x1b[4A\r1"));
        // What has scrolled away is left alone.
        screen.redraw(&lines(20), SIZE);
        assert!(screen.redraw(&lines(1), SIZE).starts_with("\x1b[4A\r"));
    }

    #[test]
    fn a_line_is_cut_by_what_is_seen_of_it() {
        assert_eq!(clip("123456789", 10), "123456789");
        assert_eq!(clip("1234567890", 10), "12345678…");
        assert_eq!(clip("\x1b[31m1234567890\x1b[0m", 10), "\x1b[31m12345678…\x1b[0m");
        assert_eq!(clip("船船船船船", 10), "船船船船…");
        assert_eq!(cells("\x1b[1m船\x1b[0m a"), 4);
    }

    #[test]
    fn a_line_that_is_to_be_copied_is_whole() {
        for line in ["towpath approve 0193 approve", "", "\x1b[36mtowpath\x1b[0m", "船船船船船船"] {
            let rows = wrap(line, 10);
            assert_eq!(rows.concat(), line);
            assert!(rows.iter().all(|row| cells(row) < 10), "{rows:?}");
        }
    }
}
