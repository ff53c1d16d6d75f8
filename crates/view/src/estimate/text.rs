//! The estimate as text.

use super::{Estimate, Span};
use crate::{
    paint::{Look, Tone, padded, set, width},
    words::{clean, ids, millis},
};

impl Estimate {
    /// It as text for a terminal.
    pub fn text(&self, look: Look) -> String {
        let span = |span: &Span| match span.people_ms {
            0 => millis(span.total_ms),
            people => format!(
                "{}: {} of work, {} waiting for people",
                millis(span.total_ms),
                millis(span.work_ms),
                millis(people)
            ),
        };
        let s = if self.runs == 1 { "" } else { "s" };
        let mut fields: Vec<(&str, String)> = Vec::new();
        if self.runs == 0 {
            fields.push(("time", "unknown: no past run of this pipeline tells".into()));
        } else {
            fields.push(("by", format!("{} past run{s}", self.runs)));
            fields.push(("median", span(&self.median)));
            fields.push(("p90", span(&self.p90)));
            let leg = |leg: &super::Leg| {
                format!("{} {}", clean(leg.step.as_str()), millis(leg.work_ms + leg.people_ms))
            };
            fields.push(("critical", self.critical.iter().map(leg).collect::<Vec<_>>().join(", ")));
            fields.push(("unknown", ids(&self.unknown)));
        }
        let blast = &self.blast;
        fields.push(("touches", blast.environments.iter().map(|e| clean(e)).collect::<Vec<_>>().join(", ")));
        fields.push(("effects", ids(&blast.effects)));
        fields.push(("undone", ids(&blast.undone)));
        fields.push(("asked about", ids(&blast.asked)));
        fields.push(("kept", ids(&blast.kept)));
        fields.push(("left", ids(&blast.left)));
        fields.push(("no return", ids(&blast.no_return)));
        fields.retain(|(_, value)| !value.is_empty());
        let wide = fields.iter().map(|(name, _)| width(name)).max().unwrap_or(0);
        let mut text = String::new();
        for (name, value) in fields {
            for (i, line) in
                set(&[(Tone::Plain, value)], look.width() - wide - 4, look).into_iter().enumerate()
            {
                let name = look.paint(Tone::Dim, &padded(if i == 0 { name } else { "" }, wide));
                text.push_str(&format!("  {name}  {line}\n"));
            }
        }
        text
    }
}
