//! What the pages under `docs/` and the front page say is held to what the tree is.
//!
//! * In a paragraph that begins with `Tests:`, and in a column of a table headed `Tests`, each word in backticks is the
//!   name of a test: `fn name` in Rust, `def name` in Python, or a name in the list of a macro that makes tests.
//! * A word in backticks that begins with a folder of the tree is a path from its root.
//! * A block of code behind `<!-- from path -->` stands in that file, line for line.
//! * The table behind `<!-- edges -->` is the one in `xtask/src/tidy/graph.rs`, and the table behind `<!-- limits -->`
//!   has every constant of `crates/model/src/limits.rs`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in the workspace").to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("read {path}: {e}"))
}

/// The files below a folder whose names end so, as paths from the root.
fn files(folder: &str, endings: &[&str]) -> Vec<String> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root().join(&folder)).expect("a folder of the tree") {
            let entry = entry.expect("an entry of a folder");
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            let is_made = name.starts_with('.') || name == "target" || name == "node_modules";
            if entry.path().is_dir() && !is_made {
                folders.push(path);
            } else if endings.iter().any(|e| name.ends_with(e)) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The pages that are checked.
fn pages() -> Vec<String> {
    let mut pages = files("docs", &[".md"]);
    pages.extend(["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(str::to_owned));
    pages
}

/// The lines of a page with their numbers, without those of code blocks.
fn prose(text: &str) -> Vec<(usize, &str)> {
    let mut fenced = false;
    let mut keep = |line: &str| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    };
    text.lines().zip(1..).filter(|(line, _)| keep(line)).map(|(line, n)| (n, line)).collect()
}

fn backticked(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

fn cells(line: &str) -> Vec<&str> {
    line.trim().trim_matches('|').split('|').map(str::trim).collect()
}

fn fail_with(problems: &[String]) {
    assert!(problems.is_empty(), "{} things to be put right:\n{}", problems.len(), problems.join("\n"));
}

/// What a page names as tests, with the numbers of the lines.
fn named_tests(text: &str) -> Vec<(usize, &str)> {
    let (mut named, mut listing, mut column, mut in_table) = (Vec::new(), false, None, false);
    for (n, line) in prose(text) {
        if line.starts_with('|') {
            if !in_table {
                column = cells(line).iter().position(|cell| *cell == "Tests");
            }
            let cell = column.and_then(|i| cells(line).get(i).copied()).unwrap_or_default();
            named.extend(backticked(cell).map(|name| (n, name)));
        }
        in_table = line.starts_with('|');
        listing = line.starts_with("Tests:") || (listing && !line.trim().is_empty());
        if listing {
            named.extend(backticked(line).map(|name| (n, name)));
        }
    }
    named
}

/// Every name that a function of the tree has.
fn functions() -> BTreeSet<String> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut names = BTreeSet::new();
    for path in files("", &[".rs", ".py"]) {
        let text = read(&path);
        for keyword in ["fn ", "def "] {
            for (at, _) in text.match_indices(keyword) {
                names.insert(text[at + keyword.len()..].chars().take_while(|c| is_word(*c)).collect());
            }
        }
        if text.contains("fn $") {
            // A macro makes tests of a list: a name and what it is given, one line each.
            let listed = text.lines().filter_map(|line| line.trim().strip_suffix("\";")?.split_once(" \""));
            names.extend(listed.map(|(name, _)| name.to_owned()).filter(|name| name.chars().all(is_word)));
        }
    }
    names
}

#[test]
fn every_test_that_the_docs_name_is_there() {
    let functions = functions();
    let mut problems = Vec::new();
    let mut count = 0;
    for page in pages() {
        let text = read(&page);
        for (line, name) in named_tests(&text) {
            count += 1;
            if !functions.contains(name) {
                problems.push(format!("{page}:{line}: there is no test `{name}`"));
            }
        }
    }
    fail_with(&problems);
    assert!(count > 50, "the docs name tests, and {count} were found");
}

/// The places that the headings of a page make, as renderers name them.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = prose(text).into_iter().filter(|(_, line)| line.starts_with('#'));
    let place = |line: &str| {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let kept = title.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(|(_, line)| place(line)).collect()
}

fn links(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target)
}

#[test]
fn every_relative_link_leads_somewhere() {
    let mut problems = Vec::new();
    for page in pages() {
        let text = read(&page);
        let here = root().join(&page);
        for (n, line) in prose(&text) {
            for target in links(line).filter(|t| !t.contains("://")) {
                let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
                let file = match path {
                    "" => here.clone(),
                    _ => here.parent().expect("a page lies in a folder").join(path),
                };
                if !file.exists() {
                    problems.push(format!("{page}:{n}: {target} leads nowhere"));
                } else if !anchor.is_empty() {
                    let there = fs::read_to_string(&file).unwrap_or_default();
                    if !anchors(&there).contains(anchor) {
                        problems.push(format!("{page}:{n}: {target} names no heading"));
                    }
                }
            }
        }
    }
    fail_with(&problems);
}

#[test]
fn every_path_that_the_docs_name_is_there() {
    const FOLDERS: [&str; 6] = ["crates/", "tests/", "xtask/", "docs/", "examples/", "bindings/"];
    let mut problems = Vec::new();
    for page in pages() {
        for (n, line) in prose(&read(&page)) {
            for path in backticked(line).filter(|word| FOLDERS.iter().any(|f| word.starts_with(f))) {
                if !root().join(path).exists() {
                    problems.push(format!("{page}:{n}: there is no {path}"));
                }
            }
        }
    }
    fail_with(&problems);
}

/// The rows of the table behind a mark, without its head, as the words in backticks of each cell.
fn table<'a>(page: &str, text: &'a str, mark: &str) -> Vec<Vec<Vec<&'a str>>> {
    let after = text.split_once(mark).unwrap_or_else(|| panic!("{page} has no {mark}")).1;
    let rows = after.lines().skip_while(|l| !l.starts_with('|')).take_while(|l| l.starts_with('|'));
    rows.skip(2).map(|row| cells(row).into_iter().map(|c| backticked(c).collect()).collect()).collect()
}

