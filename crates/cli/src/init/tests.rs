use super::{
    detect::{Role, detect},
    repo::Repo,
    write::Deploy,
};
use std::fmt::Write;

/// What is proposed for a repository with these files, one step a line.
fn proposed<const N: usize>(files: [(&str, &str); N]) -> String {
    let mut text = String::new();
    for step in detect(&files.into()).steps {
        let mark = if step.is_repeatable { "" } else { " (asks)" };
        writeln!(text, "{}: {}{mark}", step.role.id(), step.command).unwrap();
    }
    text
}

const DEPLOYMENT: &str = "apiVersion: apps/v1\nkind: Deployment\n";

#[test]
fn what_stands_in_a_repository_says_how_it_is_built_and_deployed() {
    for (found, steps) in [
        (proposed([]), ""),
        (proposed([("README.md", "")]), ""),
        (
            proposed([("Cargo.toml", "[package]"), ("Dockerfile", "")]),
            "test: cargo test\nbuild: cargo build --release\nimage: docker build -t NAME:$COMMIT .\n",
        ),
        (
            proposed([("Cargo.toml", "sqlx = \"0.9\""), ("migrations/1.sql", "")]),
            "test: cargo test\nbuild: cargo build --release\nmigrate: sqlx migrate run\n",
        ),
        (proposed([("package.json", r#"{"scripts":{"test":"x"}}"#)]), "test: npm run test\n"),
        (
            proposed([("package.json", r#"{"scripts":{"build":"x","deploy":"y"}}"#), ("yarn.lock", "")]),
            "build: yarn run build\ndeploy: yarn run deploy (asks)\n",
        ),
        (proposed([("package.json", "not json")]), ""),
        (proposed([("pyproject.toml", "pytest"), ("uv.lock", "")]), "test: uv run pytest\n"),
        (
            proposed([("pyproject.toml", "pytest"), ("alembic.ini", "")]),
            "test: python -m pytest\nmigrate: alembic upgrade head\n",
        ),
        (proposed([("manage.py", "")]), "migrate: python manage.py migrate --noinput\n"),
        (proposed([("prisma/schema.prisma", "")]), "migrate: npx prisma migrate deploy\n"),
        (proposed([("go.mod", "")]), "test: go test ./...\nbuild: go build ./...\n"),
        // What people wrote for the purpose comes first.
        (
            proposed([("Makefile", "test:\n\tx\ndeploy: build\n"), ("go.mod", ""), ("compose.yaml", "")]),
            "test: make test\nbuild: go build ./...\ndeploy: make deploy (asks)\n",
        ),
        (proposed([("Makefile", "tests:\n\t# test: no\n")]), ""),
        (
            proposed([("docker-compose.yml", "")]),
            "deploy: docker compose -f docker-compose.yml up --detach --wait\n",
        ),
        (proposed([("k8s/app.yaml", DEPLOYMENT)]), "deploy: kubectl apply -f k8s\n"),
        (proposed([("k8s/app.yaml", "kind: Service")]), ""),
        (
            proposed([("k8s/base/kustomization.yaml", ""), ("k8s/prod/kustomization.yaml", "")]),
            "deploy: kubectl apply -k k8s/prod\n",
        ),
        (
            proposed([("chart/Chart.yaml", ""), ("chart/templates/app.yaml", DEPLOYMENT)]),
            "deploy: helm upgrade --install NAME chart --wait\n",
        ),
        (
            proposed([("services/checkout/Dockerfile", "")]),
            "image: docker build -t NAME:$COMMIT services/checkout\n",
        ),
        (proposed([(".github/workflows/ci.yml", ""), (".gitlab-ci.yml", "")]), ""),
    ] {
        assert_eq!(found, steps);
    }
}

#[test]
fn what_was_found_and_what_was_not_is_told() {
    let proposal =
        detect(&Repo::from([(".github/workflows/ci.yml", ""), ("Dockerfile", ""), ("db/migrate/1.rb", "")]));
    let found: Vec<&str> = proposal.found.iter().map(|part| part.at.as_str()).collect();
    assert_eq!(found, ["Dockerfile", "db/migrate/", ".github/workflows/ci.yml"]);
    assert_eq!(proposal.missing(), ["test", "build", "migrate", "deploy"]);
}

#[test]
fn the_pipeline_is_short_and_in_order() {
    let mut proposal = detect(&[("Dockerfile", ""), ("go.mod", ""), ("alembic.ini", "")].into());
    proposal.deploy("./deploy.sh \"$COMMIT\"", false);
    assert!(!proposal.steps.iter().any(|s| s.role == Role::Deploy && s.is_repeatable));
    let deploy = Deploy { name: "shop", proposal: &proposal, url: "https://shop.example/health", at: None };
    let main = r#"//! How shop is deployed. The commands run in the folder in which this one is called.

use std::process::ExitCode;
use towpath::{prelude::*, stock};
use towpath_cli::App;

/// What is built from a commit is approved, deployed, and looked at.
fn pipeline() -> Result<Pipeline, PlanErrors> {
    let p = Pipeline::new("shop");
    let commit = p.param::<String>("commit");
    let test = p.step("test", Command::new(["go", "test", "./..."]).no_effect());
    let build = p.step("build", Command::new(["go", "build", "./..."]).idempotent()).keep().after(&test);
    let image = p.step("image", Command::shell("docker build -t shop:$COMMIT .").env("COMMIT", &commit).idempotent()).keep().after(&build);
    let approve = p.step("approve", Approval::of(&commit).expires(hours(24))).after(&image);
    p.holding("production", |p| {
        let migrate = p.step("migrate", Command::new(["alembic", "upgrade", "head"]).idempotent()).keep().after(&approve);
        let deploy = p.step("deploy", Command::shell("./deploy.sh \"$COMMIT\"").env("COMMIT", &commit)).after(&migrate);
        p.step("check", HttpCheck::get("https://shop.example/health").until(minutes(5))).after(&deploy);
    });
    p.build()
}

fn main() -> ExitCode {
    towpath_cli::main(App::new(|engine| Ok(engine.steps(stock::steps()).pipelines([pipeline()?]))))
}
"#;
    assert_eq!(deploy.main(), main);
    assert_eq!(deploy.ids(), ["test", "build", "image", "approve", "migrate", "deploy", "check"]);
    let main = Deploy { url: "", ..deploy }.main();
    let end = "        p.step(\"deploy\", Command::shell(\"./deploy.sh \\\"$COMMIT\\\"\").env(\"COMMIT\", &commit)).after(&migrate);
        // Nothing says what answers once it is deployed. When something does, call the step above `deploy`, and ask it:
        // p.step(\"check\", HttpCheck::get(\"https://…\").until(minutes(5))).after(&deploy);
    });
";
    assert!(main.contains(end), "{main}");
}
