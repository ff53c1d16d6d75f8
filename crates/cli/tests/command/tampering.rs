//! Every way to tamper with a journal is found, and the event is named.

use crate::shell::Shell;

/// A journal of four events: the run started, its step started and was done, the run settled.
async fn journal() -> Shell {
    let shell = Shell::new();
    shell.settled("k").await;
    let said = shell.run(&["verify", "k"]);
    assert!(said.out.starts_with("verified 4 events, head "), "{}{}", said.out, said.err);
    shell
}

#[track_caller]
fn found(shell: &Shell, at: Option<u64>, fault: &str) {
    let said = shell.run(&["verify", "k"]);
    assert_eq!((said.code, said.err.as_str()), (1, ""), "{}", said.out);
    assert!(said.out.starts_with("not intact: ") && said.out.contains(fault), "{}", said.out);
    let verdict = shell.json(&["verify", "k"]);
    assert_eq!((&verdict["intact"], &verdict["at"]), (&false.into(), &at.into()), "{verdict}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_that_was_edited() {
    let shell = journal().await;
    shell.tamper("UPDATE events SET payload = CAST(replace(payload, '4f2c', '9a1b') AS BLOB) WHERE seq = 3");
    found(&shell, Some(3), "event 3: its payload was edited; the 2 events before are");
    let shown = shell.run(&["show", "k"]);
    assert!(
        shown.out.contains("its 4 events cannot be folded: event 3: its payload was changed"),
        "{}",
        shown.out
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_that_was_taken_away() {
    let shell = journal().await;
    shell.tamper("UPDATE events SET payload = NULL WHERE seq = 3");
    found(&shell, Some(3), "event 3: its payload is missing, and no event says that it was redacted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_that_was_edited() {
    let shell = journal().await;
    // The last byte of a header is that of its actor.
    shell.edit_header(3, |header| *header.last_mut().unwrap() ^= 1);
    found(&shell, Some(4), "event 4: it does not follow event 3: the header of one of them was edited");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_header_that_was_edited() {
    let shell = journal().await;
    shell.edit_header(4, |header| *header.last_mut().unwrap() ^= 1);
    found(&shell, Some(4), "event 4: its hash is ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_that_cannot_be_read() {
    let shell = journal().await;
    shell.edit_header(2, |header| header.truncate(10));
    found(&shell, Some(2), "event 2: read an event's header: it is too short");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_was_deleted() {
    for seq in 1..=4 {
        let shell = journal().await;
        shell.tamper(&format!("DELETE FROM events WHERE seq = {seq}"));
        found(&shell, Some(seq), &format!("event {seq}: it is missing"));
        let shown = shell.run(&["show", "k"]);
        assert!(shown.out.contains("its 4 events cannot be folded: read events: "), "{}", shown.out);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_was_deleted_and_the_gap_closed() {
    let shell = journal().await;
    shell.tamper(
        "UPDATE events SET prev_id = (SELECT prev_id FROM events WHERE seq = 3) WHERE seq = 4;
         DELETE FROM events WHERE seq = 3;
         UPDATE events SET seq = 3 WHERE seq = 4;
         UPDATE heads SET seq = 3;",
    );
    found(&shell, Some(3), "event 3: event 4 stands in its place: events were deleted or reordered");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_were_reordered() {
    let shell = journal().await;
    shell.tamper(
        "CREATE TEMP TABLE two AS SELECT 5 - seq AS place, header, payload FROM events WHERE seq IN (2, 3);
         UPDATE events SET header = (SELECT header FROM two WHERE place = seq),
                           payload = (SELECT payload FROM two WHERE place = seq) WHERE seq IN (2, 3);",
    );
    found(&shell, Some(2), "event 2: event 3 stands in its place");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_was_cut_off() {
    let shell = journal().await;
    shell.tamper(
        "UPDATE heads SET seq = 3, head_id = (SELECT id FROM events WHERE seq = 3);
         DELETE FROM events WHERE seq = 4;",
    );
    found(&shell, Some(3), "it was edited, or what came after it was cut off");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_was_changed_or_lost() {
    let shell = journal().await;
    shell.tamper("UPDATE blobs SET text = replace(text, 'demo.build/v1', 'demo.steal/v1')");
    found(&shell, None, "the plan's record was changed");
    shell.tamper("DELETE FROM blobs");
    found(&shell, None, "the plan's record is missing");
    // What is left can still be seen.
    let shown = shell.run(&["show", "k"]);
    assert_eq!(shown.code, 0);
    assert!(shown.out.contains("its 4 events cannot be folded: its plan cannot be read"), "{}", shown.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_listed_as_another() {
    let shell = journal().await;
    shell.tamper("UPDATE runs SET pipeline = 'other'");
    found(&shell, None, "the run is listed with the pipeline other, and its journal says release");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_broken_does_not_hide_the_others() {
    let shell = journal().await;
    shell.tamper("UPDATE events SET payload = CAST('{}' AS BLOB) WHERE seq = 3");
    shell.settled("other").await;
    let said = shell.run(&["verify", "--all"]);
    assert_eq!(said.code, 1);
    let lines: Vec<&str> = said.out.lines().collect();
    assert!(lines[0].contains("  other  verified 4 events"), "{}", said.out);
    assert!(lines[1].contains("  k  not intact: event 3"), "{}", said.out);
    assert_eq!(lines[2], "1 of 2 runs are not intact");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_is_not_intact_is_not_removed_for_an_archive() {
    let shell = journal().await;
    shell.tamper("UPDATE events SET payload = CAST('{}' AS BLOB) WHERE seq = 3");
    let archive = shell.folder().join("archive").display().to_string();
    let said = shell.run(&["retain", "--older-than", "0", "--archive", &archive]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(
        said.out.contains("is not intact: run") && said.out.contains("event 3: its payload"),
        "{}",
        said.out
    );
    assert!(said.out.ends_with("0 runs removed\n"), "{}", said.out);
    assert!(shell.run(&["runs"]).out.contains("  k  "));
    // Without an archive it goes all the same.
    let said = shell.run(&["retain", "--older-than", "0"]);
    assert!(said.out.ends_with("1 run removed\n"), "{}", said.out);
}
