//! Where statements of Postgres begin: enough of its lexical rules ("Lexical Structure" in its documentation) to see, before
//! anything runs, what would end a transaction. Strings are standard-conforming, which a session makes sure of; the body of
//! `BEGIN ATOMIC … END` is found as psql finds it.

/// Most words that are kept of one statement.
const WORDS: usize = 64;

/// A statement: its first words, in capitals, without strings and quoted names.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Statement {
    words: Vec<String>,
    /// Whether there is anything but blanks and comments.
    is_there: bool,
}

/// The statements of a text.
pub(super) fn statements(text: &str) -> Vec<Statement> {
    let mut scan = Scan { bytes: text.as_bytes(), at: 0, parens: 0, begins: 0, now: Statement::default() };
    let mut found = Vec::new();
    while let Some(byte) = scan.peek(0) {
        if byte == b';' && scan.parens == 0 && scan.begins == 0 {
            scan.at += 1;
            found.push(std::mem::take(&mut scan.now));
        } else {
            scan.token(byte);
        }
    }
    found.push(scan.now);
    found.retain(|statement| statement.is_there);
    found
}

impl Statement {
    /// Whether it would begin or end a transaction. `SAVEPOINT`, `RELEASE` and `ROLLBACK TO` stay inside one.
    pub(super) fn controls_transaction(&self) -> bool {
        match (self.word(0), self.word(1), self.word(2)) {
            ("ROLLBACK", "TO", _) | ("ROLLBACK", "WORK" | "TRANSACTION", "TO") => false,
            ("BEGIN" | "COMMIT" | "END" | "ABORT" | "ROLLBACK", ..) => true,
            ("START" | "PREPARE", "TRANSACTION", _) => true,
            _ => false,
        }
    }

    /// Whether it wants data behind it, as dumps have.
    pub(super) fn wants_data(&self) -> bool {
        self.word(0) == "COPY" && self.words.windows(2).any(|pair| pair[0] == "FROM" && pair[1] == "STDIN")
    }

    fn word(&self, index: usize) -> &str {
        self.words.get(index).map_or("", String::as_str)
    }

    /// Whether it makes a routine, whose body may hold statements.
    fn makes_routine(&self) -> bool {
        let what = if self.word(1) == "OR" { 3 } else { 1 };
        self.word(0) == "CREATE" && ["FUNCTION", "PROCEDURE"].contains(&self.word(what))
    }
}

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
    parens: usize,
    /// How deep in `BEGIN ATOMIC … END` and the `CASE … END` inside.
    begins: usize,
    now: Statement,
}

