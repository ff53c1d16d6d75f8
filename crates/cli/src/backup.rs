//! `towpath backup`.

use crate::{fault::Fault, open::Address, out::Out};
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub(crate) struct Backup {
    /// The file to write, which must not be there
    file: PathBuf,
}

/// Copies a store that may be in use.
pub(crate) async fn backup(out: &mut Out, address: &Address, args: Backup) -> Result<(), Fault> {
    let store = address.open_sqlite().await?;
    let file = args.file.clone();
    // It reads the whole database.
    let copied = tokio::task::spawn_blocking(move || store.backup(&file)).await;
    let copied = copied.map_err(|e| Fault::failed(format!("back the store up: {e}")))??;
    let (runs, bytes) = (copied.runs, copied.bytes);
    if out.json {
        return Ok(out.value(&serde_json::json!({ "file": args.file, "runs": runs, "bytes": bytes }))?);
    }
    let file = args.file.display();
    Ok(out.line(format!("wrote {file}: {runs} runs, {} KiB", bytes.div_ceil(1024)))?)
}
