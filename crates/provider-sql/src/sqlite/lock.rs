//! One who migrates at a time: a lock of the operating system, which ends with its process.

use super::{Sqlite, stop::Stop};
use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Seek, Write},
    path::PathBuf,
    time::{Duration, Instant},
};
use towpath_model::Key;
use towpath_provider::{ProviderError, ProviderErrorKind};

/// Between two tries.
const NAP: Duration = Duration::from_millis(10);

/// The file beside the database.
fn path(database: &Sqlite) -> PathBuf {
    let mut name = database.path.file_name().unwrap_or_default().to_owned();
    name.push(".towpath-lock");
    database.path.with_file_name(name)
}

/// Waits until nobody migrates, and keeps it so until it is dropped. `None` when nobody ever did.
pub(super) fn shared(database: &Sqlite, stop: &Stop) -> Result<Option<File>, ProviderError> {
    let mut file = match File::open(path(database)) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(unusable(e)),
    };
    wait(database, stop, &mut file, File::try_lock_shared)?;
    Ok(Some(file))
}

/// Waits until nobody migrates, and is who does until it is dropped.
pub(super) fn exclusive(database: &Sqlite, key: &Key, stop: &Stop) -> Result<File, ProviderError> {
    let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).clone();
    let mut file = options.open(path(database)).map_err(unusable)?;
    wait(database, stop, &mut file, File::try_lock)?;
    // For whoever has to wait. It is a courtesy: the lock does not hang on it.
    let holder = format!("process {}, key {key}", std::process::id());
    let _ = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(holder.as_bytes()));
    Ok(file)
}

fn wait(
    database: &Sqlite,
    stop: &Stop,
    file: &mut File,
    lock: impl Fn(&File) -> Result<(), TryLockError>,
) -> Result<(), ProviderError> {
    let since = Instant::now();
    loop {
        match lock(file) {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(e)) => return Err(unusable(e)),
            Err(TryLockError::WouldBlock) if stop.is_raised() => {
                return Err(ProviderError::unavailable("it was broken off, and nothing was changed"));
            }
            Err(TryLockError::WouldBlock) if since.elapsed() >= database.lock_wait => {
                let mut holder = String::new();
                let _ = file.rewind().and_then(|()| file.take(1_024).read_to_string(&mut holder));
                let holder = if holder.is_empty() { "not known".to_owned() } else { holder };
                return Err(ProviderError::unavailable("somebody else migrates this database")
                    .with("holder", holder)
                    .with("waited", format_args!("{:?}", database.lock_wait)));
            }
            Err(TryLockError::WouldBlock) => stop.wait(NAP),
        }
    }
}

fn unusable(error: std::io::Error) -> ProviderError {
    let kind = match error.kind() {
        std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
            ProviderErrorKind::Forbidden
        }
        std::io::ErrorKind::NotFound => ProviderErrorKind::NotFound,
        _ => ProviderErrorKind::Unavailable,
    };
    ProviderError::new(kind, "the lock file beside the database cannot be used").because(error)
}
