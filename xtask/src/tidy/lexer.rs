//! Splits Rust source into code, comments and literals. Not a parser: just enough that a brace in a string is no brace
//! and a macro in a comment no macro.

/// The two halves of a source text. Both have its length and its line breaks, and blanks where the other has something.
pub(super) struct Split {
    /// Code; a literal is a pair of quotes with blanks between.
    pub(super) code: String,
    /// Comments, doc comments among them.
    pub(super) comments: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Code,
    Comment,
    Literal,
}

pub(super) fn split(text: &str) -> Split {
    let bytes = text.as_bytes();
    let blank: Vec<u8> = bytes.iter().map(|&b| if b == b'\n' { b'\n' } else { b' ' }).collect();
    let (mut code, mut comments) = (blank.clone(), blank);
    let mut at = 0;
    while at < bytes.len() {
        let (kind, end) = segment(bytes, at);
        match kind {
            Kind::Code => code[at..end].copy_from_slice(&bytes[at..end]),
            Kind::Comment => comments[at..end].copy_from_slice(&bytes[at..end]),
            Kind::Literal => {
                code[at] = b'"';
                code[end - 1] = b'"';
            }
        }
        at = end;
    }
    // Segments begin and end at ASCII bytes, so no character is cut in two.
    Split {
        code: String::from_utf8_lossy(&code).into_owned(),
        comments: String::from_utf8_lossy(&comments).into_owned(),
    }
}

/// The kind of what begins at `at`, and where it ends.
fn segment(bytes: &[u8], at: usize) -> (Kind, usize) {
    let rest = &bytes[at..];
    match rest {
        [b'/', b'/', ..] => (Kind::Comment, at + rest.iter().position(|&b| b == b'\n').unwrap_or(rest.len())),
        [b'/', b'*', ..] => (Kind::Comment, at + block_comment(rest)),
        [b'"', ..] => (Kind::Literal, at + string(rest)),
        [b'\'', ..] => match character(rest) {
            Some(length) => (Kind::Literal, at + length),
            None => (Kind::Code, at + 1),
        },
        [first, ..] if is_word(*first) => {
            let length = rest.iter().position(|&b| !is_word(b)).unwrap_or(rest.len());
            match (&rest[..length], raw_string(&rest[length..])) {
                (b"r" | b"br" | b"cr", Some(raw)) => (Kind::Literal, at + length + raw),
                _ => (Kind::Code, at + length),
            }
        }
        _ => (Kind::Code, at + 1),
    }
}

/// Part of an identifier, a keyword or a number; bytes of other alphabets count as such.
pub(super) fn is_word(byte: u8) -> bool {
    byte == b'_' || byte.is_ascii_alphanumeric() || !byte.is_ascii()
}

fn block_comment(rest: &[u8]) -> usize {
    let (mut at, mut depth) = (0, 0);
    while at < rest.len() {
        match &rest[at..] {
            [b'/', b'*', ..] => (at, depth) = (at + 2, depth + 1),
            [b'*', b'/', ..] => (at, depth) = (at + 2, depth - 1),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn string(rest: &[u8]) -> usize {
    quoted(rest, b'"')
}

/// The length of a literal that begins with a quote, ends with the same one and knows escapes.
fn quoted(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            b if b == quote => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// The length of a character literal, or nothing if the quote begins a lifetime or a label.
fn character(rest: &[u8]) -> Option<usize> {
    let first = *rest.get(1)?;
    if first == b'\\' {
        return Some(quoted(rest, b'\''));
    }
    let width = match first {
        0..=0x7f => 1,
        0x80..=0xdf => 2,
        0xe0..=0xef => 3,
        _ => 4,
    };
    (first != b'\'' && rest.get(1 + width) == Some(&b'\'')).then_some(2 + width)
}

/// The length of `#"…"#` with any number of signs, after the `r`.
fn raw_string(rest: &[u8]) -> Option<usize> {
    let signs = rest.iter().position(|&b| b != b'#')?;
    if rest[signs] != b'"' {
        return None;
    }
    let body = signs + 1;
    let end = (body..rest.len()).find(|&i| {
        rest[i] == b'"' && rest[i + 1..].iter().take(signs).filter(|&&b| b == b'#').count() == signs
    });
    Some(end.map_or(rest.len(), |end| end + 1 + signs))
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn code_is_what_remains() {
        let cases = [
            ("plain", "let a = 1;", "let a = 1;"),
            ("line comment", "a // b {", "a       "),
            ("nested comment", "a /* b /* c */ d */ e", "a                   e"),
            ("string", r#"f("a { \" b") }"#, r#"f("        ") }"#),
            ("byte string", r#"b"{""#, r#"b" ""#),
            ("raw string", "r#\"a \" {\"# }", "\"        \" }"),
            ("raw string without signs", "r\"\\\" }", "\"  \" }"),
            ("byte raw string", "br\"{\" }", "\"   \" }"),
            ("raw identifier", "r#fn {", "r#fn {"),
            ("character", "'{' }", "\" \" }"),
            ("escaped quote", "'\\'' }", "\"  \" }"),
            ("wide character", "'é' }", "\"  \" }"),
            ("lifetime", "&'a str {", "&'a str {"),
            ("label", "'outer: loop {", "'outer: loop {"),
            ("lifetimes in a row", "<'a, 'b>", "<'a, 'b>"),
            ("a comment in a string", "\"// no\" a", "\"     \" a"),
            ("an unfinished string", "\"abc", "\"  \""),
        ];
        for (what, text, code) in cases {
            assert_eq!(split(text).code, code, "{what}");
        }
    }

    #[test]
    fn comments_and_line_breaks_are_kept() {
        let split = split("/// doc\nfn a() {} // why\n\"two\nlines\"");
        assert_eq!(split.comments, "/// doc\n          // why\n    \n      ");
        assert_eq!(split.code, "       \nfn a() {}       \n\"   \n     \"");
    }
}
