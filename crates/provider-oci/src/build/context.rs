//! One build at a time in a folder of sources.

use crate::{Digest, Layout, fault::disk};
use std::{
    fs::{self, File, TryLockError},
    os::unix::ffi::OsStrExt,
    path::Path,
    time::Duration,
};
use towpath_provider::{BuildProgress, ProviderError};

/// How often a look is taken whether another build has ended.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Holds a folder of sources for one build. Processes that share a layout respect each other; the system takes it back when
/// the process ends.
pub(super) async fn lock(
    layout: &Layout,
    context: &Path,
    progress: &BuildProgress<'_>,
) -> Result<File, ProviderError> {
    let folder = layout.folder().join(".towpath");
    fs::create_dir_all(&folder).map_err(|e| disk(e, "the layout cannot be written", &folder))?;
    // Named by what the folder is called: the folder itself is left alone.
    let path = folder.join(format!("building-{}", Digest::of(context.as_os_str().as_bytes()).hex()));
    let fault = |e| disk(e, "the folder of the sources cannot be held for one build", &path);
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(fault)?;
    // By the process's own clock: real builds take real time, also in a test whose clock is virtual.
    let mut look = tokio::time::interval(LOOK_EVERY);
    let mut has_said = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(e)) => return Err(fault(e)),
        }
        if !has_said {
            progress("another build runs in this folder: waiting for its end");
            has_said = true;
        }
        look.tick().await;
    }
}
