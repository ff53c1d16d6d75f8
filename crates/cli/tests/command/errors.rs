//! The errors that a beginner meets: each is really provoked, and all stand in one file to be read aloud.

use crate::shell::Shell;
use std::fmt::Write;
use towpath::prelude::*;

#[step("demo.scan/v1", no_effect, needs(scanner: dyn Scanner))]
async fn scan(_cx: &StepContext, image: String) -> Result<u32, StepError> {
    Ok(image.len() as u32)
}

#[step("demo.gate/v1", no_effect)]
async fn gate(_cx: &StepContext) -> Result<(), StepError> {
    Ok(())
}

#[step("demo.promote/v1", idempotent)]
async fn promote(_cx: &StepContext, to: Environment, release: String) -> Result<(), StepError> {
    let _ = (to, release);
    Ok(())
}

trait Scanner: Send + Sync {}

/// What was provoked, as it is read.
#[derive(Default)]
struct Read(String);

impl Read {
    fn add(&mut self, how: &str, said: impl std::fmt::Display) {
        let said = said.to_string();
        writeln!(self.0, "── {how}\n{}\n", said.trim_end()).unwrap();
    }
}

fn wrong_pipelines(read: &mut Read) {
    let p = Pipeline::new("Check Out");
    p.step("gate", gate::of());
    p.step("gate", gate::of());
    p.step("second gate", gate::of());
    read.add(
        "a pipeline with a wrong name, an id that stands twice, and an id that is none",
        p.build().unwrap_err(),
    );

    let p = Pipeline::new("scans");
    let other = Pipeline::new("others");
    let image = other.param::<String>("image");
    p.step("scan", scan::of(&image));
    read.add("a handle of another pipeline", p.build().unwrap_err());

    let p = Pipeline::new("scans");
    let first = p.step("first", gate::of());
    let second = p.step("second", gate::of()).after(&first);
    let _ = first.after(&second);
    read.add("steps that wait for each other", p.build().unwrap_err());

    let p = Pipeline::new("promotes");
    let office = Calendar::in_zone("Europe/Berlin").open("mon-thu 09:00-16:00");
    let production = Environment::named("production").accepts::<Approved<String>>().windows(&office);
    let other = Environment::named("production").windows(&Calendar::utc().open("workdays"));
    let release = p.param::<String>("release");
    p.step("promote", promote::of(&production, &release));
    p.step("again", promote::of(other, &release));
    read.add(
        "a forgotten approval, a forgotten window, and an environment that is described twice",
        p.build().unwrap_err(),
    );

    let p = Pipeline::new("scans");
    let image = p.param::<String>("image");
    p.step("scan", scan::of(&image));
    let scans = p.build().unwrap();
    read.add("a plan without values", scans.plan().unwrap_err());
    read.add("values that do not fit", scans.with(params! { image: 3, imgae: "x" }).unwrap_err());
}

async fn wrong_engines(read: &mut Read, shell: &Shell) {
    let scans = || {
        let p = Pipeline::new("scans");
        p.step("scan", scan::of("shop:4f2c"));
        p.build().unwrap()
    };
    let start = async |builder: towpath::Builder| builder.start().await.unwrap_err().to_string();
    read.add("a kind that nobody gave the engine", start(Engine::open("memory:").pipelines([scans()])).await);
    let unbound = Engine::open("memory:").steps(steps![scan]);
    read.add("a provider that nobody bound", start(unbound.pipelines([scans()])).await);
    let twice = Engine::open("memory:").steps(steps![gate, other::gate]);
    read.add("two types of one kind", start(twice).await);
    read.add("a store of an unknown sort", start(Engine::open("mysql:deploys")).await);
    let engine = shell.engine(false).await;
    let asks = |id: &str| {
        let p = Pipeline::new("gates");
        p.step(id, crate::shell::ask::of());
        p.build().unwrap().plan().unwrap()
    };
    // In a store of its own, so that the lists below do not hang on how far it is.
    let other =
        Engine::open("memory:").steps(steps![crate::shell::ask]).background(false).start().await.unwrap();
    other.run(asks("gate"), "gates@4f2c").await.unwrap();
    read.add("a key of a run of another plan", other.run(asks("other"), "gates@4f2c").await.unwrap_err());
    let unknown = engine.run(scans().plan().unwrap(), "").await.unwrap_err();
    read.add("a run with an empty key, of a plan whose kind is missing", unknown);
    other.shutdown().await.unwrap();
    engine.shutdown().await.unwrap();
}

mod other {
    use towpath::prelude::*;

    #[step("demo.gate/v1", no_effect)]
    pub(super) async fn gate(_cx: &StepContext) -> Result<bool, StepError> {
        Ok(true)
    }
}

fn wrong_commands(read: &mut Read, shell: &Shell) {
    for args in [
        &["runz"][..],
        &["show"],
        &["show", "release@9a1x"],
        &["show", "nothing-like-it"],
        &["show", "0"],
        &["runs", "--status", "hung"],
        &["runs", "--store", "postgres://db"],
        &["runs", "--store", "sqlite:no/such.db"],
        &["runs", "--store", "sqlite:letter.txt"],
        &["start", "release"],
        &["try", "towpath.comand/v1"],
        &["try", "towpath.command/v1"],
        &["signal", "release@9a1b", "go", "yes"],
        &["resolve", "release@9a1b"],
        &["resume", "release@9a1b", "--wait", "soon"],
        &["abandon", "release@9a1b"],
        &["retry", "release@4f2c"],
        &["init", "no-such-folder"],
        &["init", ".", "--yes"],
    ] {
        let said = shell.run(args);
        assert_ne!(said.code, 0, "{args:?}");
        // A store that holds other things tells its version of them by itself; folders differ from test to test.
        let folder = shell.path().parent().unwrap().display().to_string();
        let text = format!("{}{}", said.out, said.err).replace(&folder, "FOLDER");
        read.add(&format!("towpath {}", args.join(" ")), format!("{text}(exit code {})", said.code));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_say_what_is_wrong_where_and_what_to_do() {
    let shell = Shell::new();
    std::fs::write(shell.path().with_file_name("letter.txt"), "a letter to my aunt, by the canal").unwrap();
    let mut read = Read::default();
    read.add(
        "towpath runs, before there is a store",
        shell.run(&["runs"]).err.replace(&shell.path().parent().unwrap().display().to_string(), "FOLDER"),
    );
    wrong_pipelines(&mut read);
    wrong_engines(&mut read, &shell).await;
    shell.settled("release@4f2c").await;
    shell.resting("release@9a1b").await;
    wrong_commands(&mut read, &shell);
    let count = read.0.matches("── ").count();
    assert!(count >= 20, "{count}");
    kept(&normal(&read.0));
}

/// The text with ids of runs, which differ each time, cut out.
fn normal(text: &str) -> String {
    let is_id = |word: &str| word.len() == 36 && word.matches('-').count() == 4;
    let words = text.split_inclusive(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
    words
        .map(|word| {
            let id = word.trim_end_matches(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
            if is_id(id) { word.replace(id, "RUN-ID") } else { word.to_owned() }
        })
        .collect()
}

/// Compares with the file, or writes it with `TOWPATH_BLESS=1`.
fn kept(text: &str) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/snapshot/errors.txt");
    if std::env::var_os("TOWPATH_BLESS").is_some() {
        std::fs::create_dir_all(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/snapshot")).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let there = std::fs::read_to_string(path).unwrap_or_default();
    assert!(there == text, "{path} differs; TOWPATH_BLESS=1 writes it anew:\n{text}");
}
