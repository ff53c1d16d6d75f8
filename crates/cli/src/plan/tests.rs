use crate::{
    App,
    app::run_on,
    fixture::{World, after, effect, json, record, step},
};
use std::collections::BTreeMap;
use towpath::{
    model::{FailureKind, SavedPlan, StepRecord},
    prelude::*,
};

#[step("shop.build/v1", idempotent)]
async fn build(_cx: &StepContext, commit: String) -> Result<String, StepError> {
    Ok(commit)
}

async fn would_deploy(_cx: &StepContext, image: String) -> Result<Vec<Change>, StepError> {
    Ok(vec![Change::update("what is live").to(&image)])
}

#[step("shop.deploy/v1", idempotent, preview = would_deploy)]
async fn deploy(_cx: &StepContext, image: String) -> Result<(), StepError> {
    let _ = image;
    Ok(())
}

/// A command that holds a pipeline.
fn app() -> App {
    App::new(|engine| {
        let p = Pipeline::new("checkout");
        let image = p.step("build", build::of(&p.param::<String>("commit")));
        p.step("deploy", deploy::of(&image));
        Ok(engine.steps(steps![build, deploy]).pipelines([p.build()?]))
    })
}

/// Two plans in files, and what keeps them.
fn files() -> (tempfile::TempDir, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let gate = StepRecord { kind: "shop.gate/v1".parse().unwrap(), ..after("build", step("gate")) };
    let write = |name: &str, steps| {
        let path = folder.path().join(name);
        let values = BTreeMap::from([("commit".to_owned(), json("\"4f2c\""))]);
        let saved = SavedPlan::of(record("checkout", steps), values).unwrap();
        std::fs::write(&path, saved.encode().unwrap()).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let old = write("old.json", vec![effect("build"), after("build", effect("deploy"))]);
    let new = write("new.json", vec![effect("build"), gate, after("gate", effect("deploy"))]);
    (folder, old, new)
}

async fn ok(app: App, args: &str) -> String {
    let (code, out, err) = run_on(app, args).await;
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    out
}

#[tokio::test]
async fn a_plan_in_a_file_is_drawn_without_a_store() {
    let (_folder, old, _) = files();
    let shown = "\
checkout
  pipeline  7a5b5bff5b2d
  plan      bc1e8b54e8ee
  values    commit=\"4f2c\"
  limits    8 at once

1   build   demo.step/v1
2   deploy  demo.step/v1 · after build
";
    let said = ok(App::stock(), &format!("plan {old}")).await;
    assert_eq!(said.lines().skip(3).collect::<Vec<_>>(), shown.lines().skip(3).collect::<Vec<_>>());
    assert_eq!(ok(App::stock(), &format!("plan {old} --tree")).await, said);
    assert!(ok(App::stock(), &format!("plan {old} --mermaid")).await.starts_with("flowchart TD\n"));
    assert!(ok(App::stock(), &format!("plan {old} --dot")).await.starts_with("digraph "));
    assert!(ok(App::stock(), &format!("plan {old} --svg")).await.starts_with("<svg "));
    let (code, _, err) = run_on(App::stock(), &format!("plan {old} --svg --json")).await;
    assert_eq!((code, err.as_str()), (2, "{\"error\":\"a picture is no JSON: leave --json out\"}\n"));
}

#[tokio::test]
async fn what_is_written_as_json_is_read_as_a_file() {
    let (folder, old, _) = files();
    let again = folder.path().join("again.json");
    std::fs::write(&again, ok(App::stock(), &format!("plan {old} --json")).await).unwrap();
    let again = again.to_str().unwrap();
    assert_eq!(
        ok(App::stock(), &format!("plan {again}")).await,
        ok(App::stock(), &format!("plan {old}")).await
    );
    std::fs::write(again, std::fs::read_to_string(again).unwrap().replace("4f2c", "9a1b")).unwrap();
    let (code, _, err) = run_on(App::stock(), &format!("plan {again}")).await;
    assert_eq!(code, 1);
    assert!(err.contains("the plan was changed after it was saved"), "{err}");
}

#[tokio::test]
async fn two_plans_are_compared() {
    let (_folder, old, new) = files();
    let said = ok(App::stock(), &format!("plan {old} --diff {new}")).await;
    let steps = said.split_once("\n\n").unwrap().1;
    let want = "  \
  + gate  shop.gate/v1
      + after build
  ~ deploy  demo.step/v1
      - after build
      + after gate

1 to add, 1 to change, 0 to remove
";
    assert_eq!(steps, want);
    let found: serde_json::Value =
        serde_json::from_str(&ok(App::stock(), &format!("plan {old} --diff {new} --json")).await).unwrap();
    assert_eq!(found["steps"][0]["what"], "added");
    assert_ne!(found["from"]["plan_hash"], found["to"]["plan_hash"]);
}

#[tokio::test]
async fn lint_ends_with_one_when_there_is_an_error() {
    let (_folder, old, _) = files();
    let (code, out, err) = run_on(App::stock(), &format!("plan {old} --lint")).await;
    assert_eq!((code, err.as_str()), (1, ""));
    let want = "\
error: step deploy: it deploys and no gate is before it [ungated-production]
    put an approval or another gate before it, by reading it or by `after`
warning: step deploy: nothing after it looks whether what it deployed is well [no-health-check]
    put a smoke test, a health check or an analysis after it
warning: step deploy: another run may change the same at the same time [unlocked-production]
    place it in the scope of a lock: `p.holding(…)`
hint: step build: it has an effect and no time limit, and the run has no deadline [no-time-limit]
    give it `timeout` or `within`, or the run a deadline
hint: step deploy: it has an effect and no time limit, and the run has no deadline [no-time-limit]
    give it `timeout` or `within`, or the run a deadline
1 error, 2 warnings, 2 hints
";
    assert_eq!(out, want);
    let allowed = "--lint --allow ungated-production:deploy --allow no-time-limit --allow no-health-check \
                   --allow unlocked-production";
    assert_eq!(ok(App::stock(), &format!("plan {old} {allowed}")).await, "nothing is doubtful\n");
    let (code, out, _) = run_on(App::stock(), &format!("plan {old} --lint --json")).await;
    let found: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &found[0]["rule"]), (1, &"ungated-production".into()));
    let (code, _, err) = run_on(App::stock(), &format!("plan {old} --lint --allow no-such")).await;
    assert_eq!(code, 2);
    assert!(err.contains("\"no-such\" is no rule: want one of"), "{err}");
}

