//! What a plan holds, in words.

use std::{fmt::Write, time::Duration};
use towpath_model::{Condition, Json, Operand, Section, StepId};

/// Text without anything that could move a cursor or turn the direction of reading: a plan that is looked at before it
/// is approved must not be able to draw over what it says.
pub(crate) fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        // The marks that turn the direction of text: Unicode Technical Report 36, section 2.10.
        let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        let ends_line = matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}');
        // U+FFFE and U+FFFF are no characters, and no XML may hold them.
        let is_none = matches!(c, '\u{fffe}' | '\u{ffff}');
        if c.is_control() || turns || ends_line || is_none {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// The first characters of a text, with a mark when there are more.
pub(crate) fn cut(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// A JSON value, short and on one line.
pub(crate) fn json(value: &Json) -> String {
    clean(&cut(value.as_str(), 60))
}

/// A place in something: `scan` and `/critical` are `scan.critical`.
pub(crate) fn place(of: &str, pointer: &str) -> String {
    let mut out = clean(of);
    for part in pointer.split('/').skip(1) {
        out.push('.');
        out.push_str(&clean(&part.replace("~1", "/").replace("~0", "~")));
    }
    out
}

/// An operand of a condition.
pub(crate) fn operand(operand: &Operand) -> String {
    match operand {
        Operand::Value(value) => json(value),
        Operand::From { step, path } => place(step.as_str(), path),
        Operand::Param { name, path } => format!("param {}", place(name, path)),
    }
}

/// A condition, to be read behind "when".
pub(crate) fn condition(of: &Condition) -> String {
    match of {
        Condition::Is(a, b) => format!("{} is {}", operand(a), operand(b)),
        Condition::Less(a, b) => format!("{} is less than {}", operand(a), operand(b)),
        Condition::AtMost(a, b) => format!("{} is at most {}", operand(a), operand(b)),
        Condition::All(all) => joined(all, " and ", "always"),
        Condition::Any(any) => joined(any, " or ", "never"),
        Condition::Not(inner) => match &**inner {
            Condition::Is(a, b) => format!("{} is not {}", operand(a), operand(b)),
            inner => format!("not ({})", condition(inner)),
        },
    }
}

fn joined(all: &[Condition], with: &str, none: &str) -> String {
    let one = |c: &Condition| match c {
        Condition::All(some) | Condition::Any(some) if some.len() > 1 => format!("({})", condition(c)),
        c => condition(c),
    };
    if all.is_empty() { none.to_owned() } else { all.iter().map(one).collect::<Vec<_>>().join(with) }
}

/// A length of time, as people say it: its two largest units.
pub(crate) fn length(of: Duration) -> String {
    let ms = of.as_millis();
    if ms < 1_000 {
        return format!("{ms} ms");
    }
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s")];
    let (mut rest, mut out, mut shown) = (ms, String::new(), 0);
    for (unit, name) in units {
        let n = rest / unit;
        rest %= unit;
        if n > 0 && shown < 2 {
            let gap = if shown == 0 { "" } else { " " };
            // Writing to a String cannot fail.
            let _ = write!(out, "{gap}{n} {name}");
            shown += 1;
        } else if shown > 0 {
            break;
        }
    }
    out
}

/// [`length`] of milliseconds.
pub(crate) fn millis(ms: u64) -> String {
    length(Duration::from_millis(ms))
}

/// The title of a section; the main one has none.
pub(crate) fn section(of: Section) -> Option<&'static str> {
    match of {
        Section::Main => None,
        Section::OnFailure => Some("on failure"),
        Section::Finally => Some("finally"),
    }
}

/// Ids, one after the other.
pub(crate) fn ids<'a>(all: impl IntoIterator<Item = &'a StepId>) -> String {
    all.into_iter().map(|id| clean(id.as_str())).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(step: &str, path: &str) -> Operand {
        Operand::From { step: StepId::new(step).unwrap(), path: path.into() }
    }

    fn value(text: &str) -> Operand {
        Operand::Value(Json::parse(text).unwrap())
    }

    #[test]
    fn conditions_can_be_read_aloud() {
        let clean = Condition::Is(from("report", "/critical"), value("0"));
        let region = Operand::Param { name: "region".into(), path: String::new() };
        let eu = Condition::Is(region, value("\"eu\""));
        let few = Condition::AtMost(from("report", "/by level/a~1b"), value("5"));
        let all = Condition::All(vec![clean.clone(), Condition::Any(vec![eu.clone(), few])]);
        for (of, said) in [
            (clean.clone(), "report.critical is 0"),
            (Condition::Not(Box::new(clean.clone())), "report.critical is not 0"),
            (
                Condition::Not(Box::new(Condition::All(vec![clean, eu]))),
                "not (report.critical is 0 and param region is \"eu\")",
            ),
            (all, "report.critical is 0 and (param region is \"eu\" or report.by level.a/b is at most 5)"),
            (Condition::All(Vec::new()), "always"),
        ] {
            assert_eq!(condition(&of), said);
        }
    }

    #[test]
    fn lengths_have_two_units_at_most() {
        for (ms, said) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (1_000, "1 s"),
            (90_500, "1 min 30 s"),
            (3_600_000, "1 h"),
            (3_605_000, "1 h"),
            (90_000_000, "1 d 1 h"),
        ] {
            assert_eq!(millis(ms), said);
        }
    }

    #[test]
    fn text_cannot_move_a_cursor_or_turn_the_line() {
        assert_eq!(clean("a\u{1b}[2Jb\nc\u{202e}d\u{9b}"), "a\\u{1b}[2Jb\\nc\\u{202e}d\\u{9b}");
        assert_eq!(clean("部署 🚀"), "部署 🚀");
    }
}