fn starts_word(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

fn goes_on(byte: u8) -> bool {
    starts_word(byte) || byte.is_ascii_digit()
}

impl Scan<'_> {
    fn peek(&self, ahead: usize) -> Option<u8> {
        self.bytes.get(self.at + ahead).copied()
    }

    /// Passes one token that begins with this byte.
    fn token(&mut self, byte: u8) {
        match (byte, self.peek(1)) {
            (b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c, _) => self.at += 1,
            (b'-', Some(b'-')) => self.pass_until(|byte| byte == b'\n'),
            (b'/', Some(b'*')) => self.comment(),
            _ => {
                self.now.is_there = true;
                self.thing(byte);
            }
        }
    }

    fn thing(&mut self, byte: u8) {
        match byte {
            b'\'' => self.quoted(b'\'', false),
            b'"' => self.quoted(b'"', false),
            b'$' => self.dollar(),
            b'(' => (self.parens, self.at) = (self.parens + 1, self.at + 1),
            b')' => (self.parens, self.at) = (self.parens.saturating_sub(1), self.at + 1),
            _ if starts_word(byte) => self.word(),
            // A number may hold letters, and they are no word.
            _ if byte.is_ascii_digit() => self.pass_until(|byte| !goes_on(byte)),
            _ => self.at += 1,
        }
    }

    fn pass_until(&mut self, ends: impl Fn(u8) -> bool) {
        while self.peek(0).is_some_and(|byte| !ends(byte)) {
            self.at += 1;
        }
    }

    /// Comments can be nested.
    fn comment(&mut self) {
        let mut depth = 0;
        while let Some(byte) = self.peek(0) {
            match (byte, self.peek(1)) {
                (b'/', Some(b'*')) => (depth, self.at) = (depth + 1, self.at + 2),
                (b'*', Some(b'/')) => (depth, self.at) = (depth - 1, self.at + 2),
                _ => self.at += 1,
            }
            if depth == 0 {
                return;
            }
        }
    }

    /// A string or a quoted name; its quote is doubled inside, or escaped where that is allowed.
    fn quoted(&mut self, quote: u8, escapes: bool) {
        self.at += 1;
        while let Some(byte) = self.peek(0) {
            let is_pair = (escapes && byte == b'\\') || (byte == quote && self.peek(1) == Some(quote));
            self.at = (self.at + if is_pair { 2 } else { 1 }).min(self.bytes.len());
            if byte == quote && !is_pair {
                return;
            }
        }
    }

    /// `$tag$ … $tag$`.
    fn dollar(&mut self) {
        let start = self.at;
        self.at += 1;
        if self.peek(0).is_some_and(|byte| byte.is_ascii_digit()) {
            return;
        }
        self.pass_until(|byte| !goes_on(byte));
        if self.peek(0) != Some(b'$') {
            return;
        }
        self.at += 1;
        let tag = &self.bytes[start..self.at];
        let rest = &self.bytes[self.at..];
        let end = rest.windows(tag.len()).position(|window| window == tag);
        self.at = end.map_or(self.bytes.len(), |end| self.at + end + tag.len());
    }

    fn word(&mut self) {
        let start = self.at;
        self.pass_until(|byte| !(goes_on(byte) || byte == b'$'));
        let word = String::from_utf8_lossy(&self.bytes[start..self.at]).to_ascii_uppercase();
        if word == "E" && self.peek(0) == Some(b'\'') {
            return self.quoted(b'\'', true);
        }
        if self.parens == 0 && self.now.makes_routine() {
            match word.as_str() {
                "BEGIN" => self.begins += 1,
                "CASE" if self.begins > 0 => self.begins += 1,
                "END" => self.begins = self.begins.saturating_sub(1),
                _ => {}
            }
        }
        if self.now.words.len() < WORDS {
            self.now.words.push(word);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::statements;

    fn count(text: &str) -> usize {
        statements(text).len()
    }

    #[test]
    fn statements_are_counted_whatever_they_hold() {
        for (text, wanted) in [
            ("", 0),
            (" ;; -- a;b\n /* c; /* d; */ e; */ ;", 0),
            ("SELECT 1", 1),
            ("SELECT 1; SELECT 2;", 2),
            ("SELECT ';', 'it''s;', \"a;\"\"b\"", 1),
            (r"SELECT E'it\';', 'c:\'; SELECT 2", 2),
            ("SELECT $$ a; b $$; SELECT $x$ $$; $x$", 2),
            ("SELECT $1; SELECT a$b$c;", 2),
            ("CREATE RULE r AS ON INSERT TO a DO (SELECT 1; SELECT 2);", 1),
            ("DO $$ BEGIN COMMIT; END $$;", 1),
            (
                "CREATE OR REPLACE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END; SELECT 1",
                2,
            ),
            ("CREATE PROCEDURE p() LANGUAGE sql BEGIN ATOMIC SELECT 1; END", 1),
            ("SELECT CASE WHEN a THEN 1 END; SELECT 2", 2),
            ("SELECT 'never closed; SELECT 2", 1),
            ("SELECT $$ never closed; SELECT 2", 1),
        ] {
            assert_eq!(count(text), wanted, "{text}");
        }
    }

    #[test]
    fn what_ends_a_transaction_is_seen() {
        for text in [
            "COMMIT",
            "  /* x */ -- y\n commit AND CHAIN",
            "END",
            "ABORT",
            "BEGIN",
            "start\ttransaction",
            "ROLLBACK",
            "ROLLBACK WORK",
            "PREPARE TRANSACTION 'a'",
            "COMMIT PREPARED 'a'",
        ] {
            assert!(statements(text)[0].controls_transaction(), "{text}");
        }
        for text in [
            "SAVEPOINT a",
            "ROLLBACK TO a",
            "ROLLBACK TRANSACTION TO SAVEPOINT a",
            "RELEASE a",
            "PREPARE a AS SELECT 1",
            "SELECT 1 AS commit",
            "\"commit\"",
            "'commit'",
            "DO $$ BEGIN NULL; END $$",
            "CREATE TRIGGER t BEFORE INSERT ON a EXECUTE FUNCTION f()",
        ] {
            assert!(!statements(text)[0].controls_transaction(), "{text}");
        }
    }

    #[test]
    fn what_a_dump_has_behind_it_is_seen() {
        assert!(statements("COPY a (id) FROM stdin")[0].wants_data());
        assert!(!statements("COPY a FROM '/tmp/x'")[0].wants_data());
    }
}
