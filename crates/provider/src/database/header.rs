//! What a migration says of itself: lines `-- towpath: …` at its head.

use super::{MigrationPhase, Requirement};

/// What the head of a file says.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Header {
    pub(super) phase: Option<MigrationPhase>,
    pub(super) needs: Vec<Requirement>,
    pub(super) no_transaction: bool,
    pub(super) foreign_keys_off: bool,
}

/// What may stand behind `-- towpath:`, for messages.
const WORDS: &str =
    "`expand`, `contract`, `needs SERVICE >= VERSION`, `no-transaction` and `foreign-keys off`";

/// Reads the head of a file: its lines up to the first that is neither empty nor a comment.
pub(super) fn read(text: &str) -> Result<Header, String> {
    let mut header = Header::default();
    let mut at_head = true;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        let Some(comment) = line.strip_prefix("--") else {
            at_head &= line.is_empty();
            continue;
        };
        let comment = comment.trim();
        let place = |what: String| format!("line {}: {what}", index + 1);
        match comment.strip_prefix("towpath:") {
            Some(words) if at_head => header.word(words.trim()).map_err(place)?,
            Some(_) => {
                return Err(place(format!("`-- towpath:` must stand before the first statement: `{line}`")));
            }
            // As sqlx has it.
            None if index == 0 && comment == "no-transaction" => header.no_transaction = true,
            None => {}
        }
    }
    Ok(header)
}

impl Header {
    fn word(&mut self, words: &str) -> Result<(), String> {
        let mut parts = words.splitn(2, char::is_whitespace);
        match (parts.next().unwrap_or_default(), parts.next().unwrap_or_default().trim()) {
            ("expand", "") => self.set_phase(MigrationPhase::Expand),
            ("contract", "") => self.set_phase(MigrationPhase::Contract),
            ("needs", requirement) => {
                self.needs.push(requirement.parse()?);
                Ok(())
            }
            ("no-transaction", "") => {
                self.no_transaction = true;
                Ok(())
            }
            ("foreign-keys", "off") => {
                self.foreign_keys_off = true;
                Ok(())
            }
            _ => Err(format!("`-- towpath: {words}` means nothing: there are {WORDS}")),
        }
    }

    fn set_phase(&mut self, phase: MigrationPhase) -> Result<(), String> {
        if self.phase.is_some_and(|said| said != phase) {
            return Err("it cannot be both expand and contract".to_owned());
        }
        self.phase = Some(phase);
        Ok(())
    }
}

/// Whether a text holds anything but blanks, comments and semicolons, as both dialects read them.
pub(super) fn has_statement(text: &str) -> bool {
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == ';');
        if let Some(comment) = rest.strip_prefix("--") {
            rest = comment.split_once('\n').map_or("", |(_, after)| after);
        } else if let Some(comment) = rest.strip_prefix("/*") {
            rest = comment.split_once("*/").map_or("", |(_, after)| after);
        } else {
            return !rest.is_empty();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Header, has_statement, read};
    use crate::MigrationPhase;

    #[test]
    fn the_head_of_a_file_says_what_it_is() {
        let text = "-- What is no longer read.\n\n-- towpath: contract\n--towpath:needs orders >= 2.0.0\n\
                    -- towpath: needs billing >=1.4, <3\nDROP TABLE old;\n-- and that is all\n";
        let header = read(text).unwrap();
        assert_eq!(header.phase, Some(MigrationPhase::Contract));
        let needs: Vec<_> = header.needs.iter().map(ToString::to_string).collect();
        assert_eq!(needs, ["orders >=2.0.0", "billing >=1.4, <3"]);
        assert!(!header.no_transaction && !header.foreign_keys_off);
        assert_eq!(read("SELECT 1;").unwrap(), Header::default());
        assert!(read("-- towpath: no-transaction\nVACUUM;").unwrap().no_transaction);
        assert!(read("-- no-transaction\nVACUUM;").unwrap().no_transaction);
        assert!(read("-- towpath: foreign-keys off\nDROP TABLE a;").unwrap().foreign_keys_off);
    }

    #[test]
    fn what_is_misspelt_or_misplaced_is_an_error_with_its_line() {
        for (text, words) in [
            ("-- towpath: contarct\n", "line 1: `-- towpath: contarct` means nothing: there are `expand`"),
            ("-- towpath:\n", "means nothing"),
            ("-- towpath: contract please\n", "means nothing"),
            ("-- towpath: expand\n-- towpath: contract\n", "line 2: it cannot be both"),
            ("SELECT 1;\n-- towpath: contract\n", "line 2: `-- towpath:` must stand before"),
            ("-- towpath: needs orders\n", "write `-- towpath: needs orders >= 2.0.0`"),
            ("-- towpath: needs\n", "write `-- towpath: needs"),
            ("-- towpath: needs orders two\n", "`two` is no requirement"),
        ] {
            let said = read(text).unwrap_err();
            assert!(said.contains(words), "{text}: {said}");
        }
    }

    #[test]
    fn comments_are_no_statements() {
        for text in ["", " \n;;\n", "-- a", "-- a\n/* b; */ -- c\n;", "/* never closed"] {
            assert!(!has_statement(text), "{text:?}");
        }
        for text in ["SELECT 1", "/* a */ x", "-- a\nDROP TABLE b", "/"] {
            assert!(has_statement(text), "{text:?}");
        }
    }
}
