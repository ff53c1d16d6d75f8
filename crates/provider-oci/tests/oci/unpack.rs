//! Images that are unpacked, and those that are refused.

use super::hand::{Entry, Hand, file, folder, hard, layer, link};
use proptest::prelude::*;
use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};
use tar::EntryType;
use towpath_provider::{ProviderError, ProviderErrorKind};
use towpath_provider_oci::{
    UnpackLimits, Unpacked,
    spec::{HowToRun, media},
};

fn unpack(hand: &Hand) -> (tempfile::TempDir, Result<Unpacked, ProviderError>) {
    let temp = tempfile::tempdir().unwrap();
    let layout = hand.write(&temp.path().join("images"));
    let result = layout.image("hand:1").unwrap().unpack(temp.path().join("to"));
    (temp, result)
}

/// What is in a folder: names with what stands there.
fn tree(folder: &Path) -> BTreeMap<String, String> {
    fn walk(folder: &Path, name: &str, into: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{name}/{}", entry.file_name().to_str().unwrap());
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                into.insert(format!("{name}/"), String::new());
                walk(&entry.path(), &name, into);
            } else if kind.is_symlink() {
                into.insert(name, format!("-> {}", fs::read_link(entry.path()).unwrap().display()));
            } else {
                into.insert(name, fs::read_to_string(entry.path()).unwrap());
            }
        }
    }
    let mut into = BTreeMap::new();
    walk(folder, "", &mut into);
    into
}

fn pairs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

#[test]
fn an_image_is_unpacked_with_what_it_runs() {
    let entries = [
        folder("app/"),
        Entry { mode: 0o4755, ..file("app/orders", "program") },
        link("app/latest", "orders"),
        hard("app/same", "app/orders"),
        file("./etc/deep/er/conf", "x"),
    ];
    for zipped in [false, true] {
        let mut hand = Hand::of([layer(&entries)]);
        if zipped {
            hand = hand.zipped();
        }
        hand.how = HowToRun {
            env: ["PORT=80", "PORT=8080", "EMPTY=", "nonsense"].map(String::from).to_vec(),
            entrypoint: vec!["/app/orders".into(), "--serve".into()],
            cmd: vec!["--fast".into()],
            working_dir: "/app".into(),
            ..HowToRun::default()
        };
        let (temp, unpacked) = unpack(&hand);
        let unpacked = unpacked.unwrap();
        assert_eq!(unpacked.folder, temp.path().join("to"));
        assert_eq!(unpacked.entrypoint, ["/app/orders", "--serve", "--fast"]);
        assert_eq!(unpacked.env, pairs(&[("PORT", "8080"), ("EMPTY", "")]));
        assert_eq!(unpacked.program().unwrap(), unpacked.folder.join("app/orders"));
        assert_eq!(unpacked.working_folder(), unpacked.folder.join("app"));
        let expected = [
            ("/app/", ""),
            ("/app/latest", "-> orders"),
            ("/app/orders", "program"),
            ("/app/same", "program"),
            ("/etc/", ""),
            ("/etc/deep/", ""),
            ("/etc/deep/er/", ""),
            ("/etc/deep/er/conf", "x"),
        ];
        assert_eq!(tree(&unpacked.folder), pairs(&expected));
        let program = fs::metadata(unpacked.folder.join("app/orders")).unwrap();
        // Without the bit that would make somebody else of who runs it.
        assert_eq!(program.permissions().mode() & 0o7777, 0o755);
        assert_eq!(program.ino(), fs::metadata(unpacked.folder.join("app/same")).unwrap().ino());
        let beside = fs::read_dir(temp.path()).unwrap().count();
        assert_eq!(beside, 2, "nothing else is left beside it");
    }
}

#[test]
fn layers_hide_what_is_below_them_and_not_what_they_bring() {
    let below =
        [file("a/gone", "1"), file("a/stays", "1"), file("b/x/y", "1"), file("c", "1"), file("d/e", "1")];
    // The marks come last, and hide nothing of their own layer all the same.
    let above = [
        file("b/new", "2"),
        file("c/inside", "2"),
        file("d", "2"),
        file("a/.wh.gone", ""),
        file("b/.wh..wh..opq", ""),
        file("no/such/.wh.file", ""),
    ];
    let (_temp, unpacked) = unpack(&Hand::of([layer(&below), layer(&above[..1]), layer(&above[2..])]));
    let expected = [("/a/", ""), ("/a/stays", "1"), ("/b/", ""), ("/c", "1"), ("/d", "2")];
    assert_eq!(tree(&unpacked.unwrap().folder), pairs(&expected));
    // A file of a layer below is no folder for one above, unless it is made one.
    let (_temp, unpacked) = unpack(&Hand::of([layer(&below), layer(&[file("c/inside", "2")])]));
    assert_eq!(unpacked.unwrap_err().kind(), ProviderErrorKind::Invalid);
    let made = [folder("c/"), file("c/inside", "2"), file("b/.wh..wh..opq", ""), file("b/new", "2")];
    let (_temp, unpacked) = unpack(&Hand::of([layer(&below), layer(&made)]));
    let tree = tree(&unpacked.unwrap().folder);
    assert_eq!((tree["/c/inside"].as_str(), tree["/b/new"].as_str()), ("2", "2"));
    assert!(!tree.contains_key("/b/x/"), "{tree:?}");
}

