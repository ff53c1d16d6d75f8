//! Which store a command line means.

use crate::{args::Common, fault::Fault};
use std::{path::Path, sync::Arc};
use towpath::{
    store::Store,
    store_sqlite::{Options, SqliteStore},
};

/// Names the store when the command line does not.
const VARIABLE: &str = "TOWPATH_STORE";
/// The store when nothing names one.
const DEFAULT: &str = "sqlite:towpath.db";

/// The address of a store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Address {
    /// As it was given.
    pub(crate) url: String,
    /// Where it came from.
    from: From,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum From {
    CommandLine,
    Variable,
    Default,
}

impl Address {
    /// The address that a command line and its environment name.
    pub(crate) fn of(common: &Common, variable: Option<String>) -> Self {
        let given = common.store.clone().map(|url| (url, From::CommandLine));
        let set = variable.filter(|v| !v.is_empty()).map(|url| (url, From::Variable));
        let (url, from) = given.or(set).unwrap_or_else(|| (DEFAULT.into(), From::Default));
        Address { url, from }
    }

    /// The address that this process's environment names when the command line does not.
    pub(crate) fn of_process(common: &Common) -> Self {
        Address::of(common, std::env::var(VARIABLE).ok())
    }

    /// Whether a command has to name it to mean the same store: the environment of the next command is this one's.
    pub(crate) fn has_to_be_named(&self) -> bool {
        self.from == From::CommandLine
    }

    fn path(&self) -> Result<&Path, Fault> {
        let url = &self.url;
        match url.split_once(':') {
            Some(("sqlite", path)) if !path.is_empty() && path != ":memory:" => Ok(Path::new(path)),
            Some(("sqlite" | "memory", _)) => Err(Fault::usage(format!(
                "the store {url:?} ends with its process: name a file, as in sqlite:deploys.db"
            ))),
            _ => Err(Fault::usage(format!(
                "{url:?} is not the address of a store: want sqlite:FILE, as in sqlite:deploys.db"
            ))),
        }
    }

    /// The file, which must be there: looking for a run never makes an empty store.
    fn existing(&self) -> Result<&Path, Fault> {
        let path = self.path()?;
        if path.exists() {
            return Ok(path);
        }
        let what = match self.from {
            From::CommandLine => "--store says so: check the path",
            From::Variable => "$TOWPATH_STORE says so: check the path",
            From::Default => "name the store with --store or $TOWPATH_STORE",
        };
        Err(Fault::failed(format!("there is no store at {}: {what}", path.display())))
    }

    /// Opens the store, which must be there.
    pub(crate) async fn open(&self) -> Result<Arc<dyn Store>, Fault> {
        Address::at(self.existing()?).await
    }

    /// Opens the store, and makes it when it is not there.
    pub(crate) async fn open_or_make(&self) -> Result<Arc<dyn Store>, Fault> {
        Address::at(self.path()?).await
    }

    /// Opens the store, which must be there, as the file that it is.
    pub(crate) async fn open_sqlite(&self) -> Result<SqliteStore, Fault> {
        Address::file(self.existing()?).await
    }

    async fn at(path: &Path) -> Result<Arc<dyn Store>, Fault> {
        Ok(Arc::new(Address::file(path).await?))
    }

    async fn file(path: &Path) -> Result<SqliteStore, Fault> {
        let path = path.to_owned();
        // Opening reads and locks files, which would hold up whatever else this runtime does.
        let opened = tokio::task::spawn_blocking(move || SqliteStore::open(path, Options::default())).await;
        match opened {
            Ok(store) => Ok(store?),
            Err(error) => Err(Fault::failed(format!("open the store: {error}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(given: Option<&str>, variable: Option<&str>) -> Address {
        let common = Common { store: given.map(str::to_owned), json: false };
        Address::of(&common, variable.map(str::to_owned))
    }

    #[test]
    fn the_command_line_comes_before_the_environment() {
        assert_eq!(address(Some("sqlite:a"), Some("sqlite:b")).url, "sqlite:a");
        assert_eq!(address(None, Some("sqlite:b")).url, "sqlite:b");
        assert_eq!(address(None, Some("")).url, DEFAULT);
        assert!(address(Some("sqlite:a"), None).has_to_be_named());
        assert!(!address(None, Some("sqlite:b")).has_to_be_named());
    }

    #[test]
    fn a_store_that_is_not_there_says_what_to_do() {
        let refusal = |a: Address| a.existing().unwrap_err().to_string();
        assert_eq!(
            refusal(address(Some("sqlite:no/such.db"), None)),
            "there is no store at no/such.db: --store says so: check the path"
        );
        assert_eq!(
            refusal(address(None, None)),
            "there is no store at towpath.db: name the store with --store or $TOWPATH_STORE"
        );
        assert_eq!(
            refusal(address(Some("postgres://x"), None)),
            "\"postgres://x\" is not the address of a store: want sqlite:FILE, as in sqlite:deploys.db"
        );
        assert_eq!(
            refusal(address(Some("memory:"), None)),
            "the store \"memory:\" ends with its process: name a file, as in sqlite:deploys.db"
        );
    }
}
