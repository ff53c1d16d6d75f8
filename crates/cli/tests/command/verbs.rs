//! What is sent to a run by one process and answered by another.

use crate::shell::Shell;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_in_another_process_answers() {
    let shell = Shell::new();
    shell.resting("k").await;
    let engine = shell.engine(true).await;
    let said = shell.run_beside(&["handback", "k", "--wait", "60"]).await;
    assert_eq!(said.code, 1, "{}{}", said.out, said.err);
    assert!(said.out.starts_with("handback refused: nobody took ask over"), "{}", said.out);
    let said = shell.run_beside(&["skip", "k", "--reason", "not today", "--wait", "60"]).await;
    assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (0, "skip accepted\n", ""));
    engine.shutdown().await.unwrap();
    assert_eq!(shell.json(&["show", "k"])["outcome"], serde_json::json!({"succeeded": {}}));
    let journal = shell.run(&["journal", "k"]).out;
    let me = towpath::os_user();
    assert!(journal.contains(&format!("skip by {me} (not today) accepted")), "{journal}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_answers_is_taken_up_later() {
    let shell = Shell::new();
    shell.fresh("k").await;
    let said = shell.run(&["approve", "k", "approve", "--id", "one", "--wait", "1"]);
    assert_eq!(said.code, 3, "{}{}", said.out, said.err);
    assert!(
        said.out.starts_with("approve approve not answered yet: no worker drives the run"),
        "{}",
        said.out
    );
    let engine = shell.engine(false).await;
    let report = engine.drive(towpath::engine::Until::Parked, Some(Duration::from_secs(60))).await.unwrap();
    assert_eq!(report.succeeded, 1, "{report:?}");
    engine.shutdown().await.unwrap();
    // Sent again with its id, it finds the answer that came meanwhile.
    let answer = shell.json(&["approve", "k", "approve", "--id", "one"]);
    assert_eq!((&answer["answer"], &answer["about"]), (&"accepted".into(), &"approve goes on".into()));
    let said = shell.run(&["pause", "k"]);
    assert_eq!((said.code, said.out.as_str()), (1, "pause refused: the run has settled: succeeded\n"));
}
