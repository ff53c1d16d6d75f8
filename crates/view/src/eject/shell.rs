//! Words of a shell.

/// A text as one word that any POSIX shell reads back as it was: in single quotes, with each quote in it written as
/// `'\''` (POSIX.1-2024, Shell Command Language, 2.2.2). `None` when it holds a zero byte, which no program can be given.
///
/// ```
/// use towpath_view::quote;
/// assert_eq!(quote("it's").as_deref(), Some(r"'it'\''s'"));
/// assert_eq!(quote("a\0b"), None);
/// ```
pub fn quote(text: &str) -> Option<String> {
    (!text.contains('\0')).then(|| format!("'{}'", text.replace('\'', r"'\''")))
}

/// A name as a part of a variable's name.
pub(super) fn name(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}
