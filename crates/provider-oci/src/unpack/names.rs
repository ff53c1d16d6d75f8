//! Names within a layer, and where links in it lead.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt, OsStringExt},
};

/// Longest name, as everywhere.
const NAME_BYTES: usize = 4_096;

/// Deepest name: each folder on the way is held open when a tree is removed.
const PARTS: usize = 128;

/// The parts of a name within the root. A leading slash and `.` mean nothing.
///
/// # Errors
/// What is wrong with it.
pub(super) fn clean(name: &[u8]) -> Result<Vec<OsString>, &'static str> {
    if name.len() > NAME_BYTES {
        return Err("a name of more than 4096 bytes");
    }
    if name.contains(&0) {
        return Err("a name with a zero byte");
    }
    let mut parts = Vec::new();
    for part in name.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => return Err("a name that leads out of the image"),
            part if part.len() > 255 => return Err("a part of a name of more than 255 bytes"),
            part => parts.push(OsString::from_vec(part.to_vec())),
        }
    }
    if parts.len() > PARTS { Err("a name that goes through more than 128 folders") } else { Ok(parts) }
}

/// Whether a symbolic link that stands `depth` folders below the root stays below it, whatever else is there.
///
/// It does when it first goes up, not above the root, and then only down: folders that a name goes through on its way are
/// real ones, so that going up leads to real ones as well, and links that it meets on the way down stay below in turn. After
/// a way down, `..` may lead from where a link led to, and is refused.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn check_link(target: &OsStr, depth: usize) -> Result<(), &'static str> {
    let bytes = target.as_bytes();
    if bytes.is_empty() || bytes.len() > NAME_BYTES || bytes.contains(&0) {
        return Err("a link that leads nowhere");
    }
    if bytes.starts_with(b"/") {
        return Err("a link to an absolute name, which would lead out of the image");
    }
    let (mut up, mut is_down) = (0, false);
    for part in bytes.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." if is_down => return Err("a link that goes down and up again"),
            b".." => up += 1,
            _ => is_down = true,
        }
    }
    if up > depth { Err("a link that leads out of the image") } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::{check_link, clean};
    use std::ffi::OsStr;

    #[test]
    fn names_stay_within_the_image() {
        let parts = |name: &str| clean(name.as_bytes()).map(|parts| parts.join(OsStr::new("|")));
        assert_eq!(parts("./app/bin//orders").unwrap(), "app|bin|orders");
        assert_eq!(parts("/etc/passwd").unwrap(), "etc|passwd");
        assert_eq!(parts("./").unwrap(), "");
        for bad in ["..", "a/../b", "../etc/passwd", "a/..", "nul\0"] {
            assert!(parts(bad).is_err(), "{bad}");
        }
        assert!(clean(&[b'a'; 256]).is_err());
        assert!(clean("a/".repeat(2_049).as_bytes()).is_err());
    }

    #[test]
    fn links_stay_within_the_image() {
        for (target, depth) in [("a", 0), ("./a/b", 0), ("../a", 1), ("../../a", 2), (".", 0), ("..", 1)] {
            assert_eq!(check_link(OsStr::new(target), depth), Ok(()), "{target}");
        }
        for (target, depth) in [
            ("/a", 0),
            ("..", 0),
            ("../a", 0),
            ("../../a", 1),
            ("a/../b", 5),
            ("a/..", 0),
            ("", 0),
            (".//../a", 0),
        ] {
            assert!(check_link(OsStr::new(target), depth).is_err(), "{target}");
        }
    }
}