#[tokio::test]
async fn a_pipeline_is_drawn_by_its_name() {
    let said = ok(app(), "plan checkout").await;
    assert!(said.contains("takes     commit") && !said.contains("plan    "), "{said}");
    let said = ok(app(), "plan checkout --param commit=4f2c").await;
    assert!(said.contains("values    commit=\"4f2c\"") && said.contains("plan    "), "{said}");
    let (code, _, err) = run_on(app(), "plan checkout --param comit=4f2c").await;
    assert_eq!(code, 2);
    assert!(err.contains("comit"), "{err}");
    // What it is can be compared with what was saved of it.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkout.json");
    std::fs::write(&path, ok(app(), "plan checkout --param commit=4f2c --json").await).unwrap();
    let args = format!("plan {} --diff checkout --param commit=4f2c", path.display());
    assert!(ok(app(), &args).await.contains("no difference"));
}

#[tokio::test]
async fn a_run_is_laid_over_its_plan() {
    let mut world = World::new().await;
    let steps = vec![step("build"), after("build", step("scan")), after("scan", step("smoke"))];
    let mut run = world.start("checkout", "k", steps).await;
    run.later(75).await;
    run.done("build", "null").await;
    run.failed("scan", FailureKind::Transient, "no answer").await;
    run.later(40).await;
    run.release().await;
    let said = world.ok("plan k").await;
    let want = "
1   ✓ build  done in 1 min 15 s · demo.step/v1 · cannot be undone
2   ▸ scan   running for 40 s, attempt 2 · demo.step/v1 · after build
             cannot be undone
3   · smoke  waiting · demo.step/v1 · after scan · cannot be undone
";
    assert!(said.ends_with(want), "{said}");
    let (code, _, err) = world.run("plan nowhere").await;
    assert_eq!(code, 1);
    assert!(err.contains("nowhere"), "{err}");
}

