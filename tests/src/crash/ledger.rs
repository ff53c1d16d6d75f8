//! The ledger: a process of its own that writes down effects.

use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    path::Path,
};

/// One effect: what a provider was asked to do.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Line {
    /// The run.
    pub run: String,
    /// The step's path, with its item.
    pub step: String,
    /// `run` or `undo`.
    pub phase: String,
    /// Name of the effect.
    pub effect: String,
    /// The attempt that asked for it.
    pub attempt: u32,
    /// The effect's key.
    pub key: String,
}

/// What the ledger is asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ask {
    /// Write an effect down.
    Effect {
        /// The effect.
        line: Line,
        /// Whether a key that was seen before is no second effect, as with a provider that knows idempotency keys.
        once: bool,
    },
    /// Whether an effect with this key was written down.
    Seen {
        /// The key.
        key: String,
    },
    /// Whether this flag was raised.
    Raised {
        /// The flag.
        flag: String,
    },
    /// Raise a flag.
    Raise {
        /// The flag.
        flag: String,
    },
}

/// Serves one connection after the other, so that what a dead process had sent is written before anything newer is
/// answered. Prints its port first.
///
/// # Errors
/// When the file or the port cannot be had.
pub fn serve(path: &Path, mut announce: impl FnMut(u16)) -> io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let file = OpenOptions::new().create(true).append(true).open(path)?;
    let mut book = Book { file, keys: BTreeSet::new(), flags: BTreeSet::new() };
    announce(listener.local_addr()?.port());
    for stream in listener.incoming() {
        // A client that was killed half-way is no reason to stop.
        let _ = book.connection(&stream?);
    }
    Ok(())
}

struct Book {
    file: File,
    keys: BTreeSet<String>,
    flags: BTreeSet<String>,
}

impl Book {
    fn connection(&mut self, stream: &TcpStream) -> io::Result<()> {
        for text in BufReader::new(stream).lines() {
            let answer = self.answer(serde_json::from_str(&text?)?)?;
            let mut stream = stream;
            writeln!(stream, "{answer}")?;
        }
        Ok(())
    }

    fn answer(&mut self, ask: Ask) -> io::Result<bool> {
        Ok(match ask {
            Ask::Effect { line, once } => {
                let new = self.keys.insert(line.key.clone());
                if new || !once {
                    let mut text = serde_json::to_vec(&line)?;
                    text.push(b'\n');
                    self.file.write_all(&text)?;
                    self.file.sync_data()?;
                }
                new
            }
            Ask::Seen { key } => self.keys.contains(&key),
            Ask::Raised { flag } => self.flags.contains(&flag),
            Ask::Raise { flag } => self.flags.insert(flag),
        })
    }
}

/// Asks the ledger at this port of this machine.
///
/// # Errors
/// When it does not answer.
pub fn ask(port: u16, ask: &Ask) -> io::Result<bool> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_nodelay(true)?;
    let mut text = serde_json::to_vec(ask)?;
    text.push(b'\n');
    stream.write_all(&text)?;
    let mut answer = String::new();
    BufReader::new(&stream).read_line(&mut answer)?;
    match answer.trim() {
        "true" => Ok(true),
        "false" => Ok(false),
        other => Err(io::Error::other(format!("the ledger answered {other:?}"))),
    }
}

/// The effects of one run, in the order in which they were written down.
///
/// # Errors
/// When the file cannot be read.
pub fn lines_of(path: &Path, run: &str) -> io::Result<Vec<Line>> {
    let mut lines = Vec::new();
    for text in BufReader::new(File::open(path)?).lines() {
        let line: Line = serde_json::from_str(&text?)?;
        if line.run == run {
            lines.push(line);
        }
    }
    Ok(lines)
}

/// The effects of all runs, in the order in which they were written down.
///
/// # Errors
/// When the file cannot be read.
pub fn all_lines(path: &Path) -> io::Result<Vec<Line>> {
    let lines = BufReader::new(File::open(path)?).lines();
    lines.map(|text| Ok(serde_json::from_str(&text?)?)).collect()
}

/// Effects that stand more than once: lines that differ at most in the attempt.
pub fn doubled(lines: &[Line]) -> Vec<String> {
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for line in lines {
        *counts.entry(format!("{} {} {}", line.step, line.phase, line.effect)).or_default() += 1;
    }
    counts.into_iter().filter(|(_, n)| *n > 1).map(|(effect, n)| format!("{effect} ({n} times)")).collect()
}
