//! A Rust file as tokens, with the knowledge of which lines are test code.

use std::ops::Range;

use super::lexer::{self, Split};

struct Token {
    range: Range<usize>,
    line: usize,
}

/// The tokens of a file. Positions are indices of tokens, lines are counted from 1.
pub(super) struct Rust {
    code: String,
    /// The comments, where they stand in the text.
    pub(super) comments: String,
    tokens: Vec<Token>,
    test_lines: Vec<bool>,
}

/// `#[…]` or `#![…]`.
pub(super) struct Attribute {
    /// What stands between the brackets.
    pub(super) inside: Range<usize>,
    /// Whether it speaks about what contains it.
    inner: bool,
    pub(super) line: usize,
}

impl Rust {
    pub(super) fn new(text: &str, is_test: bool) -> Self {
        let Split { code, comments } = lexer::split(text);
        let tokens = tokens(&code);
        let test_lines = vec![is_test; text.lines().count() + 2];
        let mut rust = Self { code, comments, tokens, test_lines };
        if !is_test {
            rust.find_tests();
        }
        rust
    }

    fn find_tests(&mut self) {
        let mut attributes = self.attributes();
        attributes.retain(|attribute| self.is_test_attribute(attribute));
        for attribute in attributes {
            let lines = if attribute.inner {
                0..self.test_lines.len()
            } else {
                let last = self.line(self.item_end(attribute.inside.end + 1));
                attribute.line..last + 1
            };
            self.test_lines[lines].fill(true);
        }
    }

    /// Makes the whole file test code, after the file that declares it.
    pub(super) fn set_test(&mut self) {
        self.test_lines.fill(true);
    }

    /// `test`, `tokio::test`, `cfg(test)` and `cfg(all(test, …))`; not `cfg(any(test, …))`, which others compile too.
    fn is_test_attribute(&self, attribute: &Attribute) -> bool {
        let Range { start, end } = attribute.inside;
        if self.matches(start, &["cfg", "("]) {
            return self.matches(start, &["cfg", "(", "test", ")"])
                || self.matches(start, &["cfg", "(", "all", "(", "test", ","]);
        }
        let path_end = (start..end).find(|&i| self.is(i, "(")).unwrap_or(end);
        self.is(path_end - 1, "test") && (path_end == start + 1 || self.is(path_end - 2, ":"))
    }

    /// The number of tokens.
    pub(super) fn len(&self) -> usize {
        self.tokens.len()
    }

    /// A token; nothing beyond the end.
    pub(super) fn text(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |token| &self.code[token.range.clone()])
    }

    pub(super) fn is(&self, at: usize, text: &str) -> bool {
        self.text(at) == text
    }

    pub(super) fn matches(&self, at: usize, texts: &[&str]) -> bool {
        texts.iter().enumerate().all(|(i, text)| self.is(at + i, text))
    }

    /// Whether a token is an identifier or a keyword.
    pub(super) fn is_name(&self, at: usize) -> bool {
        self.text(at).bytes().next().is_some_and(|b| lexer::is_word(b) && !b.is_ascii_digit())
    }

    /// The line of a token; the last one beyond the end.
    pub(super) fn line(&self, at: usize) -> usize {
        self.tokens.get(at).or(self.tokens.last()).map_or(1, |token| token.line)
    }

    pub(super) fn in_test(&self, line: usize) -> bool {
        self.test_lines.get(line).copied().unwrap_or(false)
    }

    pub(super) fn test_line_count(&self) -> usize {
        self.test_lines.iter().skip(1).filter(|&&test| test).count()
    }

    /// The bracket that closes the one at `at`.
    pub(super) fn close(&self, at: usize) -> usize {
        let mut depth = 0usize;
        for i in at..self.len() {
            match self.text(i) {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" if depth <= 1 => return i,
                ")" | "]" | "}" => depth -= 1,
                _ => {}
            }
        }
        self.len()
    }

    /// The end of the item at `at`: its closing brace, its semicolon, or the end of what contains it.
    pub(super) fn item_end(&self, at: usize) -> usize {
        let mut i = at;
        while i < self.len() {
            match self.text(i) {
                "{" => return self.close(i),
                "(" | "[" => i = self.close(i) + 1,
                ";" | ")" | "]" | "}" => return i,
                _ => i += 1,
            }
        }
        self.len()
    }

    /// The attribute that begins at `at`, if one does.
    pub(super) fn attribute(&self, at: usize) -> Option<Attribute> {
        let inner = self.matches(at, &["#", "!", "["]);
        if !inner && !self.matches(at, &["#", "["]) {
            return None;
        }
        let open = if inner { at + 2 } else { at + 1 };
        Some(Attribute { inside: open + 1..self.close(open), inner, line: self.line(at) })
    }

    pub(super) fn attributes(&self) -> Vec<Attribute> {
        (0..self.len()).filter_map(|at| self.attribute(at)).collect()
    }

    /// The names of modules that are declared as test code and stand in files of their own.
    pub(super) fn test_modules(&self) -> Vec<String> {
        (0..self.len())
            .filter(|&at| self.is(at, "mod") && self.is(at + 2, ";") && self.in_test(self.line(at)))
            .map(|at| self.text(at + 1).to_owned())
            .collect()
    }
}

