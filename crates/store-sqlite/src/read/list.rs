//! Lists of runs.

use super::row::{COLUMNS, run_row};
use crate::{error::Failure, readers::Readers};
use rusqlite::{Connection, ToSql, params_from_iter};
use std::cmp::Reverse;
use towpath_model::{RunNo, Status};
use towpath_store::{Filter, Level, Page, RunRow, StoreError};

/// Runs that one statement looks at, at most: a rare status among very many runs must not hold a transaction for long.
const WINDOW: i64 = 100_000;

pub(crate) fn list(readers: &Readers, filter: &Filter, page: Page) -> Result<Vec<RunRow>, StoreError> {
    const OPERATION: &str = "list runs";
    let limit = page.limit.min(Page::MOST);
    let newest = |c: &Connection| {
        let sql = "SELECT coalesce(max(run_no), 0) FROM runs";
        Ok(c.prepare_cached(sql)?.query_row([], |row| row.get(0)).map(RunNo)?)
    };
    let mut below: i64 = match page.after {
        Some(after) => after.0.0,
        None => readers.read(OPERATION, newest)?.0 + 1,
    };
    let mut rows = Vec::new();
    while below > 1 && rows.len() < limit {
        let window = Window { from: (below - WINDOW).max(1), below, limit: limit - rows.len() };
        rows.extend(readers.read(OPERATION, |c| window.rows(c, filter))?);
        below = window.from;
    }
    Ok(rows)
}

/// Runs with numbers from `from` and below `below`, newest first.
struct Window {
    from: i64,
    below: i64,
    limit: usize,
}

/// The table through which rows are found, and the name that it has in the statement. Without statistics SQLite cannot
/// choose well, so it is told.
type Through = (&'static str, &'static str);

const RUNS: Through = ("runs", "runs");
const LEVEL: Through = ("runs INDEXED BY runs_by_parent", "runs");
const OPEN: Through = ("listings INDEXED BY listings_open", "listings");
const OWNED: Through = ("driving INDEXED BY driving_owned", "driving");
const LABEL: Through = ("labels AS first", "first");

/// The statements that find the rows of a filter. The runs of one status come out of its index in order; those of
/// several are found one after the other.
fn ways(filter: &Filter) -> Vec<(&[Status], Through)> {
    let status = &filter.status[..];
    let by_parent = filter.level != Level::All && filter.pipeline.is_none();
    if filter.owner.is_some() {
        vec![(status, OWNED)]
    } else if !filter.labels.is_empty() {
        vec![(status, LABEL)]
    } else if status.is_empty() || status.contains(&Status::Settled) {
        vec![(status, if by_parent { LEVEL } else { RUNS })]
    } else {
        status.chunks(1).map(|one| (one, OPEN)).collect()
    }
}

impl Window {
    fn rows(&self, connection: &Connection, filter: &Filter) -> Result<Vec<RunRow>, Failure> {
        let mut rows = Vec::new();
        for (status, through) in ways(filter) {
            rows.extend(self.query(filter, status, through).run(connection)?);
        }
        rows.sort_unstable_by_key(|row| Reverse(row.no));
        rows.dedup_by_key(|row| row.no);
        rows.truncate(self.limit);
        Ok(rows)
    }

    fn query(&self, filter: &Filter, status: &[Status], (table, name): Through) -> Query {
        let mut query = Query::default();
        query.text(&format!("SELECT {COLUMNS} FROM {table}"));
        for other in ["runs", "listings", "driving"].iter().filter(|t| **t != name) {
            // CROSS JOIN keeps the order of the tables.
            query.text(&format!(" CROSS JOIN {other} ON {other}.run_no = {name}.run_no"));
        }
        query.text(&format!(" LEFT JOIN workers ON workers.no = owner WHERE {name}.run_no >= "));
        query.value(self.from).text(&format!(" AND {name}.run_no < ")).value(self.below);
        if let Some(owner) = &filter.owner {
            query.text(" AND owner IN (SELECT no FROM workers WHERE worker = ");
            query.value(owner.as_str().to_owned()).text(") AND owner IS NOT NULL");
        }
        for (i, (label, value)) in filter.labels.iter().enumerate() {
            let exists = i > 0 || filter.owner.is_some();
            query.text(if exists {
                " AND EXISTS (SELECT 1 FROM labels WHERE label = "
            } else {
                " AND first.label = "
            });
            query.value(label.clone()).text(if exists { " AND value = " } else { " AND first.value = " });
            query.value(value.clone());
            query.text(&if exists { format!(" AND run_no = {name}.run_no)") } else { String::new() });
        }
        match filter.level {
            Level::All => {}
            Level::Top => drop(query.text(" AND parent IS NULL")),
            Level::ItemsOf(run) => drop(query.text(" AND parent = ").value(*run.as_bytes())),
        }
        if let Some(pipeline) = &filter.pipeline {
            query.text(" AND pipeline = ").value(pipeline.as_str().to_owned());
        }
        if !status.is_empty() {
            let codes: Vec<String> = status.iter().map(|s| s.code().to_string()).collect();
            query.text(&format!(" AND status IN ({})", codes.join(", ")));
            // In these words SQLite sees that the index of the runs that are not over will do.
            query.text(if table == OPEN.0 { " AND status <> 7" } else { "" });
        }
        query.text(&format!(" ORDER BY {name}.run_no DESC LIMIT {}", self.limit));
        query
    }
}

/// A statement and its values, put together side by side.
#[derive(Default)]
struct Query {
    sql: String,
    values: Vec<Box<dyn ToSql>>,
}

impl Query {
    fn text(&mut self, sql: &str) -> &mut Self {
        self.sql.push_str(sql);
        self
    }

    fn value(&mut self, value: impl ToSql + 'static) -> &mut Self {
        self.sql.push('?');
        self.values.push(Box::new(value));
        self
    }

    fn run(&self, connection: &Connection) -> Result<Vec<RunRow>, Failure> {
        let mut statement = connection.prepare(&self.sql)?;
        let rows = statement.query_map(params_from_iter(&self.values), run_row)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

#[cfg(test)]
mod tests;