#[test]
fn the_table_of_edges_is_that_of_the_check() {
    let text = read("docs/architecture.md");
    let told: BTreeMap<&str, BTreeSet<&str>> = table("docs/architecture.md", &text, "<!-- edges -->")
        .into_iter()
        .map(|row| (row[0][0], row.get(1).into_iter().flatten().copied().collect()))
        .collect();
    let source = read("xtask/src/tidy/graph.rs");
    let list = source.split_once("const EDGES").expect("the check has its table").1;
    let list = list.split_once("];").expect("the table ends").0;
    let entries = list.split('(').map(|entry| entry.split('"').skip(1).step_by(2).collect::<Vec<_>>());
    let held: BTreeMap<&str, BTreeSet<&str>> = entries
        .filter_map(|words| words.split_first().map(|(name, edges)| (*name, edges.iter().copied().collect())))
        .collect();
    let mut problems = Vec::new();
    for name in told.keys().chain(held.keys()).collect::<BTreeSet<_>>() {
        let (told, held) = (told.get(name), held.get(name));
        if told != held {
            let line = text.lines().position(|l| l.starts_with(&format!("| `{name}`"))).map_or(1, |i| i + 1);
            let says = format!("the page has {told:?}, xtask/src/tidy/graph.rs has {held:?}");
            problems.push(format!("docs/architecture.md:{line}: edges of `{name}`: {says}"));
        }
    }
    assert!(held.len() > 8, "the table of the check was not read");
    fail_with(&problems);
}

/// A number as the page writes it: `2,000`, `64 KiB`.
fn written(name: &str, value: u64) -> String {
    let (kib, mib) = (1 << 10, 1 << 20);
    match value {
        v if name.ends_with("BYTES") && v % mib == 0 => format!("{} MiB", v / mib),
        v if name.ends_with("BYTES") && v % kib == 0 => format!("{} KiB", v / kib),
        v => {
            let digits = v.to_string();
            let groups: Vec<&str> =
                digits.as_bytes().rchunks(3).rev().map(|g| std::str::from_utf8(g).expect("digits")).collect();
            groups.join(",")
        }
    }
}

#[test]
fn the_table_of_limits_is_that_of_the_model() {
    let text = read("docs/semantics.md");
    let after = text.split_once("<!-- limits -->").expect("the page has its table").1;
    let rows: Vec<&str> =
        after.lines().skip_while(|l| !l.starts_with('|')).take_while(|l| l.starts_with('|')).collect();
    let source = read("crates/model/src/limits.rs");
    let (mut problems, mut count) = (Vec::new(), 0);
    for line in source.lines().filter_map(|l| l.strip_prefix("pub const ")) {
        let (name, rest) = line.split_once(':').expect("a constant has a type");
        let value = rest.split_once("= ").expect("and a value").1.trim_end_matches(';').replace('_', "");
        let number = |text: &str| text.trim().parse::<u64>().expect("a number");
        let value = match value.split_once("<<") {
            Some((n, shift)) => number(n) << number(shift),
            None => number(&value),
        };
        let (name_cell, want) = (format!("`{name}`"), written(name, value));
        count += 1;
        match rows.iter().find(|row| cells(row).contains(&name_cell.as_str())) {
            None => problems.push(format!("docs/semantics.md: the table of limits lacks {name}, {want}")),
            Some(row) if !cells(row).contains(&want.as_str()) => {
                problems.push(format!("docs/semantics.md: the limit {name} is {want}"));
            }
            Some(_) => {}
        }
    }
    assert_eq!(rows.len() - 2, count, "the table has a row for each limit and no other");
    fail_with(&problems);
}

