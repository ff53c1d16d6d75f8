//! What a repository says of how it is built and deployed: a pure function of its files.

use super::repo::Repo;
use serde::Serialize;

/// What a step of the pipeline is there for, in the order of the pipeline.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Role {
    Test,
    Build,
    Image,
    Migrate,
    Deploy,
}

impl Role {
    pub(crate) const ALL: [Role; 5] = [Role::Test, Role::Build, Role::Image, Role::Migrate, Role::Deploy];

    /// The id of its step.
    pub(crate) fn id(self) -> &'static str {
        match self {
            Role::Test => "test",
            Role::Build => "build",
            Role::Image => "image",
            Role::Migrate => "migrate",
            Role::Deploy => "deploy",
        }
    }
}

/// Something that was found.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct Part {
    pub(crate) what: &'static str,
    pub(crate) at: String,
}

/// A step that the pipeline is to have.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Proposed {
    pub(crate) role: Role,
    /// As a shell reads it; `NAME` stands for the pipeline's name and `$COMMIT` for what is deployed.
    pub(crate) command: String,
    /// Whether repeating it does no harm, as far as is known.
    pub(crate) is_repeatable: bool,
}

/// What was found, and the steps that follow from it.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Proposal {
    pub(crate) found: Vec<Part>,
    pub(crate) steps: Vec<Proposed>,
}

impl Proposal {
    /// The command of a role.
    pub(crate) fn command(&self, role: Role) -> Option<String> {
        self.steps.iter().find(|s| s.role == role).map(|s| s.command.clone())
    }

    /// Has this command deploy. What the user says is not known to be repeatable.
    pub(crate) fn deploy(&mut self, command: &str, is_found: bool) {
        if is_found {
            return;
        }
        self.steps.retain(|s| s.role != Role::Deploy);
        self.propose(Role::Deploy, command, false);
    }

    /// What nothing was found for.
    pub(crate) fn missing(&self) -> Vec<&'static str> {
        let missing = Role::ALL.into_iter().filter(|role| self.command(*role).is_none());
        missing.map(Role::id).collect()
    }

    fn found(&mut self, what: &'static str, at: &str) {
        self.found.push(Part { what, at: at.to_owned() });
    }

    /// The first proposal for a role is kept: what people wrote for the purpose is looked for first.
    fn propose(&mut self, role: Role, command: impl Into<String>, is_repeatable: bool) {
        if self.command(role).is_none() {
            self.steps.push(Proposed { role, command: command.into(), is_repeatable });
            self.steps.sort_by_key(|s| s.role);
        }
    }
}

/// Looks through a repository.
pub(crate) fn detect(repo: &Repo) -> Proposal {
    let mut proposal = Proposal::default();
    makefile(repo, &mut proposal);
    cargo(repo, &mut proposal);
    node(repo, &mut proposal);
    python(repo, &mut proposal);
    go(repo, &mut proposal);
    image(repo, &mut proposal);
    migrations(repo, &mut proposal);
    cluster(repo, &mut proposal);
    compose(repo, &mut proposal);
    ci(repo, &mut proposal);
    proposal
}

/// Targets of a Makefile that are called as a role is.
fn makefile(repo: &Repo, proposal: &mut Proposal) {
    let Some(text) = repo.root("Makefile") else { return };
    proposal.found("a Makefile", "Makefile");
    let is_target = |name: &str| {
        text.lines()
            .any(|line| line.strip_prefix(name).is_some_and(|rest| rest.trim_start().starts_with(':')))
    };
    for role in Role::ALL.into_iter().filter(|role| is_target(role.id())) {
        proposal.propose(role, format!("make {}", role.id()), matches!(role, Role::Test | Role::Build));
    }
}

fn cargo(repo: &Repo, proposal: &mut Proposal) {
    let Some(text) = repo.root("Cargo.toml") else { return };
    proposal.found("a Rust package", "Cargo.toml");
    proposal.propose(Role::Test, "cargo test", true);
    proposal.propose(Role::Build, "cargo build --release", true);
    if text.contains("sqlx") && repo.named("migrations").next().is_none() && has_folder(repo, "migrations") {
        proposal.propose(Role::Migrate, "sqlx migrate run", true);
    }
}

