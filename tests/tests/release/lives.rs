//! Life after life of a process that drives one run, each killed with SIGKILL where it stands.

use crate::site::{Expected, Site, version};
use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};
use towpath_tests::release::{
    boundary::{Boundary, name},
    child::{Aim, Orders, Stop},
    pipeline::{Version, What},
};

const CHILD: &str = env!("CARGO_BIN_EXE_release-child");
/// Most lives of one run.
const LIVES_MAX: usize = 400;
/// How many are killed at random when nobody asks for more.
const AT_RANDOM: usize = 16;

/// How a life ended.
enum End {
    Killed(Stop),
    /// It was killed somewhere.
    Fell,
    Settled(String),
}

struct Driver(Child);

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// One life: until it settles the run, or stands where it was aimed, or has lived so long, and is killed there.
fn live(site: &Site, what: &What, aim: Option<Aim>, longest: Option<Duration>) -> End {
    let orders = Orders { place: site.place.clone(), what: what.clone(), aim };
    let text = serde_json::to_string(&orders).unwrap();
    let child = Command::new(CHILD).arg(text).stdout(Stdio::piped()).spawn().unwrap();
    let mut child = Driver(child);
    let (tell, told) = mpsc::channel();
    let mut out = BufReader::new(child.0.stdout.take().unwrap());
    let hears = std::thread::spawn(move || {
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        let _ = tell.send(line);
    });
    // Nobody tells that it has lived long enough. Without a limit it says itself when it hangs.
    let line = told.recv_timeout(longest.unwrap_or(Duration::from_secs(3_600))).unwrap_or_default();
    let end = match line.trim_end().split_once(' ') {
        Some(("settled", outcome)) => {
            assert!(child.0.wait().unwrap().success(), "{}: it does not end well", what.key());
            return End::Settled(outcome.to_owned());
        }
        Some(("stands", stop)) => End::Killed(serde_json::from_str(stop).unwrap()),
        None if longest.is_some() => End::Fell,
        _ => panic!("{}: the child says {line:?} after {:#?}", what.key(), names(site, what)),
    };
    child.0.kill().unwrap();
    child.0.wait().unwrap();
    hears.join().unwrap();
    end
}

/// What is journaled of a run, by the names of boundaries.
fn names(site: &Site, what: &What) -> Vec<String> {
    site.journal(what.key()).iter().map(name).collect()
}

/// A run that nobody kills.
pub(crate) fn run(site: &Site, what: &What, outcome: &str) {
    match live(site, what, None, None) {
        End::Settled(ended) => assert_eq!(ended, outcome, "{}", what.key()),
        End::Killed(_) | End::Fell => unreachable!("nobody was aimed at it"),
    }
}

/// Which part of a run is killed at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    All,
    /// From the failure that has it undone.
    Undoing,
}

/// A run that is killed again and again.
pub(crate) struct Lives<'a> {
    site: &'a Site,
    what: &'a What,
    /// Where it was killed.
    pub(crate) hit: BTreeSet<Boundary>,
    kills: usize,
    began: Instant,
}

impl<'a> Lives<'a> {
    pub(crate) fn new(site: &'a Site, what: &'a What) -> Self {
        Lives { site, what, hit: BTreeSet::new(), kills: 0, began: Instant::now() }
    }

    /// Kills at every boundary once, on either side, until the run settles.
    pub(crate) fn at_every_boundary(mut self, part: Part, outcome: &str) -> Self {
        loop {
            let aim = Aim::New { known: self.hit.clone(), undoing: part == Part::Undoing };
            let Some(stop) = self.one(aim, outcome) else { break };
            let hit = stop.events.iter().map(|event| Boundary { event: event.clone(), after: stop.after });
            let before = self.hit.len();
            self.hit.extend(hit);
            assert!(self.hit.len() > before, "it was killed there before: {stop:?}");
        }
        let (took, places) = (self.began.elapsed(), self.hit.len());
        eprintln!("{}: {} kills at {places} boundaries, {took:.1?}", self.what.key(), self.kills);
        self
    }

    fn settled<T>(&self, ended: &str, outcome: &str) -> Option<T> {
        let key = self.what.key();
        assert_eq!(ended, outcome, "{key}: {:#?}", names(self.site, self.what));
        None
    }

    /// One life that is killed after this time, wherever that is, unless it settled the run before.
    fn for_a_while(&mut self, longest: Duration, outcome: &str) -> Option<()> {
        match live(self.site, self.what, None, Some(longest)) {
            End::Settled(ended) => return self.settled(&ended, outcome),
            End::Killed(_) => unreachable!("it was not aimed at"),
            End::Fell => self.kills += 1,
        }
        Some(())
    }

