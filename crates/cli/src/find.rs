//! Which run a command line means.

use crate::fault::Fault;
use towpath::{
    model::RunId,
    store::{Cursor, Filter, Page, RunRow, Store},
};

/// Most runs that a refusal lists.
const LISTED: usize = 8;

/// The one run that a text stands for: an id, a unique prefix of one, or a key.
pub(crate) async fn run(store: &dyn Store, text: &str) -> Result<RunRow, Fault> {
    if let Ok(id) = text.parse::<RunId>()
        && let Some(row) = store.find(id).await?
    {
        return Ok(row);
    }
    let mut search = Search::new(text);
    let mut after = None;
    loop {
        let rows = store.list(&Filter::default(), Page { after, limit: Page::MOST }).await?;
        let Some(last) = rows.last() else { break };
        after = Some(Cursor(last.no));
        rows.into_iter().for_each(|row| search.see(row));
    }
    search.end()
}

struct Search<'a> {
    text: &'a str,
    /// The text as the beginning of an id, when it can be one.
    prefix: Option<String>,
    by_key: Vec<RunRow>,
    by_id: Vec<RunRow>,
    near: Vec<(usize, RunRow)>,
    seen: usize,
}

impl<'a> Search<'a> {
    fn new(text: &'a str) -> Self {
        let digits: String = text.chars().filter(|c| *c != '-').collect::<String>().to_ascii_lowercase();
        let is_prefix = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit());
        let prefix = is_prefix.then_some(digits);
        Search { text, prefix, by_key: Vec::new(), by_id: Vec::new(), near: Vec::new(), seen: 0 }
    }

    fn see(&mut self, row: RunRow) {
        self.seen += 1;
        if row.key.as_str() == self.text {
            self.by_key.push(row);
        } else if self.prefix.as_ref().is_some_and(|p| digits(row.run).starts_with(p.as_str())) {
            self.by_id.push(row);
        } else if let Some(distance) = self.distance(&row) {
            self.near.push((distance, row));
            self.near.sort_by_key(|(distance, _)| *distance);
            self.near.truncate(LISTED);
        }
    }

    /// How far a run is from what was meant, when it is near at all.
    fn distance(&self, row: &RunRow) -> Option<usize> {
        let (key, text) = (row.key.as_str().to_lowercase(), self.text.to_lowercase());
        if text.len() >= 3 && (key.contains(&text) || text.contains(&key)) {
            return Some(0);
        }
        // A mistyped id has its beginning right, or most of it.
        if let Some(prefix) = &self.prefix
            && prefix.len() >= 8
        {
            let id = digits(row.run);
            let beginning = &id[..prefix.len().min(id.len())];
            let distance = edits(beginning, prefix);
            if distance <= 2 {
                return Some(distance);
            }
        }
        let distance = edits(&key, &text);
        (distance <= (text.chars().count() / 4).max(1)).then_some(distance)
    }

    fn end(mut self) -> Result<RunRow, Fault> {
        // A key is somebody's own word for a run, so that it comes before what the text might be by chance.
        let found = if self.by_key.is_empty() { &mut self.by_id } else { &mut self.by_key };
        match found.len() {
            1 => Ok(found.remove(0)),
            0 => Err(self.none()),
            n => {
                let text = self.text;
                Err(Fault::failed(format!(
                    "{n} runs are meant by {text:?}: give more of the id{}",
                    list(found)
                )))
            }
        }
    }

    fn none(&self) -> Fault {
        let text = self.text;
        if self.seen == 0 {
            return Fault::failed(format!("there is no run {text:?}: the store holds no runs"));
        }
        if self.near.is_empty() {
            return Fault::failed(format!("there is no run {text:?}: `runs` lists those that there are"));
        }
        let rows: Vec<RunRow> = self.near.iter().map(|(_, row)| row.clone()).collect();
        Fault::failed(format!("there is no run {text:?}; near it are{}", list(&rows)))
    }
}

fn list(rows: &[RunRow]) -> String {
    let line =
        |row: &RunRow| format!("\n  {}  {}  {}  {}", row.run, row.pipeline, row.key, row.listing.status);
    let mut text: String = rows.iter().take(LISTED).map(line).collect();
    if rows.len() > LISTED {
        text.push_str(&format!("\n  … and {} more", rows.len() - LISTED));
    }
    text
}

fn digits(run: RunId) -> String {
    run.to_string().replace('-', "")
}

/// The length, in characters of its id, at which each of these runs is told from the others; at least 13, which is the
/// time part of an id that the engine makes.
pub(crate) fn short_len(runs: impl Iterator<Item = RunId>) -> usize {
    let mut ids: Vec<String> = runs.map(|r| r.to_string()).collect();
    ids.sort();
    let common = |pair: &[String]| pair[0].bytes().zip(pair[1].bytes()).take_while(|(a, b)| a == b).count();
    let longest = ids.windows(2).map(common).max().unwrap_or(0);
    let len = (longest + 1).clamp(13, 36);
    // An id cut behind a dash reads as if something were missing.
    if matches!(len, 14 | 19 | 24) { len + 1 } else { len }
}

/// The one of these words that was probably meant by another, if any.
pub(crate) fn nearest<'a>(word: &str, words: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let near = words.map(|w| (edits(&w.to_lowercase(), &word.to_lowercase()), w));
    near.filter(|(distance, _)| *distance <= (word.chars().count() / 4).max(1)).min().map(|(_, w)| w)
}

/// How many characters have to be put in, taken out or changed to make one text of another.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let change = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_counted() {
        for (a, b, n) in [("", "abc", 3), ("kitten", "sitting", 3), ("same", "same", 0), ("ab", "ba", 2)] {
            assert_eq!((edits(a, b), edits(b, a)), (n, n));
        }
    }

    #[test]
    fn short_ids_tell_runs_apart() {
        let run = |last: u8| RunId::from_bytes([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, last]);
        assert_eq!(short_len([run(1)].into_iter()), 13);
        assert_eq!(short_len([run(0x11), run(0x12)].into_iter()), 36);
        assert_eq!(short_len([run(0x11), RunId::from_bytes([9; 16])].into_iter()), 13);
    }
}