fn node(repo: &Repo, proposal: &mut Proposal) {
    let Some(text) = repo.root("package.json") else { return };
    proposal.found("a Node package", "package.json");
    let package: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    let tool = match () {
        () if repo.root("pnpm-lock.yaml").is_some() => "pnpm",
        () if repo.root("yarn.lock").is_some() => "yarn",
        () => "npm",
    };
    for role in [Role::Test, Role::Build, Role::Migrate, Role::Deploy] {
        if package["scripts"][role.id()].is_string() {
            let is_repeatable = matches!(role, Role::Test | Role::Build);
            proposal.propose(role, format!("{tool} run {}", role.id()), is_repeatable);
        }
    }
}

fn python(repo: &Repo, proposal: &mut Proposal) {
    let Some(text) = repo.root("pyproject.toml") else { return };
    proposal.found("a Python project", "pyproject.toml");
    let run = if repo.root("uv.lock").is_some() { "uv run " } else { "python -m " };
    if text.contains("pytest") {
        proposal.propose(Role::Test, format!("{run}pytest"), true);
    }
}

fn go(repo: &Repo, proposal: &mut Proposal) {
    if repo.root("go.mod").is_none() {
        return;
    }
    proposal.found("a Go module", "go.mod");
    proposal.propose(Role::Test, "go test ./...", true);
    proposal.propose(Role::Build, "go build ./...", true);
}

fn image(repo: &Repo, proposal: &mut Proposal) {
    let Some((path, _)) = repo.named("Dockerfile").next() else { return };
    proposal.found("a Dockerfile", path);
    proposal.propose(Role::Image, format!("docker build -t NAME:$COMMIT {}", folder(path)), true);
}

fn migrations(repo: &Repo, proposal: &mut Proposal) {
    for (file, command) in [
        ("alembic.ini", "alembic upgrade head"),
        ("manage.py", "python manage.py migrate --noinput"),
        ("schema.prisma", "npx prisma migrate deploy"),
        ("flyway.toml", "flyway migrate"),
        ("diesel.toml", "diesel migration run"),
    ] {
        if let Some((path, _)) = repo.named(file).next() {
            proposal.found("migrations", path);
            proposal.propose(Role::Migrate, command, true);
            return;
        }
    }
    for folder in ["migrations", "db/migrate"] {
        if has_folder(repo, folder) {
            proposal.found("migrations", &format!("{folder}/"));
        }
    }
}

fn cluster(repo: &Repo, proposal: &mut Proposal) {
    if let Some((path, _)) = repo.named("Chart.yaml").next() {
        proposal.found("a Helm chart", path);
        let command = format!("helm upgrade --install NAME {} --wait", folder(path));
        proposal.propose(Role::Deploy, command, true);
    }
    // An overlay is what is applied; a base is what it stands on.
    let kustomizations: Vec<&str> = ["kustomization.yaml", "kustomization.yml"]
        .into_iter()
        .flat_map(|name| repo.named(name))
        .map(|(path, _)| path)
        .collect();
    let overlay = kustomizations.iter().find(|path| path.contains("prod"));
    if let Some(path) = overlay.or(kustomizations.first()) {
        proposal.found("a kustomization", path);
        proposal.propose(Role::Deploy, format!("kubectl apply -k {}", folder(path)), true);
    }
    let is_manifest = |(path, says): &(&str, &str)| {
        !path.contains("templates/")
            && (path.ends_with(".yaml") || path.ends_with(".yml"))
            && says.lines().any(|l| l.trim_end() == "kind: Deployment")
    };
    if let Some((path, _)) = repo.iter().find(is_manifest) {
        proposal.found("Kubernetes manifests", path);
        proposal.propose(Role::Deploy, format!("kubectl apply -f {}", folder(path)), true);
    }
}

fn compose(repo: &Repo, proposal: &mut Proposal) {
    for name in ["compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"] {
        if repo.root(name).is_some() {
            proposal.found("a compose file", name);
            proposal.propose(Role::Deploy, format!("docker compose -f {name} up --detach --wait"), true);
        }
    }
}

fn ci(repo: &Repo, proposal: &mut Proposal) {
    let workflow = repo.iter().find(|(path, _)| path.starts_with(".github/workflows/"));
    if let Some((path, _)) = workflow {
        proposal.found("GitHub workflows, which can start the pipeline", path);
    }
    if repo.root(".gitlab-ci.yml").is_some() {
        proposal.found("a GitLab pipeline, which can start this one", ".gitlab-ci.yml");
    }
}

fn has_folder(repo: &Repo, folder: &str) -> bool {
    repo.iter().any(|(path, _)| path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/')))
}

/// The folder of a file.
fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or(".", |(folder, _)| folder)
}