/// A line as it is compared: without indentation and the mark of a doc comment.
fn bare(line: &str) -> &str {
    let line = line.trim();
    let line = line.strip_prefix("//!").or(line.strip_prefix("///")).unwrap_or(line);
    line.trim()
}

#[test]
fn code_in_the_docs_is_code_of_the_tree() {
    let (mut problems, mut count) = (Vec::new(), 0);
    for page in pages() {
        let text = read(&page);
        let lines: Vec<&str> = text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let Some(path) = line.strip_prefix("<!-- from ").and_then(|l| l.strip_suffix(" -->")) else {
                continue;
            };
            let block = lines[at + 1..].iter().skip_while(|l| l.is_empty()).skip(1);
            let block: Vec<&str> =
                block.take_while(|l| **l != "```").map(|l| bare(l)).filter(|l| !l.is_empty()).collect();
            let source = read(path);
            let source: Vec<&str> = source.lines().map(bare).filter(|l| !l.is_empty()).collect();
            count += 1;
            assert!(!block.is_empty(), "{page}:{}: there is no code behind it", at + 1);
            if !source.windows(block.len()).any(|window| window == block) {
                problems.push(format!("{page}:{}: the code is not in {path}", at + 1));
            }
        }
    }
    fail_with(&problems);
    assert!(count > 3, "the docs show code, and {count} blocks were found");
}

/// What a pipeline's author should not have to write: conversions, and how the library keeps things.
fn is_plumbing(line: &str) -> bool {
    // A type that nothing else tells is named; that is no plumbing.
    let named = line.replace(".param::<", "").replace(".accepts::<", "");
    let words =
        ["::<", ".into()", ".clone()", ".to_string()", ".to_owned()", "Box<", "Box::", "Arc<", "Arc::"];
    words.iter().any(|word| named.contains(word))
}

/// The lines of a program in which pipelines are written: from each `Pipeline::new` to where it is built.
fn authored(text: &str) -> Vec<(usize, &str)> {
    let mut is_within = false;
    let mut keep = |line: &str| {
        is_within |= line.contains("Pipeline::new(");
        let kept = is_within;
        is_within &= !(line.contains(".build()") || line.contains(".build(") || line == "}");
        kept
    };
    text.lines().zip(1..).filter(|(line, _)| keep(line)).map(|(line, n)| (n, line)).collect()
}

#[test]
fn pipelines_of_examples_read_like_prose() {
    let (mut problems, mut count, mut short) = (Vec::new(), 0, 0);
    for path in files("examples", &[".rs"]) {
        let text = read(&path);
        let lines = text.lines().count();
        // What stands beside `hello.rs` is read as a whole; what is a program of many files is not.
        let is_one_file = path.matches('/').count() == 1 && !path.ends_with("lib.rs");
        let most = if path.ends_with("/hello.rs") { 25 } else { 60 };
        short += usize::from(is_one_file);
        if is_one_file && lines > most {
            problems.push(format!("{path}:1: it has {lines} lines, and {most} have to be enough"));
        }
        for (n, line) in authored(&text) {
            count += 1;
            if is_plumbing(line) {
                problems
                    .push(format!("{path}:{n}: an author should not have to write this: {}", line.trim()));
            }
        }
    }
    fail_with(&problems);
    assert!(short >= 10 && count > 100, "{short} examples with {count} lines of pipelines were found");
}

#[test]
fn every_decision_is_in_the_index() {
    let index = read("docs/decisions/README.md");
    let missing = |path: &String| {
        let name = path.rsplit('/').next().expect("a path has a last part");
        (name != "README.md" && !index.contains(&format!("]({name})")))
            .then(|| format!("{path}:1: it is not in the index, docs/decisions/README.md"))
    };
    fail_with(&files("docs/decisions", &[".md"]).iter().filter_map(missing).collect::<Vec<_>>());
}

