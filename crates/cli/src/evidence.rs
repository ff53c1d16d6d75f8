//! `towpath key`, `towpath export`, and `towpath verify --anchors`.

use crate::{
    cx::Cx,
    fault::{Fault, exit},
    out::{Out, Tone},
    when,
};
use std::path::{Path, PathBuf};
use towpath::engine::{
    Keys, LocalKey,
    archive::ArchiveVerdict,
    verify::{self, Evidence},
};

#[derive(Debug, clap::Args)]
pub(crate) struct Key {
    /// The file of the secret key; made when it is not there
    file: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Export {
    /// The file to write
    file: PathBuf,
}

/// Makes a signing key, or reads one, and says the public line of it.
pub(crate) fn key(out: &mut Out, args: &Key) -> Result<(), Fault> {
    let failed = |e: towpath::engine::KeyError| Fault::failed(e.to_string());
    let is_new = !args.file.exists();
    let key = match is_new {
        true => LocalKey::create(&args.file).map_err(failed)?,
        false => LocalKey::open(&args.file).map_err(failed)?,
    };
    if out.json {
        return Ok(out.value(&serde_json::json!({
            "file": args.file, "made": is_new, "public": key.public_line(),
        }))?);
    }
    out.line(key.public_line())?;
    if is_new {
        out.hint(&format!(
            "{} holds the secret key: keep it from whoever can write to the store. The line above goes into a file of \
             public keys, for `verify --keys`.",
            args.file.display()
        ));
    }
    Ok(())
}

/// Writes anchors and signed heads into a file.
pub(crate) async fn export(cx: &mut Cx<'_>, args: Export) -> Result<(), Fault> {
    let (anchors, heads) = verify::export(&*cx.store, &args.file).await?;
    if cx.out.json {
        return Ok(cx.out.value(&serde_json::json!({
            "file": args.file, "anchors": anchors, "heads": heads,
        }))?);
    }
    let file = args.file.display();
    Ok(cx.out.line(format!("wrote {file}: {anchors} anchors, {heads} signed heads"))?)
}

pub(crate) fn open_keys(path: &Path) -> Result<Keys, Fault> {
    Keys::open(path).map_err(|e| Fault::failed(e.to_string()))
}

/// Holds the store to what was anchored and signed; whether nothing is wrong.
pub(crate) async fn anchors(
    cx: &mut Cx<'_>,
    keys: Option<PathBuf>,
    kept: Option<PathBuf>,
) -> Result<bool, Fault> {
    let Some(keys) = keys else {
        return Err(Fault::usage("anchors are verified by public keys: name their file with --keys"));
    };
    let keys = open_keys(&keys)?;
    let kept = kept.map(|file| verify::read_exported(&file)).transpose()?.unwrap_or_default();
    let found = verify::evidence(&*cx.store, &keys, &kept.anchors).await?;
    say(cx.out, &found)?;
    Ok(found.is_intact())
}

fn say(out: &mut Out, found: &Evidence) -> Result<(), Fault> {
    if out.json {
        return Ok(out.value(&serde_json::json!({
            "intact": found.is_intact(),
            "anchors": found.anchors,
            "last_at": found.last.as_ref().map(|last| last.at.to_string()),
            "last": found.last.as_ref().map(|last| last.hash().to_string()),
            "anchored": found.anchored,
            "signed": found.signed,
            "unsigned": found.unsigned,
            "removed_since": found.removed_since,
            "faults": found.faults,
        }))?);
    }
    for fault in &found.faults {
        let text = out.paint.text(Tone::Bad, &format!("not intact: {fault}"));
        out.line(text)?;
    }
    let Evidence { anchors, anchored, signed, unsigned, .. } = found;
    let last = found.last.as_ref().map_or_else(String::new, |last| {
        format!(", the last of {} with hash {}", when::at(last.at), last.hash())
    });
    out.line(format!("{anchors} anchors of {anchored} runs{last}"))?;
    out.line(format!("{signed} heads are signed, {unsigned} settled runs are not"))?;
    if found.removed_since > 0 {
        out.line(format!(
            "{} runs were removed since the last anchor, by their records",
            found.removed_since
        ))?;
    }
    Ok(())
}

/// Checks the signatures in an archive. Gives the exit code.
pub(crate) fn archived(out: &mut Out, verdict: &ArchiveVerdict, keys: &Path) -> Result<u8, Fault> {
    let keys = open_keys(keys)?;
    let mut code = exit::OK;
    for run in &verdict.runs {
        let signed = verdict.signed.iter().find(|signed| signed.run == run.run);
        let what = match signed {
            None => "nobody has signed its head".to_owned(),
            Some(signed) if (signed.seq, signed.hash) != (run.events, run.head) => {
                "what is signed is another head".to_owned()
            }
            Some(signed) => match verify::signed_by(signed, run.run, &keys) {
                Ok(()) => {
                    if !out.json {
                        out.line(format!("run {}: its head is signed by key {}", run.run, signed.key))?;
                    }
                    continue;
                }
                Err(what) => what,
            },
        };
        code = exit::FAILED;
        match out.json {
            true => out.value(&serde_json::json!({
                "run": run.run.to_string(), "key": run.key.as_str(), "intact": false, "fault": what,
            }))?,
            false => {
                let text = out.paint.text(Tone::Bad, &format!("not intact: run {}: {what}", run.run));
                out.line(text)?;
            }
        }
    }
    Ok(code)
}

#[cfg(test)]
mod tests;