#[tokio::test]
async fn an_estimate_is_made_of_past_runs() {
    let mut world = World::new().await;
    let steps = || vec![step("build"), after("build", step("approve")), after("approve", step("smoke"))];
    for n in 1..=3 {
        let mut run = world.start("checkout", &format!("k{n}"), steps()).await;
        run.later(60 * n).await;
        run.done("build", "null").await;
        run.wait("approve", "decision", Some("approval"), Some(600)).await;
        run.later(600).await;
        run.later(5).await;
        run.done("approve", "null").await;
        run.later(10).await;
        run.done("smoke", "null").await;
    }
    // Another pipeline tells nothing of this one.
    world.start("other", "o", steps()).await.done("build", "null").await;
    let said = world.ok("plan k1 --estimate").await;
    let want = "  \
  by        3 past runs
  median    12 min 15 s: 2 min 15 s of work, 10 min waiting for people
  p90       13 min 15 s: 3 min 15 s of work, 10 min waiting for people
  critical  build 2 min, approve 10 min 5 s, smoke 10 s
  effects   build, approve, smoke
  left      build, approve, smoke
";
    assert_eq!(said, want);
    let said = world.ok("plan k1 --estimate --last 1 --json").await;
    let found: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&found["runs"], &found["critical"][0]["work_ms"]), (&1.into(), &180_000.into()));
}

#[tokio::test]
async fn what_is_no_plan_says_what_was_looked_for() {
    let (code, _, err) = run_on(App::stock(), "plan no/such.json --store sqlite:no/such.db").await;
    assert_eq!((code, err.as_str()), (1, "error: there is no file no/such.json\n"));
    let (code, _, err) = run_on(App::stock(), "plan checkout --store sqlite:no/such.db").await;
    assert_eq!(code, 1);
    assert!(
        err.starts_with(
            "error: \"checkout\" is no file and no pipeline of this command, and there is no store"
        ),
        "{err}"
    );
}

#[tokio::test]
async fn a_plan_is_ejected_as_a_script() {
    let (_folder, old, _) = files();
    let said = ok(App::stock(), &format!("eject {old}")).await;
    assert!(said.starts_with("#!/usr/bin/env bash\n# checkout: ejected from plan "), "{said}");
    assert!(said.contains("# What is lost by running this instead of the plan:"), "{said}");
    let json: serde_json::Value =
        serde_json::from_str(&ok(App::stock(), &format!("eject {old} --json")).await).unwrap();
    assert_eq!(json["script"], said);
}

/// The rules read what stock steps really store.
#[cfg(unix)]
#[tokio::test]
async fn lint_finds_what_is_wrong_with_stock_steps_and_nothing_in_right_ones() {
    use towpath::stock::Command;
    let found = async |place: fn(&towpath::Draft, &Handle<String>)| {
        let p = Pipeline::new("shop");
        let commit = p.param::<String>("commit");
        place(&p, &commit);
        let plan = p.build().unwrap().with(params! { commit: "4f2c" }).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("plan.json");
        plan.save(&file).unwrap();
        let (_, out, _) = run_on(App::stock(), &format!("plan {} --lint --json", file.display())).await;
        let findings: Vec<serde_json::Value> = out
            .lines()
            .flat_map(|line| match serde_json::from_str(line).unwrap() {
                serde_json::Value::Array(all) => all,
                one => vec![one],
            })
            .collect();
        let told =
            |finding: &serde_json::Value| format!("{} {}", finding["rule"], finding["step"]).replace('"', "");
        findings.iter().map(told).collect::<Vec<_>>().join("\n")
    };
    let wrong = found(|p, commit| {
        p.step("shell", Command::shell(text!("./build {commit}")).idempotent());
        p.step("secret", Command::new(["push"]).env("API_TOKEN", "hunter2hunter2").idempotent());
        p.step("image", Command::new(["docker", "run", "registry.example/shop:latest"]).idempotent());
        p.step("http", Command::new(["curl", "http://shop.example/"]).no_effect());
    })
    .await;
    for what in ["shell-interpolation shell", "plain-secret secret", "mutable-tag image", "plain-http http"] {
        assert!(wrong.lines().any(|line| line == what), "{what}: {wrong}");
    }
    let right = found(|p, commit| {
        let secret = SecretRef::named("api-token");
        p.step(
            "shell",
            Command::shell("./build \"$1\"").arg(commit).secret_env("API_TOKEN", secret).idempotent(),
        );
        p.step("image", Command::new(["docker", "run", "registry.example/shop@sha256:4f2c"]).idempotent());
    })
    .await;
    for rule in ["shell-interpolation", "plain-secret", "mutable-tag", "plain-http"] {
        assert!(!right.contains(rule), "{rule}: {right}");
    }
}

