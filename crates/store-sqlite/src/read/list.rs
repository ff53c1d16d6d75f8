//! Lists of runs.

use super::row::{ROW, run_row};
use crate::{error::Failure, readers::Readers};
use rusqlite::{Connection, ToSql, params_from_iter};
use towpath_model::{RunNo, Status};
use towpath_store::{Filter, Page, RunRow, StoreError};

/// Runs that one statement looks at, at most: a rare status among very many runs must not hold a transaction for long.
const WINDOW: i64 = 100_000;

pub(crate) fn list(readers: &Readers, filter: &Filter, page: Page) -> Result<Vec<RunRow>, StoreError> {
    const OPERATION: &str = "list runs";
    let limit = page.limit.min(Page::MOST);
    let newest = |c: &Connection| {
        let newest =
            c.prepare_cached("SELECT coalesce(max(run_no), 0) FROM runs")?.query_row([], |row| row.get(0));
        Ok(newest.map(RunNo)?)
    };
    let mut below: i64 = match page.after {
        Some(after) => after.0.0,
        None => readers.read(OPERATION, newest)?.0 + 1,
    };
    let mut rows = Vec::new();
    while below > 1 && rows.len() < limit {
        let from = (below - WINDOW).max(1);
        let more = |c: &Connection| window(c, filter, from, below, limit - rows.len());
        rows.extend(readers.read(OPERATION, more)?);
        below = from;
    }
    Ok(rows)
}

/// Runs with numbers from `from` and below `below`, newest first.
fn window(
    connection: &Connection,
    filter: &Filter,
    from: i64,
    below: i64,
    limit: usize,
) -> Result<Vec<RunRow>, Failure> {
    let mut sql = format!("SELECT {ROW} WHERE runs.run_no >= ? AND runs.run_no < ?");
    let mut values: Vec<Box<dyn ToSql>> = vec![Box::new(from), Box::new(below)];
    if let Some(pipeline) = &filter.pipeline {
        sql.push_str(" AND pipeline = ?");
        values.push(Box::new(pipeline.as_str().to_owned()));
    }
    if !filter.status.is_empty() {
        let marks = vec!["?"; filter.status.len()].join(", ");
        sql.push_str(&format!(" AND status IN ({marks})"));
        values.extend(filter.status.iter().map(|s| Box::new(s.code()) as Box<dyn ToSql>));
        if !filter.status.contains(&Status::Settled) {
            // In these words the index of the runs that are not over is found.
            sql.push_str(" AND status <> 7");
        }
    }
    for (label, value) in &filter.labels {
        sql.push_str(" AND runs.run_no IN (SELECT run_no FROM labels WHERE label = ? AND value = ?)");
        values.push(Box::new(label.clone()));
        values.push(Box::new(value.clone()));
    }
    sql.push_str(" ORDER BY runs.run_no DESC LIMIT ?");
    values.push(Box::new(i64::try_from(limit).unwrap_or(i64::MAX)));
    let mut statement = connection.prepare(&sql)?;
    let rows = statement.query_map(params_from_iter(values), run_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_settled_is_the_one_in_the_indexes() {
        assert_eq!(Status::Settled.code(), 7);
    }
}
