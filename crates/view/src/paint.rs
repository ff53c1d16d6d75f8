//! Text on a terminal: tones, and how wide it is.

use unicode_width::UnicodeWidthStr;

/// How a plan is shown on a terminal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Look {
    /// Whether it is painted with the eight colours that every terminal has.
    pub colour: bool,
    /// Most columns of a line; at least 60 are used.
    pub columns: usize,
}

impl Default for Look {
    /// Eighty columns, no colours.
    fn default() -> Self {
        Look { colour: false, columns: 80 }
    }
}

/// What a text on a terminal means, and so in which of the eight colours that every terminal has it is painted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tone {
    /// As it should be.
    Good,
    /// It moves, or waits for its time.
    Busy,
    /// Somebody has to look at it.
    Needs,
    /// It went wrong.
    Bad,
    /// Beside the point.
    Dim,
    /// A title.
    Strong,
    /// Nothing in particular.
    Plain,
}

impl Tone {
    /// The text in this tone. Pad it before: what paints it counts as characters.
    pub fn painted(self, text: &str) -> String {
        let code = match self {
            Tone::Plain => return text.to_owned(),
            Tone::Good => "32",
            Tone::Busy => "36",
            Tone::Needs => "33",
            Tone::Bad => "31",
            Tone::Dim => "2",
            Tone::Strong => "1",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

impl Look {
    pub(crate) fn paint(self, tone: Tone, text: &str) -> String {
        if !self.colour || text.trim().is_empty() { text.to_owned() } else { tone.painted(text) }
    }

    pub(crate) fn width(self) -> usize {
        self.columns.max(60)
    }
}

/// How many columns a text takes.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// A text and spaces behind it, so many columns wide.
pub(crate) fn padded(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(width(text))))
}

/// Sets fragments in lines of so many columns. Between fragments stands ` · `. A line breaks between fragments where it
/// can, else between words, and within a word only when it is wider than a line.
pub(crate) fn set(fragments: &[(Tone, String)], columns: usize, look: Look) -> Vec<String> {
    let mut page = Page { columns, lines: Vec::new(), line: Vec::new(), used: 0 };
    for (tone, text) in fragments.iter().filter(|(_, text)| !text.is_empty()) {
        if width(text) <= columns {
            page.put((Tone::Dim, " · "), *tone, text);
            continue;
        }
        for (i, word) in text.split(' ').enumerate() {
            let gap = if i == 0 { (Tone::Dim, " · ") } else { (*tone, " ") };
            page.put(gap, *tone, word);
        }
    }
    page.end();
    let paint =
        |line: &Vec<(Tone, String)>| line.iter().map(|(tone, text)| look.paint(*tone, text)).collect();
    page.lines.iter().map(paint).collect()
}

struct Page {
    columns: usize,
    lines: Vec<Vec<(Tone, String)>>,
    line: Vec<(Tone, String)>,
    used: usize,
}

impl Page {
    /// Puts a text behind a gap, or at the beginning of a line.
    fn put(&mut self, (gap_tone, gap): (Tone, &str), tone: Tone, text: &str) {
        if self.used > 0 && self.used + width(gap) + width(text) <= self.columns {
            self.span(gap_tone, gap);
        } else {
            self.end();
        }
        for piece in pieces(text, self.columns) {
            if self.used + width(&piece) > self.columns {
                self.end();
            }
            self.span(tone, &piece);
        }
    }

    fn span(&mut self, tone: Tone, text: &str) {
        self.used += width(text);
        match self.line.last_mut() {
            Some((last, line)) if *last == tone => line.push_str(text),
            _ => self.line.push((tone, text.to_owned())),
        }
    }

    fn end(&mut self) {
        if self.used > 0 {
            self.lines.push(std::mem::take(&mut self.line));
            self.used = 0;
        }
    }
}

/// A word in pieces that are no wider than a line.
pub(crate) fn pieces(word: &str, columns: usize) -> Vec<String> {
    let mut pieces = vec![String::new()];
    for c in word.chars() {
        let last = pieces.last_mut().expect("there is always a piece");
        // The width of the whole, since a mark that combines with the character before it has none of its own.
        let longer = format!("{last}{c}");
        if width(&longer) > columns && !last.is_empty() {
            pieces.push(c.to_string());
        } else {
            *last = longer;
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_no_wider_than_asked() {
        let look = Look::default();
        let fragments = [
            (Tone::Plain, "部署 部署部署部署".to_owned()),
            (Tone::Dim, "🚀 goes up".to_owned()),
            (Tone::Plain, "averyveryverylongword".to_owned()),
        ];
        let lines = set(&fragments, 12, look);
        assert_eq!(lines, ["部署", "部署部署部署", "🚀 goes up", "averyveryver", "ylongword"]);
        assert!(lines.iter().all(|line| width(line) <= 12));
    }

    #[test]
    fn paint_takes_no_room() {
        let look = Look { colour: true, ..Look::default() };
        assert_eq!(
            set(&[(Tone::Bad, "ab cd".to_owned())], 2, look),
            ["\x1b[31mab\x1b[0m", "\x1b[31mcd\x1b[0m"]
        );
    }
}
