//! What becomes of the ticks that have come: a pure function of what is stored and of the time.

use super::{
    cron::Cron,
    record::{Due, Missed, Overlap, Spec, Stored},
};
use std::time::Duration;
use towpath_model::Timestamp;

/// How long after a tick nobody has missed it yet.
const GRACE: Duration = Duration::from_secs(60);
/// Ticks decided about at once; the rest is with the next look.
const TICKS_MOST: usize = 10_000;
/// Ticks that wait for runs at most.
pub(super) const DUE_MOST: usize = 1_000;

impl Stored {
    /// Decides about every tick up to now; whether there was one. `is_going` says whether a run of an earlier one goes on.
    pub(super) fn decide(&mut self, cron: &Cron, now: Timestamp, is_going: bool) -> bool {
        let Some(spec) = self.spec.clone() else { return false };
        // A schedule that was never looked at begins now.
        let ticks = ticks(cron, self.seen.unwrap_or(now), now);
        let Some(last) = ticks.last().copied() else { return false };
        self.seen = Some(last);
        if self.paused.is_some() {
            self.skip(last, "the schedule is paused");
            return true;
        }
        let missed = ticks.iter().filter(|tick| now.since(**tick) > GRACE).count();
        let made_up_for = match spec.missed {
            Missed::All => missed,
            Missed::Latest => missed.min(1),
            Missed::Skip => 0,
        };
        for tick in &ticks[..missed - made_up_for] {
            self.skip(*tick, "no engine was there");
        }
        for tick in &ticks[missed - made_up_for..] {
            self.admit(&spec, *tick, is_going);
        }
        true
    }

    fn admit(&mut self, spec: &Spec, tick: Timestamp, is_going: bool) {
        if spec.overlap == Overlap::Skip && (is_going || !self.due.is_empty()) {
            self.skip(tick, "the run of an earlier tick goes on");
        } else if self.due.len() >= DUE_MOST {
            self.skip(tick, format!("{DUE_MOST} ticks wait already"));
        } else {
            self.due.push(Due { tick, backfill: None });
        }
    }
}

/// The ticks after one moment and up to another.
pub(super) fn ticks(cron: &Cron, after: Timestamp, until: Timestamp) -> Vec<Timestamp> {
    let next = |last: &Timestamp| cron.next(*last);
    std::iter::successors(cron.next(after), next).take_while(|tick| *tick <= until).take(TICKS_MOST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use towpath_model::{Actor, PipelineName};

    fn hourly() -> Cron {
        Cron::parse("0 * * * *", "UTC").unwrap()
    }

    fn hour(n: i64) -> Timestamp {
        Timestamp::from_micros(n * 3_600_000_000)
    }

    fn stored(overlap: Overlap, missed: Missed) -> Stored {
        let spec = Spec {
            pipeline: PipelineName::new("p").unwrap(),
            params: BTreeMap::new(),
            cron: String::new(),
            zone: String::new(),
            overlap,
            missed,
            labels: BTreeMap::new(),
        };
        Stored { spec: Some(spec), seen: Some(hour(0)), ..Stored::default() }
    }

    fn due(stored: &Stored) -> Vec<i64> {
        stored.due.iter().map(|due| due.tick.as_micros() / 3_600_000_000).collect()
    }

    #[test]
    fn a_tick_is_decided_about_once() {
        let mut s = stored(Overlap::Allow, Missed::All);
        assert!(!s.decide(&hourly(), Timestamp::from_micros(hour(1).as_micros() - 1), false));
        assert!(s.decide(&hourly(), hour(1), false));
        assert!(!s.decide(&hourly(), hour(1), false));
        assert_eq!(due(&s), [1]);
        // A clock that goes back brings no tick again.
        assert!(!s.decide(&hourly(), hour(0), false));
        assert!(!s.decide(&hourly(), hour(1), false));
        assert!(s.decide(&hourly(), hour(2), false));
        assert_eq!(due(&s), [1, 2]);
    }

    #[test]
    fn what_nobody_was_there_for_is_made_up_for_as_was_said() {
        let later = Timestamp::from_micros(hour(5).as_micros() + 30_000_000);
        for (missed, expected) in
            [(Missed::All, vec![1, 2, 3, 4, 5]), (Missed::Latest, vec![4, 5]), (Missed::Skip, vec![5])]
        {
            let mut s = stored(Overlap::Queue, missed);
            s.decide(&hourly(), later, false);
            assert_eq!(due(&s), expected, "{missed:?}");
        }
        let much_later = Timestamp::from_micros(hour(5).as_micros() + 600_000_000);
        let mut s = stored(Overlap::Skip, Missed::Latest);
        s.decide(&hourly(), much_later, false);
        assert_eq!(due(&s), [5]);
    }

    #[test]
    fn ticks_do_not_overlap_unless_they_may() {
        let mut s = stored(Overlap::Skip, Missed::All);
        s.decide(&hourly(), hour(1), true);
        assert_eq!(
            (due(&s), s.skipped.as_ref().unwrap().why.as_str()),
            (vec![], "the run of an earlier tick goes on")
        );
        s.decide(&hourly(), hour(2), false);
        s.decide(&hourly(), hour(3), false);
        assert_eq!(due(&s), [2], "one that is about to start counts as well");
        let mut s = stored(Overlap::Queue, Missed::All);
        s.decide(&hourly(), hour(DUE_MOST as i64 + 5), true);
        assert_eq!(s.due.len(), DUE_MOST);
    }

    #[test]
    fn a_paused_schedule_lets_its_ticks_pass() {
        let mut s = stored(Overlap::Allow, Missed::All);
        let (at, by) = (hour(0), Actor::engine());
        s.paused = Some(super::super::Act { at, by, what: "paused".to_owned(), reason: String::new() });
        assert!(s.decide(&hourly(), hour(3), false));
        s.paused = None;
        assert!(!s.decide(&hourly(), hour(3), false));
        s.decide(&hourly(), hour(4), false);
        assert_eq!(due(&s), [4]);
    }

    #[test]
    fn a_new_schedule_begins_now() {
        let mut s = Stored { seen: None, ..stored(Overlap::Allow, Missed::All) };
        assert!(!s.decide(&hourly(), hour(100), false));
        assert_eq!(due(&s), Vec::<i64>::new());
    }
}
