//! What a migration may not do: asked by SQLite for each statement before it runs.

use super::fault;
use crate::invalid::invalid;
use rusqlite::{
    Connection,
    hooks::{AuthAction, AuthContext, Authorization},
};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use towpath_provider::{HISTORY_TABLE, ProviderError};

/// Whose statements a connection runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Whose {
    /// Those of this provider.
    Ours,
    /// Those of a migration in a transaction.
    InTransaction,
    /// That of a migration without one.
    Alone,
}

/// Watches a connection, and remembers why it refused a statement.
pub(super) struct Guard(Arc<Mutex<State>>);

struct State {
    whose: Whose,
    refused: Option<String>,
}

/// The statements of a migration are run; ours again when it is dropped.
pub(super) struct Watching<'a>(&'a Guard);

impl Guard {
    pub(super) fn on(connection: &mut Connection) -> Result<Self, ProviderError> {
        let guard = Guard(Arc::new(Mutex::new(State { whose: Whose::Ours, refused: None })));
        let state = Arc::clone(&guard.0);
        let watch = move |context: AuthContext<'_>| {
            let mut state = lock(&state);
            match reason(context.action, state.whose) {
                None => Authorization::Allow,
                Some(reason) => {
                    state.refused = Some(reason);
                    Authorization::Deny
                }
            }
        };
        connection.authorizer(Some(watch)).map_err(fault::before)?;
        Ok(guard)
    }

    pub(super) fn watch(&self, whose: Whose) -> Watching<'_> {
        *lock(&self.0) = State { whose, refused: None };
        Watching(self)
    }
}

impl Watching<'_> {
    /// What an error means: what was refused here, or what SQLite said.
    pub(super) fn explain(&self, error: rusqlite::Error) -> ProviderError {
        match lock(&self.0.0).refused.take() {
            Some(reason) => invalid(reason),
            None => fault::before(error),
        }
    }
}

impl Drop for Watching<'_> {
    fn drop(&mut self) {
        lock(&self.0.0).whose = Whose::Ours;
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why a statement is refused.
fn reason(action: AuthAction<'_>, whose: Whose) -> Option<String> {
    if whose == Whose::Ours {
        return None;
    }
    let in_transaction = whose == Whose::InTransaction;
    let is_ours = |table: &str| table.eq_ignore_ascii_case(HISTORY_TABLE);
    match action {
        AuthAction::Transaction { .. } if in_transaction => Some(
            "BEGIN, COMMIT, END and ROLLBACK are not for migrations: each runs in a transaction of its own, with its row \
             of the history; take them out"
                .to_owned(),
        ),
        AuthAction::Transaction { .. } | AuthAction::Savepoint { .. } if !in_transaction => {
            Some("a migration without a transaction is one statement, and cannot open one".to_owned())
        }
        AuthAction::Pragma { pragma_name, pragma_value: Some(_) }
            if in_transaction && pragma_name.eq_ignore_ascii_case("foreign_keys") =>
        {
            Some(
                "PRAGMA foreign_keys does nothing in a transaction: write `-- towpath: foreign-keys off` at the head of \
                 the file"
                    .to_owned(),
            )
        }
        AuthAction::Attach { .. } | AuthAction::Detach { .. } if in_transaction => {
            Some("ATTACH and DETACH are not for migrations: two files are not changed as one".to_owned())
        }
        AuthAction::Insert { table_name }
        | AuthAction::Delete { table_name }
        | AuthAction::Update { table_name, .. }
        | AuthAction::DropTable { table_name }
        | AuthAction::AlterTable { table_name, .. }
            if is_ours(table_name) =>
        {
            Some(format!("{HISTORY_TABLE} is the history of the migrations, and is not changed by one"))
        }
        _ => None,
    }
}