#[test]
fn what_leads_out_of_the_folder_is_refused_and_leaves_nothing() {
    let cases: Vec<(&str, Vec<Entry>)> = vec![
        ("a name that goes up", vec![file("../out", "x")]),
        ("a name that goes down and up", vec![file("a/../../out", "x")]),
        ("an absolute link", vec![link("a", "/etc")]),
        ("a link that goes up", vec![link("a/b", "../../etc")]),
        ("a link that goes down and up", vec![link("s", "."), link("l", "s/../out")]),
        ("through a link", vec![folder("real/"), link("a", "real"), file("a/x", "x")]),
        ("through a link in a layer", vec![link("a", "."), folder("a/b/c/")]),
        ("a hard link to a link", vec![link("a/b/c", "../../x"), hard("c", "a/b/c")]),
        ("a hard link that goes up", vec![hard("c", "../../../etc/passwd")]),
        ("a hard link to nothing", vec![hard("c", "nothing")]),
        ("a hard link to a folder", vec![folder("d/"), hard("c", "d")]),
        ("a mark that goes up", vec![file("a/.wh...", "")]),
        ("a mark of nothing", vec![file("a/.wh.", "")]),
        ("a device", vec![Entry { kind: EntryType::Char, ..file("null", "") }]),
        ("a pipe", vec![Entry { kind: EntryType::Fifo, ..file("pipe", "") }]),
        ("a root that is a link", vec![link("./", "x")]),
        ("a sparse file", vec![Entry { kind: EntryType::GNUSparse, ..file("sparse", "") }]),
        ("a kind that nobody knows", vec![Entry { kind: EntryType::new(b'Q'), ..file("q", "") }]),
    ];
    for (what, entries) in cases {
        let (temp, result) = unpack(&Hand::of([layer(&[file("first", "x")]), layer(&entries)]));
        let error = result.expect_err(what);
        let wanted =
            [ProviderErrorKind::Invalid, ProviderErrorKind::NotFound, ProviderErrorKind::Unsupported];
        assert!(wanted.contains(&error.kind()), "{what}: {error:?}");
        let left: Vec<_> = fs::read_dir(temp.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, ["images"], "{what}");
    }
}

#[test]
fn an_absolute_name_is_one_below_the_root() {
    let (_temp, unpacked) = unpack(&Hand::of([layer(&[file("/etc/conf", "x")])]));
    assert_eq!(tree(&unpacked.unwrap().folder), pairs(&[("/etc/", ""), ("/etc/conf", "x")]));
}

#[test]
fn limits_hold_at_the_limit_and_one_above() {
    let bytes = layer(&[file("a", "12345"), file("b", "1")]);
    for hand in [Hand::of([bytes.clone()]), Hand::of([bytes.clone()]).zipped()] {
        let temp = tempfile::tempdir().unwrap();
        let image = hand.write(&temp.path().join("images")).image("hand:1").unwrap();
        let size = bytes.len() as u64;
        let limits = |bytes, entries| UnpackLimits::default().bytes(bytes).entries(entries);
        for (n, limits) in [(0, limits(size - 1, 2)), (1, limits(size, 1))] {
            let error = image.unpack_within(temp.path().join(n.to_string()), limits).unwrap_err();
            assert_eq!(error.kind(), ProviderErrorKind::Invalid, "{error:?}");
            assert!(!temp.path().join(n.to_string()).exists());
        }
        image.unpack_within(temp.path().join("fits"), limits(size, 2)).unwrap();
    }
}

