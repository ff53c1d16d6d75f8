//! Waiting for something to happen.

use super::core::{Driver, Gone};
use crate::time;
use tokio::time::Instant;

impl Driver {
    /// Returns when there is something to do.
    pub(super) async fn rest(&mut self) -> Result<(), Gone> {
        let until = self.next_look();
        tokio::select! {
            biased;
            () = self.slot.lost() => return Err(Gone),
            msg = self.mail.recv() => self.received = msg,
            () = time::until(until) => {}
        }
        self.drop_expired();
        if self.observe_at.is_some_and(|at| at <= Instant::now()) {
            self.observe_deferred();
        }
        Ok(())
    }

    /// When a time makes this driver move.
    fn next_look(&self) -> Option<Instant> {
        let bodies = self.bodies.iter().flat_map(|b| [b.deadline, b.drop_at]).flatten();
        let wake = self.wake.map(|at| time::look_at(&*self.shared.clock, at));
        let flush = self.flushes.due(&self.side);
        let observe = self.observe_at.filter(|_| !self.deferred.is_empty());
        let items = self.state.awaits_items().then(|| self.moved + self.shared.config.park_after);
        bodies.chain(wake).chain(flush).chain(self.look_at).chain(observe).chain(items).min()
    }
}
