//! What is kept of what a command writes: its head and its tail.

/// A text of which the middle is left out when it is too long.
#[derive(Debug)]
pub(crate) struct Kept {
    head: String,
    tail: String,
    /// Bytes of the head, and of the tail.
    most: usize,
    left_out: u64,
}

impl Kept {
    /// Keeps `bytes` at most, half of them from the end.
    pub(super) fn new(bytes: usize) -> Self {
        Kept { head: String::new(), tail: String::new(), most: bytes / 2, left_out: 0 }
    }

    pub(super) fn push(&mut self, text: &str) {
        let mut rest = text;
        if self.tail.is_empty() && self.left_out == 0 {
            let (head, more) = text.split_at(floor(text, self.most - self.head.len()));
            self.head.push_str(head);
            rest = more;
        }
        self.tail.push_str(rest);
        // Cut only now and then: each cut moves what stays.
        if self.tail.len() > 2 * self.most {
            self.cut();
        }
    }

    fn cut(&mut self) {
        let mut from = self.tail.len().saturating_sub(self.most);
        while !self.tail.is_char_boundary(from) {
            from += 1;
        }
        self.tail.drain(..from);
        self.left_out += from as u64;
    }

    /// The text, and how many bytes of it were left out; where they were is said in it.
    pub(crate) fn into_text(mut self) -> (String, u64) {
        self.cut();
        if self.left_out > 0 {
            let gap = format!("\n… {} bytes left out …\n", self.left_out);
            self.head.push_str(&gap);
        }
        self.head.push_str(&self.tail);
        (self.head, self.left_out)
    }

    /// The last line that says something.
    pub(crate) fn last_line(&self) -> Option<&str> {
        let said = |text: &'_ str| text.lines().rev().map(str::trim).find(|line| !line.is_empty()).is_some();
        let text = if said(&self.tail) { &self.tail } else { &self.head };
        text.lines().rev().map(str::trim).find(|line| !line.is_empty())
    }
}

/// The largest boundary between characters that is at most `most`.
pub(crate) fn floor(text: &str, most: usize) -> usize {
    let mut at = most.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(bytes: usize, pieces: &[&str]) -> (String, u64) {
        let mut kept = Kept::new(bytes);
        pieces.iter().for_each(|piece| kept.push(piece));
        kept.into_text()
    }

    #[test]
    fn limit_of_bytes_holds_at_the_limit_and_one_above() {
        assert_eq!(kept(8, &["1234", "5678"]), ("12345678".into(), 0));
        assert_eq!(kept(8, &["123", "456789"]), ("1234\n… 1 bytes left out …\n6789".into(), 1));
    }

    #[test]
    fn what_is_long_keeps_its_head_and_its_tail() {
        let lines: Vec<String> = (0..10_000).map(|n| format!("line {n}\n")).collect();
        let whole: usize = lines.iter().map(String::len).sum();
        let (text, left_out) = kept(64, &lines.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(text.starts_with("line 0\n") && text.ends_with("line 9999\n"), "{text}");
        assert_eq!(left_out, (whole - 64) as u64);
    }

    #[test]
    fn characters_are_not_cut() {
        let (text, left_out) = kept(9, &["üüü", "üüü"]);
        assert_eq!((text.as_str(), left_out), ("üü\n… 4 bytes left out …\nüü", 4));
    }

    #[test]
    fn the_last_line_is_one_that_says_something() {
        let mut kept = Kept::new(100);
        kept.push("first\nfatal: no\n \n\n");
        assert_eq!(kept.last_line(), Some("fatal: no"));
        assert_eq!(Kept::new(10).last_line(), None);
    }
}