#[test]
fn bytes_are_held_against_both_digests() {
    let bytes = layer(&[file("a", "12345")]);
    type Flip = fn(&mut Hand);
    let flips: [(&str, Flip); 2] = [
        ("a diff_id of something else", |hand| hand.diff_ids[0] = format!("sha256:{}", "0".repeat(64))),
        ("a layer more than the configuration knows", |hand| hand.layers.push((Vec::new(), media::LAYER))),
    ];
    for (what, flip) in flips {
        let mut hand = Hand::of([bytes.clone()]).zipped();
        flip(&mut hand);
        let temp = tempfile::tempdir().unwrap();
        let layout = hand.write(&temp.path().join("images"));
        let result = layout.image("hand:1").and_then(|image| image.unpack(temp.path().join("to")));
        result.expect_err(what);
        assert!(!temp.path().join("to").exists());
    }
    // Each blob, changed on the disk by one bit.
    let hand = Hand::of([bytes]);
    let temp = tempfile::tempdir().unwrap();
    let layout = hand.write(&temp.path().join("images"));
    layout.image("hand:1").unwrap().verify().unwrap();
    let blobs: Vec<PathBuf> = fs::read_dir(temp.path().join("images/blobs/sha256"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(blobs.len(), 3);
    for blob in blobs {
        let whole = fs::read(&blob).unwrap();
        let mut changed = whole.clone();
        *changed.last_mut().unwrap() ^= 1;
        for bad in [changed, whole[..whole.len() - 1].to_vec(), [whole.clone(), vec![0]].concat()] {
            fs::write(&blob, bad).unwrap();
            let result = layout.image("hand:1").and_then(|image| image.unpack(temp.path().join("to")));
            assert_eq!(result.unwrap_err().kind(), ProviderErrorKind::Unexpected);
            assert!(!temp.path().join("to").exists());
        }
        fs::write(&blob, whole).unwrap();
    }
    layout.image("hand:1").unwrap().unpack(temp.path().join("to")).unwrap();
}

#[test]
fn a_folder_that_is_there_is_left_alone_and_what_a_dead_process_left_is_not() {
    let hand = Hand::of([layer(&[file("a", "new")])]);
    let temp = tempfile::tempdir().unwrap();
    let image = hand.write(&temp.path().join("images")).image("hand:1").unwrap();
    let to = temp.path().join("to");
    fs::create_dir(&to).unwrap();
    assert_eq!(image.unpack(&to).unwrap_err().kind(), ProviderErrorKind::AlreadyExists);
    fs::remove_dir(&to).unwrap();
    // One that nobody holds, and one that somebody still works in.
    fs::create_dir(temp.path().join(".to.partial-dead")).unwrap();
    fs::write(temp.path().join(".to.partial-dead/a"), "half").unwrap();
    fs::create_dir(temp.path().join(".to.partial-lives")).unwrap();
    let held = fs::File::open(temp.path().join(".to.partial-lives")).unwrap();
    held.lock().unwrap();
    image.unpack(&to).unwrap();
    assert!(!temp.path().join(".to.partial-dead").exists());
    assert!(temp.path().join(".to.partial-lives").exists());
    assert_eq!(image.unpack(&to).unwrap_err().kind(), ProviderErrorKind::AlreadyExists);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever an archive says, nothing is written but below the folder, and nothing in it leads out.
    #[test]
    fn nothing_leads_out(entries in prop::collection::vec(
        (0..NAMES.len(), 0..5_usize, 0..LINKS.len()), 1..8,
    )) {
        let entries: Vec<Entry> = entries.into_iter().map(|(name, kind, to)| match kind {
            0 => folder(NAMES[name]),
            1 | 2 => link(NAMES[name], LINKS[to]),
            3 => hard(NAMES[name], NAMES[to % NAMES.len()]),
            _ => file(NAMES[name], "x"),
        }).collect();
        let (temp, result) = unpack(&Hand::of([layer(&entries)]));
        prop_assert_eq!(fs::read_dir(temp.path()).unwrap().count(), if result.is_ok() { 2 } else { 1 });
        if let Ok(unpacked) = result {
            let root = unpacked.folder.canonicalize().unwrap();
            for name in tree(&root).keys() {
                if let Ok(real) = root.join(&name[1..]).canonicalize() {
                    prop_assert!(real.starts_with(&root), "{} leads to {}", name, real.display());
                }
            }
        }
    }
}

const NAMES: [&str; 12] =
    ["a", "b", "a/b", "a/b/c", "b/a", "c/d/e", "../x", "a/../b", "/a", ".wh.a", "a/.wh.b", "c/d"];
const LINKS: [&str; 12] =
    [".", "..", "../..", "a", "a/..", "b/../..", "/", "../a", "c/d", "../../a/b", "a/b/../../..", "./b"];
