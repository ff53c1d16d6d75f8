//! What a check reports.

use std::fmt;

/// The rules, by the name that an exception uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rule {
    Blob,
    DocIgnore,
    Exception,
    FileSize,
    FunctionSize,
    Graph,
    Ignore,
    Leak,
    Macro,
    Purity,
    Reason,
    Root,
    Sleep,
    Typetag,
    Unwrap,
    Vocabulary,
}

impl Rule {
    /// Rules that an exception can be made from: all but the one about exceptions.
    pub(super) const EXCUSABLE: [Self; 15] = [
        Self::Blob,
        Self::DocIgnore,
        Self::FileSize,
        Self::FunctionSize,
        Self::Graph,
        Self::Ignore,
        Self::Leak,
        Self::Macro,
        Self::Purity,
        Self::Reason,
        Self::Root,
        Self::Sleep,
        Self::Typetag,
        Self::Unwrap,
        Self::Vocabulary,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Blob => "blob",
            Self::DocIgnore => "doc-ignore",
            Self::Exception => "exception",
            Self::FileSize => "file-size",
            Self::FunctionSize => "function-size",
            Self::Graph => "graph",
            Self::Ignore => "ignore",
            Self::Leak => "leak",
            Self::Macro => "macro",
            Self::Purity => "purity",
            Self::Reason => "reason",
            Self::Root => "root",
            Self::Sleep => "sleep",
            Self::Typetag => "typetag",
            Self::Unwrap => "unwrap",
            Self::Vocabulary => "vocabulary",
        }
    }

    pub(super) fn by_name(name: &str) -> Option<Self> {
        Self::EXCUSABLE.into_iter().find(|rule| rule.name() == name)
    }

    pub(super) fn names() -> String {
        Self::EXCUSABLE.map(Self::name).join(", ")
    }
}

/// One violation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Finding {
    /// Relative to the workspace, with `/`.
    pub(super) path: String,
    /// Counted from 1.
    pub(super) line: usize,
    pub(super) rule: Rule,
    /// What is wrong and what to do.
    pub(super) message: String,
}

impl Finding {
    pub(super) fn new(path: &str, line: usize, rule: Rule, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, rule, message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {} [{}]", self.path, self.line, self.message, self.rule.name())
    }
}