fn tokens(code: &str) -> Vec<Token> {
    let bytes = code.as_bytes();
    let (mut tokens, mut at, mut line) = (Vec::new(), 0, 1);
    while at < bytes.len() {
        let start = at;
        at += 1;
        if bytes[start] == b'\n' {
            line += 1;
            continue;
        }
        if bytes[start].is_ascii_whitespace() {
            continue;
        }
        if lexer::is_word(bytes[start]) {
            at = word_end(bytes, start);
            // A raw identifier is one name, whatever keyword it spells.
            if &bytes[start..at] == b"r" && bytes.get(at) == Some(&b'#') {
                at = word_end(bytes, at + 1);
            }
        }
        tokens.push(Token { range: start..at, line });
    }
    tokens
}

fn word_end(bytes: &[u8], at: usize) -> usize {
    bytes[at..].iter().position(|&b| !lexer::is_word(b)).map_or(bytes.len(), |length| at + length)
}

#[cfg(test)]
mod tests {
    use super::Rust;

    fn test_lines(text: &str) -> Vec<usize> {
        let rust = Rust::new(text, false);
        (1..=text.lines().count()).filter(|&line| rust.in_test(line)).collect()
    }

    #[test]
    fn test_code_is_found() {
        let cases: [(&str, &str, &[usize]); 11] = [
            ("a module", "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\nfn c() {}", &[2, 3, 4, 5]),
            ("a function", "#[test]\nfn a() {\n}\nfn b() {}", &[1, 2, 3]),
            (
                "a test of another crate",
                "#[tokio::test(start_paused = true)]\nasync fn a() {}\nfn b() {}",
                &[1, 2],
            ),
            ("more attributes", "#[test]\n#[should_panic]\nfn a() {}\nfn b() {}", &[1, 2, 3]),
            ("a declaration", "#[cfg(test)]\nmod tests;\nfn b() {}", &[1, 2]),
            ("a method", "impl A {\n    #[cfg(test)]\n    fn a() {}\n    fn b() {}\n}", &[2, 3]),
            ("the whole file", "#![cfg(test)]\nfn a() {}", &[1, 2]),
            ("all of", "#[cfg(all(test, unix))]\nfn a() {}\nfn b() {}", &[1, 2]),
            ("not any of", "#[cfg(any(test, feature = \"x\"))]\nfn a() {}", &[]),
            ("not not", "#[cfg(not(test))]\nfn a() {}", &[]),
            ("not what is called so", "#[my_test]\n#[latest]\nfn a() {}", &[]),
        ];
        for (what, text, lines) in cases {
            assert_eq!(test_lines(text), lines, "{what}");
        }
    }

    #[test]
    fn raw_identifiers_are_one_token() {
        let rust = Rust::new("r#fn + r", false);
        assert_eq!((rust.text(0), rust.text(1), rust.text(2)), ("r#fn", "+", "r"));
    }

    #[test]
    fn test_modules_are_named() {
        let rust = Rust::new("#[cfg(test)]\nmod fixtures;\nmod code;\n#[cfg(test)]\nmod inline { }", false);
        assert_eq!(rust.test_modules(), ["fixtures"]);
    }
}
