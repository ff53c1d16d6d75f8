//! A run as `towpath watch` draws it, for programs that show it beside something of their own.

use crate::{
    cx::Spelling,
    fault::Fault,
    find,
    out::Paint,
    screen::Size,
    watch::{Watched, frame},
};
use std::{error::Error, fmt, sync::Arc};
use towpath::{
    model::{RunId, Status},
    store::Store,
};

/// A run as `towpath watch` draws it. It drives nothing.
///
/// ```
/// # use std::{error::Error, sync::Arc};
/// # use towpath::{model::RunId, store::Store};
/// # async fn f(store: Arc<dyn Store>, run: RunId) -> Result<(), Box<dyn Error + Send + Sync>> {
/// let mut picture = towpath_cli::Picture::of(store, run, "deploy").await?;
/// while !picture.is_over() {
///     picture.look().await?;
///     for line in picture.lines(60, 20, false) {
///         println!("{line}");
///     }
/// #   break;
/// }
/// # Ok(())
/// # }
/// ```
pub struct Picture {
    store: Arc<dyn Store>,
    watched: Watched,
    spelling: Spelling,
}

impl Picture {
    /// The picture of a run. `command` is how the commands are spelled that it shows to whoever is asked for something.
    ///
    /// # Errors
    /// When the store cannot be read, or does not hold the run.
    pub async fn of(
        store: Arc<dyn Store>,
        run: RunId,
        command: &str,
    ) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let row = find::run(&*store, &run.to_string()).await.map_err(told)?;
        let watched = Watched::new(&*store, row).await.map_err(told)?;
        Ok(Picture { store, watched, spelling: Spelling::plain(command) })
    }

    /// Reads what is new.
    ///
    /// # Errors
    /// When the store cannot be read, or retention has removed the run.
    pub async fn look(&mut self) -> Result<(), Box<dyn Error + Send + Sync>> {
        self.watched.look(&*self.store, &mut |_, _, _| {}).await.map_err(told)
    }

    /// What was seen when it was last looked at: not more lines than `height`, none wider than `width` cells.
    pub fn lines(&self, width: usize, height: usize, colour: bool) -> Vec<String> {
        // A line is left to the cursor by who draws in place; here nobody does.
        let size = Size { width, height: height + 1 };
        frame(self.watched.shown(), &self.spelling, Paint::new(colour), size)
    }

    /// How the run stood when it was last looked at.
    pub fn status(&self) -> Status {
        self.watched.shown().row.listing.status
    }

    /// Whether it is over or needs an operator.
    pub fn is_over(&self) -> bool {
        self.watched.is_over()
    }
}

impl fmt::Debug for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Picture").field("run", &self.watched.shown().row.run).finish_non_exhaustive()
    }
}

fn told(fault: Fault) -> Box<dyn Error + Send + Sync> {
    fault.to_string().into()
}
