//! Where things are: the workspace, its build directory, the places that may be set from outside.

use std::path::{Path, PathBuf};

/// The clone that xtask works on.
pub(crate) struct Workspace {
    root: PathBuf,
    target: PathBuf,
}

impl Workspace {
    /// Finds the workspace at run time. Not `env!`: with a build directory shared by several clones, a binary built in
    /// one of them would check that one for ever.
    pub(crate) fn find() -> Result<Self, String> {
        let start = match std::env::var_os("CARGO_MANIFEST_DIR") {
            Some(dir) => PathBuf::from(dir),
            None => std::env::current_dir().map_err(|e| format!("cannot read the current directory: {e}"))?,
        };
        let root = start
            .ancestors()
            .find(|dir| dir.join("Cargo.lock").is_file() && dir.join("xtask").is_dir())
            .ok_or_else(|| {
                format!("no workspace above {}; call `cargo xtask` inside the clone", start.display())
            })?
            .to_path_buf();
        let target = root.join(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()));
        Ok(Self { root, target })
    }

    /// The directory that holds the workspace's `Cargo.toml`.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The build directory; what xtask itself leaves behind lives in a folder of it.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// A folder of xtask's own in the build directory, made when it is missing.
    pub(crate) fn scratch(&self, name: &str) -> Result<PathBuf, String> {
        let dir = self.target.join("xtask").join(name);
        std::fs::create_dir_all(&dir).map_err(|e| format!("cannot make {}: {e}", dir.display()))?;
        Ok(dir)
    }
}

/// Continuous integration says so by `CI=true`; there, what may be skipped is a closed list.
pub(crate) fn in_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| value == "true" || value == "1")
}
