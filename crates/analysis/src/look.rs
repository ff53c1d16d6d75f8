//! How often a rollout looks, and how strict each look is.

/// The part of a level that the looks before the ends of bakes share.
const EARLY: f64 = 0.2;

/// How often a rollout will look at most, said before it begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Looks {
    /// Before the ends of its bakes.
    pub interim: u32,
    /// At their ends, each time that one may be prolonged included.
    pub last: u32,
}

impl Looks {
    /// A look before the end of a bake: it can only fail, or leave it open.
    pub fn interim(self) -> Look {
        let share = if self.last == 0 { 1.0 } else { EARLY };
        Look { is_last: false, share: share / f64::from(self.interim.max(1)) }
    }

    /// The look at the end of a bake.
    pub fn last(self) -> Look {
        let share = if self.interim == 0 { 1.0 } else { 1.0 - EARLY };
        Look { is_last: true, share: share / f64::from(self.last.max(1)) }
    }
}

/// One look.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Look {
    is_last: bool,
    share: f64,
}

impl Look {
    /// The only look that there is.
    pub fn only() -> Self {
        Look { is_last: true, share: 1.0 }
    }

    /// Whether it is at the end of a bake.
    pub fn is_last(self) -> bool {
        self.is_last
    }

    /// What of a level falls on this look.
    pub fn level_of(self, level: f64) -> f64 {
        level * self.share
    }
}

#[cfg(test)]
mod tests {
    use super::Looks;

    #[test]
    fn the_looks_of_a_rollout_share_its_level() {
        for (interim, last) in [(57, 3), (0, 3), (9, 1), (9, 0)] {
            let looks = Looks { interim, last };
            let spent = f64::from(interim) * looks.interim().level_of(0.05)
                + f64::from(last) * looks.last().level_of(0.05);
            assert!(spent <= 0.05 + 1e-12, "{interim} {last}: {spent}");
            assert!(spent > 0.04999, "{interim} {last}: nothing is wasted, {spent}");
        }
    }
}