#[test]
fn the_page_reader_sees_what_is_there() {
    let page = "# A title, of `two` parts\n\nTests: `one`,\n`two`\n\n`three`\n\n```text\nTests: `four`\n```\n\n\
                | What | Tests |\n|---|---|\n| `five` | `six` |\n\n| What |\n|---|\n| `seven` |\n\n\
                <!-- edges -->\n\n| A | B |\n|---|---|\n| `x` | `y`, `z` |\n| `w` | |\n";
    assert_eq!(named_tests(page), [(3, "one"), (4, "two"), (14, "six")]);
    assert_eq!(anchors(page), BTreeSet::from(["a-title-of-two-parts".to_owned()]));
    assert_eq!(links("[a](b.md) and [c](d.md#e)").collect::<Vec<_>>(), ["b.md", "d.md#e"]);
    let rows = table("page", page, "<!-- edges -->");
    assert_eq!(rows, [[vec!["x"], vec!["y", "z"]], [vec!["w"], vec![]]]);
    let numbers = [("STEPS", 2_000), ("PLAN_BYTES", 4 << 20), ("INLINE_BYTES", 64 << 10), ("ID_BYTES", 64)];
    assert_eq!(numbers.map(|(name, value)| written(name, value)), ["2,000", "4 MiB", "64 KiB", "64"]);
    assert_eq!(bare("    /// let a = 1;"), "let a = 1;");
    let program = "let name = a.into();\nlet p = Pipeline::new(a);\np.step(b.clone());\np.build()\nlet c = Arc::new(d);\n";
    assert_eq!(authored(program).into_iter().map(|(n, _)| n).collect::<Vec<_>>(), [2, 3, 4]);
    assert!(is_plumbing("p.step(b.clone());") && is_plumbing("get::<u8>()"));
    assert!(!is_plumbing("let commit = p.param::<Commit>(\"commit\");"));
}

