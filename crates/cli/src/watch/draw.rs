//! The picture of a run: of what is known of it, its age and the size of the terminal, and of nothing else.

use crate::{
    cx::Spelling,
    explain::Why,
    items,
    out::{Paint, Tone},
    screen::{Size, clip, wrap},
    show::{self, Shown},
    steps, when,
};
use towpath::model::Status;

/// Marks of what moves or needs somebody: what has to be seen when not everything can be.
const BUSY: [char; 4] = ['▸', '◦', '?', '!'];
/// Items below the picture, of those that somebody is needed for.
const ITEMS: usize = 2;

/// The lines of the picture, none wider than the terminal and not more of them than it has.
pub(crate) fn frame(shown: &Shown, spelling: &Spelling, paint: Paint, size: Size) -> Vec<String> {
    let row = &shown.row;
    let end = if row.listing.status == Status::Settled { row.changed_at } else { shown.now };
    let length = when::length(end.since(row.started_at));
    let head = vec![format!("{}  {}", shown.title(paint), paint.text(Tone::Dim, &length))];
    let tree = match &shown.story.state {
        Ok(state) => steps::tree(shown, state, paint),
        Err(why) => vec![format!("  its journal cannot be folded: {why}")],
    };
    let foot = foot(shown, spelling, paint);
    let cut = |lines: Vec<String>| lines.into_iter().map(|l| clip(&l, size.width)).collect::<Vec<_>>();
    // What is to be copied is not cut.
    let foot: Vec<String> = foot.iter().flat_map(|line| wrap(line, size.width)).collect();
    let room = size.height.saturating_sub(2 + foot.len());
    let mut lines = [cut(head), window(cut(tree), room), foot].concat();
    lines.truncate(size.height.saturating_sub(1).max(1));
    lines
}

/// What the run waits for and the commands that move it; how it ended, once it has.
fn foot(shown: &Shown, spelling: &Spelling, paint: Paint) -> Vec<String> {
    let mut lines = vec![String::new()];
    if let Some(outcome) = &shown.row.listing.outcome {
        lines.extend(show::ending(outcome, shown.story.aftermath.as_ref(), paint));
        return lines;
    }
    let why = Why::of(&shown.row, &shown.story, shown.unread, shown.now, spelling);
    // Many items may want the same of somebody: a few stand for them.
    let of_items = items::waits(shown, spelling);
    let more = of_items.len().saturating_sub(ITEMS);
    let needs = why.waits.iter().filter(|wait| !wait.commands.is_empty());
    for wait in needs.chain(of_items.iter().take(ITEMS)) {
        let since = when::length(shown.now.since(wait.since_at));
        let step =
            wait.step.as_ref().map(|s| format!("{} ", paint.text(Tone::Strong, s))).unwrap_or_default();
        lines.push(format!("{step}{} ({since})", wait.what));
        let width = wait.commands.iter().map(|c| c.command.chars().count()).max().unwrap_or(0);
        for command in &wait.commands {
            let padded = format!("{:<width$}", command.command);
            let line = format!("  {}  {}", paint.text(Tone::Busy, &padded), command.does);
            lines.push(line.trim_end().to_owned());
        }
    }
    if more > 0 {
        let explain = spelling.about("explain", shown.row.run, "");
        lines.push(format!("and {more} more: {explain}"));
    }
    if shown.row.owner.is_none() {
        lines.push(paint.text(Tone::Dim, &why.driving));
    }
    if lines.len() == 1 { Vec::new() } else { lines }
}

/// As many lines as there is room for, around the first that moves.
fn window(lines: Vec<String>, room: usize) -> Vec<String> {
    if lines.len() <= room {
        return lines;
    }
    // One line above and one below say what is left out.
    let inside = room.saturating_sub(2);
    let busy = lines.iter().position(|line| line.contains(BUSY)).unwrap_or(0);
    let from = busy.saturating_sub(inside / 3).min(lines.len() - inside);
    let (above, below) = (from, lines.len() - from - inside);
    let mut window = Vec::new();
    let left_out = |n: usize, place: &str| (n > 0).then(|| format!("  … {n} more {place}"));
    window.extend(left_out(above, "above"));
    window.extend_from_slice(&lines[from..from + inside]);
    window.extend(left_out(below, "below"));
    window.truncate(room);
    window
}

#[cfg(test)]
mod tests {
    use super::window;

    #[test]
    fn what_moves_is_seen_when_not_everything_can_be() {
        let lines: Vec<String> =
            (0..40).map(|i| if i == 30 { "▸ thirty".into() } else { format!("✓ {i}") }).collect();
        let seen = window(lines.clone(), 8);
        assert_eq!(seen.len(), 8);
        assert_eq!(seen[0], "  … 28 more above");
        assert!(seen.contains(&"▸ thirty".to_owned()), "{seen:?}");
        assert_eq!(seen[7], "  … 6 more below");
        assert_eq!(window(lines.clone(), 40), lines);
        for room in 0..40 {
            assert!(window(lines.clone(), room).len() <= room, "{room}");
        }
    }
}
