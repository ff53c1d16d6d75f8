//! The image itself.

use super::layout::{CHARS, Frame, LINE, Line, PAD, Sheet, layout};
use crate::{PlanView, graph::Because, paint, words};
use std::fmt::Write;

const MARGIN: f64 = 16.0;
const STYLE: &str = include_str!("style.css");

pub(crate) fn draw(view: &PlanView<'_>) -> String {
    let sheet = layout(view, 0);
    let title = heading(view);
    let title_width = paint::width(&title) as f64 * 8.0;
    let (width, height) =
        (sheet.width.max(title_width) + 2.0 * MARGIN, sheet.height + 2.0 * MARGIN + 2.0 * LINE);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" height=\"{1}\" role=\"img\">\n",
        px(width),
        px(height)
    );
    let _ = writeln!(out, "<title>{}</title>\n<style>\n{STYLE}</style>", escape(&title));
    out.push_str(
        "<defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" \
         orient=\"auto\"><path class=\"tip\" d=\"M0 0L8 4L0 8z\"/></marker></defs>\n<rect class=\"page\" width=\"100%\" \
         height=\"100%\"/>\n",
    );
    let _ = writeln!(
        out,
        "<text class=\"name\" x=\"{MARGIN}\" y=\"{}\">{}</text>",
        px(MARGIN + 12.0),
        escape(&title)
    );
    draw_sheet(&sheet, MARGIN, MARGIN + 2.0 * LINE, &mut out);
    out.push_str("</svg>\n");
    out
}

fn heading(view: &PlanView<'_>) -> String {
    let mut title = words::clean(view.record.pipeline.as_str());
    for (name, hash) in [("pipeline", view.pipeline_hash()), ("plan", view.plan_hash())] {
        if let Some(hash) = hash {
            let _ = write!(title, " · {name} {}", hash.short());
        }
    }
    title
}

fn draw_sheet(sheet: &Sheet, x: f64, y: f64, out: &mut String) {
    let _ = writeln!(out, "<g transform=\"translate({} {})\">", px(x), px(y));
    for (x, y, title) in &sheet.titles {
        let _ =
            writeln!(out, "<text class=\"section\" x=\"{}\" y=\"{}\">{title}</text>", px(*x), px(*y - 4.0));
    }
    for line in &sheet.edges {
        draw_line(sheet, line, out);
    }
    for frame in &sheet.boxes {
        draw_frame(frame, out);
    }
    out.push_str("</g>\n");
}

fn draw_line(sheet: &Sheet, line: &Line, out: &mut String) {
    let (class, why) = match line.because {
        Because::Reads => ("reads", "reads"),
        Because::OrNone => ("reads", "reads, if it ran,"),
        Because::FirstOf => ("reads", "reads the first that ran of others and"),
        Because::When => ("order", "has a condition on"),
        Because::After => ("order", "is after"),
    };
    let mut path = String::new();
    let mut last: Option<(f64, f64)> = None;
    for &(x, y) in &line.points {
        match last {
            None => write!(path, "M{} {}", px(x), px(y)),
            Some((from, at)) if from == x => write!(path, "L{} {}", px(x), px(y.max(at))),
            Some((from, at)) => {
                let middle = (at + y) / 2.0;
                write!(path, "C{} {m} {} {m} {} {}", px(from), px(x), px(x), px(y), m = px(middle))
            }
        }
        .expect("writing to a String cannot fail");
        last = Some((x, y));
    }
    let (from, to) = (&sheet.boxes[line.from].label.id, &sheet.boxes[line.to].label.id);
    let _ = writeln!(
        out,
        "<path class=\"edge {class}\" d=\"{path}\"><title>{} {why} {}</title></path>",
        escape(to),
        escape(from)
    );
}

fn draw_frame(frame: &Frame, out: &mut String) {
    let standing = frame.label.seen.map(|s| s.standing.word()).unwrap_or_default();
    let _ = writeln!(
        out,
        "<g class=\"step {standing}\" transform=\"translate({} {})\">",
        px(frame.x),
        px(frame.y)
    );
    let whole: Vec<&str> = frame.label.lines().collect();
    let _ = writeln!(
        out,
        "<title>{}</title><rect width=\"{}\" height=\"{}\" rx=\"6\"/>",
        escape(&whole.join("\n")),
        px(frame.width),
        px(frame.height)
    );
    for (i, line) in frame.label.lines().enumerate() {
        let class = match i {
            0 => "id",
            1 => "kind",
            _ => "more",
        };
        let y = PAD + 8.0 + LINE * i as f64;
        let _ = writeln!(
            out,
            "<text class=\"{class}\" x=\"{PAD}\" y=\"{}\">{}</text>",
            px(y),
            escape(&short(line))
        );
    }
    if let Some((top, sheet)) = &frame.below {
        draw_sheet(sheet, PAD, *top, out);
    }
    out.push_str("</g>\n");
}

/// A line that fits into its box.
fn short(line: &str) -> String {
    if paint::width(line) <= CHARS {
        return line.to_owned();
    }
    let mut cut = paint::pieces(line, CHARS - 1).swap_remove(0);
    cut.push('…');
    cut
}

/// A measure to a tenth of a pixel, always spelled the same.
fn px(of: f64) -> String {
    let tenths = (of * 10.0).round() / 10.0;
    // There is no negative zero in a picture.
    format!("{}", if tenths == 0.0 { 0.0 } else { tenths })
}

/// A text as XML holds it. What XML cannot hold was cleaned away before.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}
