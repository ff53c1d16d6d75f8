//! The binary on a store in a file: exit codes, output, and every way to tamper with a journal.
#![expect(clippy::unwrap_used, reason = "helpers of tests are no tests to the linter")]

mod errors;
mod shell;
mod tampering;
mod verbs;

use shell::Shell;

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_not_there_is_not_made() {
    let shell = Shell::new();
    let said = shell.run(&["runs"]);
    let path = shell.path();
    assert_eq!(said.code, 1);
    assert_eq!(
        said.err,
        format!("error: there is no store at {}: $TOWPATH_STORE says so: check the path\n", path.display())
    );
    assert!(!path.exists());
}

#[test]
fn a_wrong_command_line_is_told_from_what_failed() {
    let shell = Shell::new();
    for args in [&["runz"][..], &["show"], &["abandon", "k"], &["runs", "--store", "postgres://x"]] {
        assert_eq!(shell.run(args).code, 2, "{args:?}");
    }
    let said = shell.run(&["--help"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    assert!(said.out.contains("Exit codes: 0 all is well;"), "{}", said.out);
    let said = shell.run(&["tick", "--help"]);
    assert!(said.out.contains("10 something is parked"), "{}", said.out);
    assert!(shell.run(&["--version"]).out.starts_with("towpath 0."));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_no_store_is_refused() {
    let shell = Shell::new();
    std::fs::write(shell.path(), "a letter to my aunt, who lives by the canal").unwrap();
    let said = shell.run(&["runs"]);
    assert_eq!(said.code, 1);
    assert!(said.err.starts_with("error: open the store: "), "{}", said.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_are_looked_at_without_their_kinds() {
    let shell = Shell::new();
    shell.settled("release@4f2c").await;
    shell.resting("release@9a1b").await;
    let said = shell.run(&["runs"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    let lines: Vec<&str> = said.out.lines().collect();
    assert_eq!(lines.len(), 3, "{}", said.out);
    assert!(lines[0].starts_with("RUN ") && lines[1].contains("release@9a1b  stuck"), "{}", said.out);
    assert!(lines[2].contains("release@4f2c  succeeded"), "{}", said.out);

    let shown = shell.json(&["show", "release@4f2c"]);
    assert_eq!(shown["steps"][0]["output"]["inline"], "image-of-4f2c");
    assert_eq!(shown["outcome"]["succeeded"]["output"]["inline"], "image-of-4f2c");
    let journal = shell.run(&["journal", "release@4f2c", "--json"]);
    assert_eq!(journal.out.lines().count(), 4, "{}", journal.out);
    assert!(shell.run(&["explain", "release@9a1b"]).out.contains("towpath retry "));
    assert_eq!(shell.run(&["verify", "--all"]).code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_is_told_the_store_tells_it_on() {
    let shell = Shell::new();
    shell.resting("release@9a1b").await;
    let url = format!("sqlite:{}", shell.path().display());
    let said = shell.run(&["explain", "release@9a1b", "--store", &url]);
    assert!(said.out.contains(&format!("towpath --store {url} retry ")), "{}", said.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stock_command_drives_nothing_that_it_does_not_know() {
    let shell = Shell::new();
    shell.fresh("release@4f2c").await;
    let said = shell.run(&["tick"]);
    assert_eq!(said.code, 10, "{}{}", said.out, said.err);
    assert!(
        said.out.contains("this is the stock command, which holds the stock kinds alone"),
        "{}",
        said.out
    );
    let blocked = shell.json(&["runs", "--status", "blocked"]);
    assert_eq!(blocked["key"], "release@4f2c");
}
