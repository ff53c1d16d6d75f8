//! Lists find their rows through an index, in order.

use super::*;
use crate::open::MIGRATIONS;
use towpath_model::PipelineName;

/// How SQLite goes about the statements of a filter.
fn plans(filter: &Filter) -> Vec<String> {
    let connection = Connection::open_in_memory().unwrap();
    connection.execute_batch(MIGRATIONS[0]).unwrap();
    let window = Window { from: 1, below: 100, limit: 10 };
    let mut plans = Vec::new();
    for (status, through) in ways(filter) {
        let query = window.query(filter, status, through);
        let sql = format!("EXPLAIN QUERY PLAN {}", query.sql);
        let mut explain = connection.prepare(&sql).unwrap();
        let rows = explain.query_map(params_from_iter(&query.values), |row| row.get::<_, String>(3)).unwrap();
        plans.push(rows.collect::<Result<Vec<_>, _>>().unwrap().join("; "));
    }
    plans
}

#[test]
fn the_number_of_settled_is_the_one_in_the_indexes() {
    assert_eq!(Status::Settled.code(), 7);
}

#[test]
fn lists_go_through_an_index_and_sort_nothing() {
    let label = |key: &str| (key.to_owned(), "shop".to_owned());
    let pipeline = Some(PipelineName::new("checkout").unwrap());
    let filters = [
        (Filter::default(), "SEARCH runs USING INTEGER PRIMARY KEY"),
        (Filter { status: vec![Status::Stuck], ..Filter::default() }, "listings_open (status=?"),
        (
            Filter { status: vec![Status::Stuck, Status::Running], ..Filter::default() },
            "listings_open (status=?",
        ),
        (
            Filter { status: vec![Status::Settled], ..Filter::default() },
            "SEARCH runs USING INTEGER PRIMARY KEY",
        ),
        (Filter { pipeline, ..Filter::default() }, "runs_by_pipeline (pipeline=?"),
        (
            Filter { labels: vec![label("a"), label("b")], ..Filter::default() },
            "first USING PRIMARY KEY (label=? AND value=?",
        ),
    ];
    for (filter, through) in filters {
        for plan in plans(&filter) {
            assert!(plan.contains(through), "{filter:?}: {plan}");
            assert!(!plan.contains("TEMP B-TREE") && !plan.contains("SCAN"), "{filter:?}: {plan}");
        }
    }
}
