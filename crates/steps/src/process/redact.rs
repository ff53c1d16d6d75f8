//! Taking secrets out of a stream of bytes, and cutting it into lines.

use towpath_step::{Scrubber, SecretValue};

/// The most that is held back while a line has not ended.
const LINE_BYTES: usize = 256 << 10;

/// Takes the values of a command's secrets out of what it writes.
#[derive(Default)]
pub(crate) struct Redactor {
    scrubber: Scrubber,
    /// Bytes of the longest form in which a value may show itself.
    longest: usize,
}

impl Redactor {
    /// Looks for this value as well; for one of several lines, also for each of them.
    pub(crate) fn add(&mut self, secret: &SecretValue) {
        self.scrubber.add(secret);
        if secret.expose().contains('\n') {
            for line in secret.expose().lines() {
                self.scrubber.add(&SecretValue::new(secret.name(), line.trim()));
            }
        }
        // The longest form is that of control characters in JSON, six for one.
        self.longest = self.longest.max(6 * secret.expose().len());
    }

    fn clean(&self, bytes: &[u8]) -> String {
        let text = String::from_utf8_lossy(bytes);
        self.scrubber.scrub(&text).into_owned()
    }
}

/// Cuts a stream into lines without secrets.
pub(super) struct Lines<'a> {
    redactor: &'a Redactor,
    held: Vec<u8>,
}

impl<'a> Lines<'a> {
    pub(super) fn new(redactor: &'a Redactor) -> Self {
        Lines { redactor, held: Vec::new() }
    }

    /// Takes what came, and gives each line that it ends, with its end.
    pub(super) fn push(&mut self, bytes: &[u8], mut line: impl FnMut(&str)) {
        self.held.extend_from_slice(bytes);
        while let Some(end) = self.held.iter().position(|byte| *byte == b'\n') {
            let rest = self.held.split_off(end + 1);
            let whole = std::mem::replace(&mut self.held, rest);
            line(&self.redactor.clean(&whole));
        }
        if self.held.len() > LINE_BYTES + self.redactor.longest {
            // A value that is not whole yet stands at the very end: that is kept back.
            let mut text = self.redactor.clean(&self.held);
            let mut cut = text.len().saturating_sub(self.redactor.longest);
            while !text.is_char_boundary(cut) {
                cut -= 1;
            }
            self.held = text.split_off(cut).into_bytes();
            line(&text);
        }
    }

    /// The end of the stream: gives what is left.
    pub(super) fn end(self, mut line: impl FnMut(&str)) {
        if !self.held.is_empty() {
            line(&self.redactor.clean(&self.held));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEM: &str =
        "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQ\nc2VjcmV0LXNlY3JldA==\n-----END KEY-----\n";

    fn redactor() -> Redactor {
        let mut redactor = Redactor::default();
        redactor.add(&SecretValue::new("token", "hunter2-hunter2"));
        redactor.add(&SecretValue::new("key", PEM));
        redactor
    }

    /// What comes out of a stream that comes in pieces.
    fn through(redactor: &Redactor, pieces: &[&[u8]]) -> Vec<String> {
        let (mut lines, mut out) = (Lines::new(redactor), Vec::new());
        for piece in pieces {
            lines.push(piece, |line| out.push(line.to_owned()));
        }
        lines.end(|line| out.push(line.to_owned()));
        out
    }

    #[test]
    fn a_value_in_pieces_is_found() {
        let redactor = redactor();
        let lines = through(&redactor, &[b"a hun", b"ter2-hun", b"ter2 b\nnext", b" one"]);
        assert_eq!(lines, ["a [secret token] b\n", "next one"]);
    }

    #[test]
    fn each_line_of_a_value_is_found() {
        let redactor = redactor();
        let text = through(&redactor, &[PEM.as_bytes()]).concat();
        assert!(!text.contains("MII") && !text.contains("c2Vj"), "{text}");
    }

    #[test]
    fn a_line_without_end_is_cut_and_no_value_with_it() {
        let redactor = redactor();
        for before in [0, 4, 12, 20, 40] {
            let start = LINE_BYTES - 20 + before;
            let long = [vec![b'x'; start], b"hunter2-hunter2".to_vec(), vec![b'y'; 2 * LINE_BYTES]].concat();
            let pieces: Vec<&[u8]> = long.chunks(LINE_BYTES / 2 + 7).collect();
            let text = through(&redactor, &pieces).concat();
            assert!(!text.contains("hunter2") && text.contains("x[secret token]y"), "{before}");
            assert_eq!(text.len(), start + "[secret token]".len() + 2 * LINE_BYTES);
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced() {
        assert_eq!(through(&Redactor::default(), &[b"a\xffb"]), ["a\u{fffd}b"]);
    }
}
