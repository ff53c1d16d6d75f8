//! Becoming the supervisor.

use crate::{
    files::Folder,
    note,
    supervisor::{Ended, run},
};
use std::{ffi::OsString, path::Path};

/// Says to a process that it was started to be the supervisor, and of which folder.
pub(crate) const ROLE: &str = "TOWPATH_LOCAL_SUPERVISE";

/// How a process ends that was to be the supervisor where there is one.
pub(crate) const ANOTHER: i32 = 75;
/// How a process ends that was to be the supervisor and did not ask whether it is.
pub(crate) const NOT_CALLED: i32 = 97;

fn role() -> Option<OsString> {
    std::env::var_os(ROLE)
}

/// Becomes the supervisor, when this process was started to be that. To be called first in the `main` of every program that
/// uses [`Local`](crate::Local), before it reads its arguments or opens a file:
///
/// ```
/// // The first line of `main`; here it returns, since this process is no supervisor.
/// towpath_provider_local::supervise_here();
/// ```
///
/// It returns at once in every other process. In the supervisor it does not return: the process ends when it is told to.
pub fn supervise_here() {
    if let Some(folder) = role() {
        // A session of its own: what ends the terminal or the group of whoever started it is not meant for it. It fails where
        // this process leads one already, and then there is nothing to do.
        let _ = rustix::process::setsid();
        std::process::exit(supervise(folder.as_ref()));
    }
}

/// Supervises a folder in the foreground, for a service manager such as systemd: `towpath-local supervise FOLDER` is this.
/// Gives the code to end the process with: 0 when it was told to end, 75 when another one supervises the folder, 1 when the
/// folder cannot be used; standard error says why.
///
/// It makes a runtime of its own, on a thread of its own: it may be called within another one.
pub fn supervise(folder: &Path) -> i32 {
    let (folder, shown) = (folder.to_owned(), folder.display());
    let ended = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let ended = runtime.block_on(run(Folder::new(&folder)));
        // Instances are left as they are, and so is a write that hangs.
        runtime.shutdown_background();
        ended
    });
    // What it panicked about, it has said.
    match ended.join().unwrap_or_else(|_| Err(std::io::Error::other("the supervisor panicked"))) {
        Ok(Ended::Told) => 0,
        Ok(Ended::Another) => ANOTHER,
        Err(error) => {
            note(format_args!("cannot supervise {shown}: {error}"));
            1
        }
    }
}

/// Ends a process that was started to be the supervisor and is about to be something else: whatever its `main` would do now, it
/// was not started for that.
pub(crate) fn is_no_supervisor() {
    if role().is_some() {
        note(format_args!(
            "this process was started to be a supervisor, and its `main` did not call `supervise_here` first"
        ));
        std::process::exit(NOT_CALLED);
    }
}