    /// One life; where it was killed, unless it settled the run so.
    fn one(&mut self, aim: Aim, outcome: &str) -> Option<Stop> {
        let key = self.what.key();
        let stop = match live(self.site, self.what, Some(aim), None) {
            End::Killed(stop) => stop,
            End::Settled(ended) => return self.settled(&ended, outcome),
            End::Fell => unreachable!("it may live as long as it wants"),
        };
        self.kills += 1;
        assert!(self.kills < LIVES_MAX, "{key}: {LIVES_MAX} lives did not settle it: {:#?}", self.hit);
        if number("TOWPATH_KILLS").is_some() {
            eprintln!("{:6.2} {key} {stop:?}", self.began.elapsed().as_secs_f32());
        }
        // The kill fired where it was aimed: the journal ends just before the append, or with it.
        let journal = names(self.site, self.what);
        let before = usize::try_from(stop.first).unwrap() - 1;
        let appended = if stop.after { &stop.events[..] } else { &[] };
        assert_eq!(journal.get(before..), Some(appended), "{key}: the journal does not end at {stop:?}");
        Some(stop)
    }
}

/// A number that is given by the environment.
pub(crate) fn number(name: &str) -> Option<usize> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text:?}")))
}

/// Numbers that look random, by Sebastiano Vigna's splitmix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

/// What has to be there between two runs. Versions are numbered, and so are their instances.
struct Between {
    live: usize,
    before: Option<usize>,
    versions: usize,
    moves: usize,
}

fn numbered(n: usize) -> String {
    format!("1.0.{n:03}")
}

/// Releases good ones and bad ones and goes back, and kills lives a few appends after each has taken over.
pub(crate) fn at_random(site: &Site, migrations: usize) {
    use std::hash::{BuildHasher, RandomState};
    let any = || usize::try_from(RandomState::new().hash_one(0) >> 1).unwrap();
    let (lives, seed) =
        (number("TOWPATH_LIVES").unwrap_or(AT_RANDOM), number("TOWPATH_SEED").unwrap_or_else(any));
    // Told when it fails.
    eprintln!("TOWPATH_SEED={seed}");
    let mut random = Random(seed as u64);
    run(site, &What::Release(version(&numbered(1), 1)), "succeeded");
    let load = site.customers();
    let mut now = Between { live: 1, before: None, versions: 1, moves: 1 };
    let (mut kills, mut runs) = (0, 0);
    while kills < lives {
        runs += 1;
        kills += one_at_random(site, &mut random, &mut now, runs, migrations);
        let case = format!("after run {runs}, TOWPATH_SEED={seed}");
        site.served(&load, &case, &[500]);
        let mut running: Vec<_> =
            now.before.into_iter().chain([now.live]).map(|n| (numbered(n), n)).collect();
        running.sort_unstable();
        let releases: Vec<_> = running.iter().map(|(version, n)| (version.as_str(), *n)).collect();
        let (live, schema) = (&numbered(now.live), now.versions.min(migrations));
        site.check(&case, &Expected { live, releases: &releases, moves: now.moves, schema });
    }
    eprintln!("{kills} kills at random in {runs} runs");
}

fn one_at_random(
    site: &Site,
    random: &mut Random,
    now: &mut Between,
    runs: usize,
    migrations: usize,
) -> usize {
    let draw = random.below(5);
    let (what, outcome, moves) = match now.before {
        Some(_) if draw == 0 => (What::Back(format!("back-{runs}")), "succeeded", 1),
        _ => {
            now.versions += 1;
            let good = version(&numbered(now.versions), now.versions.min(migrations));
            match draw {
                1 => (What::Release(Version { errors: 60, ..good }), "compensated", 2),
                2 => (What::Release(Version { refused: true, ..good }), "compensated", 4),
                _ => (What::Release(good), "succeeded", 4),
            }
        }
    };
    now.moves += moves;
    let mut lives = Lives::new(site, &what);
    let mut events = 0;
    let mut has_written = true;
    loop {
        // One that writes nothing is enough: a run that kills its workers is set aside.
        let goes_on = if has_written && random.below(2) == 0 {
            lives.for_a_while(Duration::from_millis(50 + random.below(600)), outcome)
        } else {
            let (appends, after) = (random.below(6) + 1, !has_written || random.below(2) == 0);
            lives.one(Aim::Ahead { appends: u32::try_from(appends).unwrap(), after }, outcome).map(drop)
        };
        if goes_on.is_none() {
            break;
        }
        let journaled = site.journal(what.key()).len();
        has_written = journaled > events;
        events = journaled;
    }
    if outcome == "succeeded" {
        let new =
            if let What::Back(_) = &what { now.before.expect("it is gone back to") } else { now.versions };
        now.before = Some(std::mem::replace(&mut now.live, new));
    }
    lives.kills
}
