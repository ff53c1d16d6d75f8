//! What a step would change: the answers of previews.

use crate::Json;
use serde::{Deserialize, Serialize};
use std::fmt;

/// One difference that a step would make to the world.
///
/// It reads as one line of an infrastructure plan: `~ weight of checkout: 10 → 25`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// What would be done.
    pub action: ChangeAction,
    /// To what: its sort and its name, as in `table orders` or `weight of checkout`.
    pub target: String,
    /// What is there now, as far as it was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Json>,
    /// What would be there, as far as it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Json>,
    /// In words, for people: for an unknown change, why it is unknown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// What would be done to a thing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeAction {
    /// It would be made.
    Create,
    /// It would be changed.
    Update,
    /// It would be removed.
    Delete,
    /// It would stay as it is.
    None,
    /// It cannot be told before the run.
    Unknown,
}

impl Change {
    fn new(action: ChangeAction, target: impl Into<String>) -> Self {
        Change { action, target: target.into(), before: None, after: None, note: String::new() }
    }

    /// `target` would be made.
    pub fn create(target: impl Into<String>) -> Self {
        Change::new(ChangeAction::Create, target)
    }

    /// `target` would be changed.
    pub fn update(target: impl Into<String>) -> Self {
        Change::new(ChangeAction::Update, target)
    }

    /// `target` would be removed.
    pub fn delete(target: impl Into<String>) -> Self {
        Change::new(ChangeAction::Delete, target)
    }

    /// `target` would stay as it is.
    pub fn none(target: impl Into<String>) -> Self {
        Change::new(ChangeAction::None, target)
    }

    /// What would become of `target` cannot be told before the run; `why` says so in words.
    pub fn unknown(target: impl Into<String>, why: impl fmt::Display) -> Self {
        Change { note: why.to_string(), ..Change::new(ChangeAction::Unknown, target) }
    }

    /// With what is there now. A value that cannot be JSON is left out.
    #[must_use]
    pub fn from<T: Serialize + ?Sized>(self, before: &T) -> Self {
        Change { before: Json::of(before).ok(), ..self }
    }

    /// With what would be there. A value that cannot be JSON is left out.
    #[must_use]
    pub fn to<T: Serialize + ?Sized>(self, after: &T) -> Self {
        Change { after: Json::of(after).ok(), ..self }
    }

    /// With words for people.
    #[must_use]
    pub fn because(self, note: impl fmt::Display) -> Self {
        Change { note: note.to_string(), ..self }
    }
}

impl ChangeAction {
    /// The sign in front of its line.
    pub fn sign(self) -> char {
        match self {
            ChangeAction::Create => '+',
            ChangeAction::Update => '~',
            ChangeAction::Delete => '-',
            ChangeAction::None => '=',
            ChangeAction::Unknown => '?',
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.action.sign(), self.target)?;
        match (&self.before, &self.after) {
            (Some(before), Some(after)) => write!(f, ": {} → {}", before.as_str(), after.as_str())?,
            (Some(before), None) => write!(f, ": {}", before.as_str())?,
            (None, Some(after)) => write!(f, ": → {}", after.as_str())?,
            (None, None) => {}
        }
        if self.note.is_empty() { Ok(()) } else { write!(f, " ({})", self.note) }
    }
}

#[cfg(test)]
mod tests {
    use super::Change;

    #[test]
    fn changes_read_as_lines_of_an_infrastructure_plan() {
        for (change, line) in [
            (Change::create("table orders"), "+ table orders"),
            (Change::update("weight of checkout").from(&10).to(&25), "~ weight of checkout: 10 → 25"),
            (Change::delete("process 7").from("v1"), "- process 7: \"v1\""),
            (Change::none("table orders").because("it is there"), "= table orders (it is there)"),
            (
                Change::unknown("weight", "the step build has not run"),
                "? weight (the step build has not run)",
            ),
        ] {
            assert_eq!(change.to_string(), line);
        }
    }

    #[test]
    fn changes_are_a_stored_format() {
        let change = Change::update("weight of checkout").from(&10).to(&25).because("bake");
        let stored =
            r#"{"action":"update","target":"weight of checkout","before":10,"after":25,"note":"bake"}"#;
        assert_eq!(serde_json::to_string(&change).unwrap(), stored);
        assert_eq!(serde_json::from_str::<Change>(stored).unwrap(), change);
        let none = serde_json::to_string(&Change::none("x")).unwrap();
        assert_eq!(none, r#"{"action":"none","target":"x"}"#);
    }
}
