//! The orders, in a database whose shape is the business of migrations and not of the service.

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};
use std::{
    error::Error,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// An order that somebody places.
#[derive(Deserialize)]
pub(crate) struct NewOrder {
    pub(crate) item: String,
    pub(crate) quantity: u32,
    #[serde(default)]
    pub(crate) note: String,
}

/// An order.
#[derive(Serialize)]
pub(crate) struct Order {
    id: i64,
    item: String,
    quantity: u32,
    #[serde(skip_serializing_if = "String::is_empty")]
    note: String,
}

/// The book of orders.
pub(crate) struct Book {
    connection: Mutex<Connection>,
    /// Whether orders have notes: version 1.1 brought them, with a migration that only adds.
    has_notes: bool,
}

impl Book {
    /// Opens the book. A release whose migrations have not run says so, and does not come up.
    pub(crate) fn open(path: &str) -> Result<Self, Box<dyn Error>> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(Duration::from_secs(5))?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "synchronous", "normal")?;
        let columns: Vec<String> = connection
            .prepare("SELECT name FROM pragma_table_info('orders')")?
            .query_map([], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        if columns.is_empty() {
            return Err(format!("{path} has no table `orders`: run its migrations first").into());
        }
        let has_notes = columns.iter().any(|column| column == "note");
        Ok(Book { connection: Mutex::new(connection), has_notes })
    }

    /// The newest orders.
    pub(crate) fn newest(&self) -> rusqlite::Result<Vec<Order>> {
        let connection = self.connection();
        let mut select = connection.prepare_cached(&self.select("ORDER BY id DESC LIMIT 20"))?;
        select.query_map([], order)?.collect()
    }

    /// One order.
    pub(crate) fn order(&self, id: i64) -> rusqlite::Result<Option<Order>> {
        let connection = self.connection();
        connection.prepare_cached(&self.select("WHERE id = ?1"))?.query_row([id], order).optional()
    }

    /// Places an order.
    pub(crate) fn place(&self, new: &NewOrder) -> rusqlite::Result<Order> {
        let connection = self.connection();
        let id = if self.has_notes {
            connection
                .prepare_cached("INSERT INTO orders (item, quantity, note) VALUES (?1, ?2, ?3)")?
                .insert(params![new.item, new.quantity, new.note])?
        } else {
            connection
                .prepare_cached("INSERT INTO orders (item, quantity) VALUES (?1, ?2)")?
                .insert(params![new.item, new.quantity])?
        };
        let note = if self.has_notes { new.note.clone() } else { String::new() };
        Ok(Order { id, item: new.item.clone(), quantity: new.quantity, note })
    }

    fn select(&self, rest: &str) -> String {
        format!(
            "SELECT id, item, quantity, {} FROM orders {rest}",
            if self.has_notes { "note" } else { "''" }
        )
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        // A request that panicked has rolled back.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn order(row: &Row<'_>) -> rusqlite::Result<Order> {
    Ok(Order { id: row.get(0)?, item: row.get(1)?, quantity: row.get(2)?, note: row.get(3)? })
}