/// The steps that `docs/writing-steps.md` shows.
mod steps {
    use async_trait::async_trait;
    use serde::{Deserialize, Serialize};
    use std::sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    };
    use towpath::{model::Key, prelude::*, provider::ProviderError};

    #[step("shop.smoke/v1", no_effect)]
    async fn smoke(cx: &StepContext, digest: String, url: String) -> Result<bool, StepError> {
        cx.log(format!("ask {url} for {digest}"));
        Ok(true)
    }

    #[async_trait]
    trait Router: Send + Sync {
        async fn weight(&self, service: &str) -> Result<u8, ProviderError>;
        async fn set_weight(&self, service: &str, weight: u8, key: &Key) -> Result<(), ProviderError>;
    }

    #[derive(Serialize, Deserialize, Output)]
    struct Live {
        weight: u8,
    }

    #[step("shop.shift/v1", observe = shifted, before = weight_before, undo = shift_back, needs(router: dyn Router))]
    async fn shift(cx: &StepContext, service: String, weight: u8) -> Result<Live, StepError> {
        let router = cx.provider::<dyn Router>("router")?;
        router.set_weight(&service, weight, &cx.key("weight")?).await?;
        Ok(Live { weight })
    }

    async fn weight_before(cx: &StepContext, service: String, _weight: u8) -> Result<u8, StepError> {
        Ok(cx.provider::<dyn Router>("router")?.weight(&service).await?)
    }

    async fn shifted(cx: &StepContext, service: String, weight: u8) -> Result<Observed<Live>, StepError> {
        let there = cx.provider::<dyn Router>("router")?.weight(&service).await?;
        Ok(match there {
            w if w == weight => Observed::Done(Live { weight }),
            w if w == cx.before::<u8>()? => Observed::NotDone,
            w => Observed::TakenOver(towpath::model::Json::of(&w).expect("a number is JSON")),
        })
    }

    async fn shift_back(
        cx: &StepContext,
        undo: Undo<Live>,
        service: String,
        weight: u8,
    ) -> Result<(), StepError> {
        let router = cx.provider::<dyn Router>("router")?;
        if router.weight(&service).await? != weight {
            return Ok(()); // it never got there, or somebody has changed it since
        }
        router.set_weight(&service, undo.read_before()?, &cx.key("weight")?).await?;
        Ok(())
    }

    #[step("shop.canary/v1", idempotent, needs(router: dyn Router))]
    async fn canary(cx: &StepContext, service: String) -> Result<(), StepError> {
        let router = cx.provider::<dyn Router>("router")?;
        let done: u8 = cx.last_checkpoint()?.unwrap_or(0);
        for weight in [5, 25, 50].into_iter().filter(|w| *w > done) {
            let key = cx.key(&format!("weight-{weight}"))?;
            router.set_weight(&service, weight, &key).await?;
            cx.sleep(&format!("bake-{weight}"), minutes(10)).await?;
            cx.checkpoint(&weight).await?;
        }
        Ok(())
    }

    #[step("shop.go/v1", no_effect)]
    async fn go(cx: &StepContext) -> Result<String, StepError> {
        match cx.signal::<String>("go").within(hours(8)).await? {
            Some(who) => Ok(who),
            None => Err(StepError::rejected("nobody said go within eight hours")),
        }
    }

    fn read_port(text: &str) -> Result<u16, StepError> {
        text.parse().map_err(|e| StepError::permanent("read the port").because(e))
    }

    /// A router for tests.
    #[derive(Default)]
    struct Fake(AtomicU8);

    impl Provider for Fake {
        fn offer(self: Arc<Self>, to: &mut towpath::Offers<'_>) {
            to.put::<dyn Router>(self);
        }
    }

    #[async_trait]
    impl Router for Fake {
        async fn weight(&self, _service: &str) -> Result<u8, ProviderError> {
            Ok(self.0.load(Ordering::SeqCst))
        }

        async fn set_weight(&self, _service: &str, weight: u8, _key: &Key) -> Result<(), ProviderError> {
            self.0.store(weight, Ordering::SeqCst);
            Ok(())
        }
    }

    mod tests {
        use super::*;
        use towpath_testkit::ForTest;

        #[tokio::test]
        async fn a_shift_moves_traffic() {
            let cx = StepContext::for_test().with_provider("router", Fake::default());
            let live = shift(&cx, "checkout".into(), 25).await.unwrap();
            assert_eq!(live.weight, 25);
        }

        #[tokio::test]
        async fn undoing_a_shift_leaves_alone_what_somebody_changed() {
            let router = Arc::new(Fake(AtomicU8::new(70)));
            let cx =
                StepContext::for_test().undoing().with_before(&0).with_provider("router", router.clone());
            let undo = Undo { before: None, output: None, checkpoint: None, ended: towpath::UndoEnded::Done };
            shift_back(&cx, undo, "checkout".into(), 25).await.unwrap();
            assert_eq!(router.0.load(Ordering::SeqCst), 70);
        }

        #[tokio::test]
        async fn a_shift_in_doubt_looks_at_the_world() {
            for (there, said) in [(25, "Done"), (5, "NotDone"), (70, "TakenOver")] {
                let fake = Fake(AtomicU8::new(there));
                let cx = StepContext::for_test().with_before(&5).with_provider("router", fake);
                let observed = match shifted(&cx, "checkout".into(), 25).await.unwrap() {
                    Observed::Done(_) => "Done",
                    Observed::NotDone => "NotDone",
                    Observed::TakenOver(_) => "TakenOver",
                    Observed::Unknown(_) => "Unknown",
                };
                assert_eq!(observed, said, "{there} percent");
            }
        }

        #[tokio::test]
        async fn a_canary_waits_at_each_weight() {
            let cx = StepContext::for_test().with_provider("router", Fake::default());
            canary(&cx, "checkout".into()).await.unwrap();
            assert_eq!(cx.recorded().waits, ["bake-5", "bake-25", "bake-50"]);
        }

        #[tokio::test]
        async fn a_canary_goes_on_from_its_checkpoint() {
            let cx = StepContext::for_test().with_checkpoint(&25).with_provider("router", Fake::default());
            canary(&cx, "checkout".into()).await.unwrap();
            assert_eq!(cx.recorded().waits, ["bake-50"]);
        }

        #[tokio::test]
        async fn a_signal_that_does_not_come_is_a_no() {
            let cx = StepContext::for_test();
            assert_eq!(go(&cx).await.unwrap_err().to_string(), "nobody said go within eight hours");
            let cx = StepContext::for_test().with_signal("go", "alice");
            assert_eq!(go(&cx).await.unwrap(), "alice");
        }

        #[tokio::test]
        async fn the_other_steps_of_the_page_work() {
            let known = steps![smoke, shift, canary, go];
            assert!(known.problems().is_empty(), "{:?}", known.problems());
            assert!(smoke(&StepContext::for_test(), "sha256:4f2c".into(), "shop".into()).await.unwrap());
            assert_eq!(read_port("443").unwrap(), 443);
            assert!(read_port("x").is_err());
        }
    }
}
