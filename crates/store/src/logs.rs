//! How much of a step's log is kept: the same in every store.

/// Bytes of one attempt's log that are kept: 16 MiB, half of it from the beginning and half from the end.
pub const LOG_BYTES: u64 = 16 << 20;

/// Bytes of one line of a log as it is stored: 64 KiB. A longer one is stored as several.
pub const LOG_LINE_BYTES: usize = 64 << 10;

/// What stands where the middle of a log was left out.
pub const LOG_GAP: &str = "[left out: this attempt wrote more than 16 MiB]\n";

/// How much of one attempt's log is stored, and where its end begins.
///
/// A log that grows above its limit keeps its beginning and its end; what falls out between them leaves one line that
/// says so.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LogRoom {
    /// Bytes of its beginning.
    pub head: u64,
    /// Bytes of its end: of the lines after `head_end`.
    pub tail: u64,
    /// Number of the last line of its beginning.
    pub head_end: u64,
    /// Whether something was left out between the two.
    pub gap: bool,
}

/// What a store does to the oldest line of a log's end to make room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogCut {
    /// It becomes [`LOG_GAP`] and belongs to the beginning from now on.
    Mark,
    /// It is deleted.
    Delete,
}

impl LogRoom {
    /// Counts a line that was stored under this number.
    pub fn add(&mut self, line: u64, bytes: usize) {
        let bytes = bytes as u64;
        if !self.gap && self.tail == 0 && self.head + bytes <= LOG_BYTES / 2 {
            self.head += bytes;
            self.head_end = line;
        } else {
            self.tail += bytes;
        }
    }

    /// What has to happen to the oldest line after `head_end`, if the log is too long.
    pub fn cut(&self) -> Option<LogCut> {
        let is_full = self.tail > LOG_BYTES / 2;
        is_full.then_some(if self.gap { LogCut::Delete } else { LogCut::Mark })
    }

    /// Counts that the line with this number and length was cut.
    pub fn was_cut(&mut self, line: u64, bytes: usize) {
        self.tail = self.tail.saturating_sub(bytes as u64);
        if !self.gap {
            self.gap = true;
            self.head_end = line;
        }
    }
}

/// The pieces in which a text is stored: each at most [`LOG_LINE_BYTES`], cut between characters.
pub fn log_pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (piece, after) = rest.split_at(rest.floor_char_boundary(LOG_LINE_BYTES));
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_cut_between_characters() {
        let text = format!("{}ü{}", "a".repeat(LOG_LINE_BYTES - 1), "b".repeat(10));
        let pieces: Vec<&str> = log_pieces(&text).collect();
        assert_eq!(pieces.iter().map(|p| p.len()).collect::<Vec<_>>(), [LOG_LINE_BYTES - 1, 12]);
        assert_eq!(pieces.concat(), text);
        assert_eq!(log_pieces("").count(), 0);
    }

    #[test]
    fn a_long_log_keeps_its_ends() {
        let (mut room, mut lines, piece) = (LogRoom::default(), Vec::new(), 1 << 20);
        for line in 1..=40 {
            lines.push(line);
            room.add(line, piece);
            while let Some(cut) = room.cut() {
                let oldest = lines.iter().position(|l| *l > room.head_end).unwrap();
                let line = lines[oldest];
                if cut == LogCut::Delete {
                    lines.remove(oldest);
                }
                room.was_cut(line, piece);
            }
        }
        assert_eq!(lines, (1..=9).chain(33..=40).collect::<Vec<_>>());
        assert_eq!(room, LogRoom { head: 8 << 20, tail: 8 << 20, head_end: 9, gap: true });
    }
}