/// What stock steps store is what the script is made of: not one of these has to be done by hand.
#[cfg(unix)]
#[tokio::test]
async fn stock_steps_are_ejected_as_commands_that_run() {
    use towpath::stock::{Approval, Argv, Command};
    let p = Pipeline::new("shop");
    let commit = p.param::<String>("commit");
    let build = p.step("build", Command::shell("printf 'shop-%s' \"$1\"").arg(&commit).no_effect());
    let yes = p.step("approve", Approval::of(&build.stdout));
    let copy = Command::new(["cp", "/dev/null", "live"]).idempotent().undo(Argv::new("rm").arg("live"));
    let live = p.step("deploy", copy.env("COMMIT", &yes.value)).after(&yes);
    p.step(
        "tell",
        Command::shell("echo \"$1 is live\" > told; ls >> told; exit 3").arg(&yes.value).no_effect(),
    )
    .after(&live);
    let plan = p.build().unwrap().with(params! { commit: "4f2c" }).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plan.json");
    plan.save(&file).unwrap();
    let said = ok(App::stock(), &format!("eject {}", file.display())).await;
    assert!(!said.contains("  by_hand "), "{said}");
    let mut bash = std::process::Command::new("bash");
    bash.args(["-c", &said]).current_dir(folder.path());
    bash.stdin(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut bash = bash.spawn().unwrap();
    std::io::Write::write_all(&mut bash.stdin.take().unwrap(), b"yes\n").unwrap();
    let output = bash.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
    let told = std::fs::read_to_string(folder.path().join("told")).unwrap();
    assert_eq!(told, "shop-4f2c is live\nlive\nplan.json\ntold\n");
    assert!(!folder.path().join("live").exists(), "what was deployed is undone");
}

#[tokio::test]
async fn a_preview_asks_the_steps_and_needs_values() {
    let shown = ok(app(), "plan checkout --preview --param commit=4f2c").await;
    assert_eq!(
        shown,
        "build (shop.build/v1)\n  ? what build does (the kind shop.build/v1 tells nothing before it runs)\n\
         deploy (shop.deploy/v1)\n  ? what deploy does (shop.deploy/v1) (it hangs on steps that have not run)\n\
         0 to create, 0 to update, 0 to delete, 2 cannot be told before the run\n"
    );
    let json = ok(app(), "plan checkout --preview --param commit=4f2c --json").await;
    let preview: PlanPreview = serde_json::from_str(&json).unwrap();
    assert_eq!(preview.steps.len(), 2);
    let (code, _, err) = run_on(app(), "plan checkout --preview").await;
    assert!(code == 2 && err.contains("a pipeline with its values"), "{err}");
    let (_folder, old, _) = files();
    let (code, _, err) = run_on(App::stock(), &format!("plan {old} --preview")).await;
    assert!(code == 1 && err.contains("is not known here"), "{err}");
}

#[tokio::test]
async fn schemas_are_those_of_pipelines_kinds_and_what_is_stored() {
    let read = |text: String| serde_json::from_str::<serde_json::Value>(&text).unwrap();
    let params = read(ok(app(), "schema checkout").await);
    assert_eq!(params["properties"]["commit"], serde_json::json!({"type": "string"}));
    let kind = read(ok(app(), "schema shop.deploy/v1 --json").await);
    assert_eq!(kind["properties"]["with"]["properties"]["image"], serde_json::json!({"type": "string"}));
    assert!(read(ok(App::stock(), "schema events").await).is_object());
    assert!(read(ok(App::stock(), "schema plan").await).is_object());
    let (code, _, err) = run_on(app(), "schema checkuot").await;
    assert!(code == 1 && err.contains("there are events, plan, checkout, shop.build/v1"), "{err}");
}
