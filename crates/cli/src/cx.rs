//! What a command works with.

use crate::{open::Address, out::Out};
use std::sync::Arc;
use towpath::{model::RunId, store::Store};

/// What a command works with.
pub(crate) struct Cx<'a> {
    /// Where the journals live.
    pub(crate) store: Arc<dyn Store>,
    /// Where output goes.
    pub(crate) out: &'a mut Out,
    /// How this command is spelled on a command line.
    pub(crate) spelling: Spelling,
}

/// How this command is spelled: as the user called it, with the store if they named it.
#[derive(Clone, Debug)]
pub(crate) struct Spelling(String);

impl Spelling {
    /// The spelling of a binary's name and the store that it works on.
    pub(crate) fn new(binary: &str, address: &Address) -> Self {
        if address.has_to_be_named() {
            return Spelling(format!("{binary} --store {}", quoted(&address.url)));
        }
        Spelling(binary.to_owned())
    }

    /// The spelling of this binary, for a store that needs no naming.
    pub(crate) fn plain(binary: &str) -> Self {
        Spelling(binary.to_owned())
    }

    /// A command, ready to be copied.
    pub(crate) fn of(&self, rest: &str) -> String {
        format!("{} {rest}", self.0)
    }

    /// A command about a run, and about a step if one is given.
    pub(crate) fn about(&self, verb: &str, run: RunId, rest: &str) -> String {
        let rest = if rest.is_empty() { String::new() } else { format!(" {rest}") };
        self.of(&format!("{verb} {run}{rest}"))
    }
}

/// A word as a shell reads it back.
pub(crate) fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@=+,%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_when_a_shell_would_take_them_apart() {
        for (word, text) in
            [("a/b", "a/b"), ("deploy[eu]/apply", "'deploy[eu]/apply'"), ("it's", r"'it'\''s'")]
        {
            assert_eq!(quoted(word), text);
        }
    }
}
