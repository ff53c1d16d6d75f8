//! Whether a journal is whole and unchanged.
//!
//! Everything is checked that can be checked without keys: the chain of a run's events, that it ends where the head of
//! the run says, that what was redacted was redacted by an event, that the plan and every blob have their digests, and
//! that the run's row names the run that the journal began.

#[cfg(feature = "sign")]
mod evidence;
mod export;
mod walk;

use crate::config::EVENTS_PAGE;
use std::error::Error;
use towpath_model::{BlobRef, Digest, RunId, RunKey, Seq};
use towpath_store::{RunRow, Store, StoreError, StoreErrorKind};

#[cfg(feature = "sign")]
pub use evidence::{Evidence, evidence, signed_by};
pub use export::{EVIDENCE_FORMAT, Exported, export, read_exported};
pub(crate) use walk::{Names, Walk, Wrong};

/// What was found out about one journal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// The run.
    pub run: RunId,
    /// Its key.
    pub key: RunKey,
    /// Number of the last event that is right: of all, when it is intact.
    pub events: Seq,
    /// Hash of that event.
    pub head: Digest,
    /// Events whose payload was removed by a redaction.
    pub redacted: u64,
    /// The event that is wrong, when it is one.
    pub at: Option<Seq>,
    /// What is wrong, when something is.
    pub fault: Option<String>,
}

impl Verdict {
    /// Whether nothing is wrong.
    pub fn is_intact(&self) -> bool {
        self.fault.is_none()
    }

    pub(crate) fn of(key: &RunKey, walk: &Walk, checked: Result<(), Wrong>) -> Self {
        let wrong = checked.err();
        Verdict {
            run: walk.run(),
            key: key.clone(),
            events: walk.seq(),
            head: walk.hash(),
            redacted: walk.redacted(),
            at: wrong.as_ref().and_then(|w| w.at),
            fault: wrong.map(|w| w.what),
        }
    }
}

/// Verifies the journal of a run.
///
/// ```
/// # use towpath_engine::{Engine, verify};
/// # use towpath_step::{Pipeline, StepContext, StepError, step, steps};
/// # extern crate towpath_step as towpath;
/// # #[step("demo.greet/v1", no_effect)]
/// # async fn greet(_cx: &StepContext) -> Result<(), StepError> { Ok(()) }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let p = Pipeline::new("greetings");
/// # p.step("greet", greet::of());
/// # let plan = p.build()?.plan()?;
/// # let engine = Engine::open("memory:").steps(steps![greet]).start().await?;
/// let run = engine.run(plan, "first").await?;
/// run.settled().await?;
/// let verdict = verify::run(&**engine.store(), &run.row().await?).await?;
/// assert!(verdict.is_intact(), "{:?}", verdict.fault);
/// # engine.shutdown().await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// When the store cannot be read; what is wrong with the journal is part of the answer.
pub async fn run(store: &dyn Store, row: &RunRow) -> Result<Verdict, StoreError> {
    // The head is read first: the run may go on meanwhile, which moves it.
    let head = store.head(row.no).await?;
    let mut walk = Walk::new(row.run, head.seq, head.hash);
    let checked = all(store, row, &mut walk).await?;
    Ok(Verdict::of(&row.key, &walk, checked))
}

type Checked = Result<Result<(), Wrong>, StoreError>;

async fn all(store: &dyn Store, row: &RunRow, walk: &mut Walk) -> Checked {
    loop {
        let page = match store.events(row.no, walk.seq(), EVENTS_PAGE).await {
            Ok(page) => page,
            Err(e) if e.kind() == StoreErrorKind::Corrupt => {
                return Ok(Err(missing(store, row, walk, e).await?));
            }
            Err(e) => return Err(e),
        };
        if page.is_empty() {
            break;
        }
        for stored in &page {
            if let Err(wrong) = walk.event(stored) {
                return Ok(Err(wrong));
            }
        }
    }
    if let Err(wrong) = walk.end() {
        return Ok(Err(wrong));
    }
    for (at, blob) in walk.blobs() {
        if let Err(what) = text(store, blob).await? {
            return Ok(Err(Wrong::event(*at, format_args!("its value, stored as a blob, {what}"))));
        }
    }
    let Some(plan) = walk.plan() else { return Ok(Ok(())) };
    let record = match text(store, plan).await? {
        Ok(record) => record,
        Err(what) => return Ok(Err(Wrong::whole(format!("the plan's record {what}")))),
    };
    Ok(walk.beside(&record, &Names::of(row)))
}

/// What a store says of a journal that it cannot read whole.
///
/// A store that walks back from the head gives what stands behind a gap, and nothing before it: the gap is where it
/// begins to give nothing.
async fn missing(
    store: &dyn Store,
    row: &RunRow,
    walk: &Walk,
    error: StoreError,
) -> Result<Wrong, StoreError> {
    let after = walk.seq();
    let (mut unread, mut read) = (after.0, walk.head().0);
    while unread + 1 < read {
        let middle = unread.midpoint(read);
        match store.events(row.no, Seq(middle), 1).await {
            Ok(_) => read = middle,
            Err(e) if e.kind() == StoreErrorKind::Corrupt => unread = middle,
            Err(e) => return Err(e),
        }
    }
    if read <= after.0 {
        return Ok(Wrong::whole(chain(&error)));
    }
    Ok(Wrong::event(Seq(read), "it is missing, so that what stands before it cannot be found"))
}

/// The text of a blob, or what is wrong with it.
async fn text(store: &dyn Store, blob: &BlobRef) -> Result<Result<String, &'static str>, StoreError> {
    let text = match store.blob(blob.digest).await {
        Ok(text) => text,
        Err(e) if e.kind() == StoreErrorKind::NotFound => return Ok(Err("is missing")),
        Err(e) if e.kind() == StoreErrorKind::Corrupt => return Ok(Err("was changed")),
        Err(e) => return Err(e),
    };
    if Digest::of(text.as_bytes()) != blob.digest {
        return Ok(Err("was changed: it has another digest"));
    }
    Ok(Ok(text))
}

/// An error with everything beneath it, in one line.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(beneath) = cause {
        text.push_str(": ");
        text.push_str(&beneath.to_string());
        cause = beneath.source();
    }
    text
}
