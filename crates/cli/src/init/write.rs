//! The files of a first pipeline.

use super::detect::{Proposal, Proposed, Role};
use std::{fs, io, path::Path};

/// What is written, and where to.
pub(crate) struct Deploy<'a> {
    pub(crate) name: &'a str,
    pub(crate) proposal: &'a Proposal,
    /// What answers when it is deployed; empty for nothing.
    pub(crate) url: &'a str,
    /// The folder of the library's crates, when they are not taken from a registry.
    pub(crate) at: Option<&'a Path>,
}

/// Steps that are placed one after another.
struct Placing<'a> {
    text: &'a mut String,
    before: Option<&'a str>,
    indent: &'static str,
}

impl<'a> Placing<'a> {
    fn step(&mut self, id: &'a str, step: &str, is_last: bool, is_kept: bool) {
        let after = self.before.map(|before| format!(".after(&{before})")).unwrap_or_default();
        let bound = if is_last { String::new() } else { format!("let {id} = ") };
        let kept = if is_kept { ".keep()" } else { "" };
        self.text.push_str(&format!("{}{bound}p.step({id:?}, {step}){kept}{after};\n", self.indent));
        self.before = Some(id);
    }
}

/// Whether what it made may stay when the run is undone: what was built harms nobody, and a schema stays expanded.
fn is_kept(step: &Proposed) -> bool {
    matches!(step.role, Role::Build | Role::Image | Role::Migrate)
}

/// The commands to begin with.
pub(crate) fn commands(name: &str) -> [String; 3] {
    let run = "cargo run --quiet --manifest-path deploy/Cargo.toml --";
    [
        format!("{run} start {name} --param commit=$(git rev-parse --short HEAD) --watch"),
        format!("{run} approve RUN approve"),
        format!("{run} explain RUN"),
    ]
}

impl Deploy<'_> {
    /// Writes the files into a folder that is not there, and gives their names.
    pub(crate) fn write(&self, folder: &Path) -> io::Result<Vec<String>> {
        fs::create_dir(folder)?;
        fs::create_dir(folder.join("src"))?;
        let files = [
            ("Cargo.toml", self.manifest()),
            ("src/main.rs", self.main()),
            ("README.md", self.readme()),
            (".gitignore", "/target\n".into()),
        ];
        let mut wrote = Vec::new();
        for (name, text) in files {
            fs::write(folder.join(name), text)?;
            wrote.push(format!("deploy/{name}"));
        }
        Ok(wrote)
    }

    /// The steps, in their order.
    pub(crate) fn ids(&self) -> Vec<&'static str> {
        let mut ids: Vec<&str> = self.proposal.steps.iter().map(|step| step.role.id()).collect();
        // Whatever changes what others use comes after the approval.
        let at = self.proposal.steps.iter().position(|step| step.role >= Role::Migrate);
        if let Some(at) = at {
            ids.insert(at, "approve");
        }
        ids.extend((!self.url.is_empty()).then_some("check"));
        ids
    }

    fn manifest(&self) -> String {
        let version = env!("CARGO_PKG_VERSION");
        let dependency = |name: &str, folder: &str, more: &str| match self.at {
            Some(at) => format!("{name} = {{ path = {:?}{more} }}\n", at.join(folder).display().to_string()),
            None => format!("{name} = {{ version = {version:?}{more} }}\n"),
        };
        format!(
            "[package]\nname = \"{}-deploy\"\nversion = \"0.1.0\"\nedition = \"2024\"\npublish = false\n\n\
             [dependencies]\n{}{}\n# A workspace of its own: building it touches nothing of the repository.\n[workspace]\n",
            self.name,
            dependency("towpath", "towpath", ", features = [\"http\"]"),
            dependency("towpath-cli", "cli", ""),
        )
    }

    /// The program: one pipeline, and the command that holds it.
    pub(crate) fn main(&self) -> String {
        let mut text = format!(
            "//! How {name} is deployed. The commands run in the folder in which this one is called.\n\n\
             use std::process::ExitCode;\n\
             use towpath::{{prelude::*, stock}};\n\
             use towpath_cli::App;\n\n\
             /// What is built from a commit is approved, deployed, and looked at.\n\
             fn pipeline() -> Result<Pipeline, PlanErrors> {{\n    let p = Pipeline::new({name:?});\n    \
             let commit = p.param::<String>(\"commit\");\n",
            name = self.name,
        );
        let mut placing = Placing { text: &mut text, before: None, indent: "    " };
        let is_checked = !self.url.is_empty();
        // Whatever changes what others use comes after the approval, and two runs do not do it at once.
        let (open, held): (Vec<&Proposed>, Vec<&Proposed>) =
            self.proposal.steps.iter().partition(|step| step.role < Role::Migrate);
        for step in open {
            placing.step(step.role.id(), &self.command(step), false, is_kept(step));
        }
        if !held.is_empty() {
            placing.step("approve", "Approval::of(&commit).expires(hours(24))", false, false);
            placing.text.push_str("    p.holding(\"production\", |p| {\n");
            placing.indent = "        ";
        }
        for (n, step) in held.iter().enumerate() {
            let is_last = n + 1 == held.len() && !is_checked;
            placing.step(step.role.id(), &self.command(step), is_last, is_kept(step));
        }
        if is_checked {
            placing.step("check", &format!("HttpCheck::get({:?}).until(minutes(5))", self.url), true, false);
        } else {
            let indent = placing.indent;
            placing.text.push_str(&format!(
                "{indent}// Nothing says what answers once it is deployed. When something does, call the step above `deploy`, and ask it:\n\
                 {indent}// p.step(\"check\", HttpCheck::get(\"https://…\").until(minutes(5))).after(&deploy);\n"
            ));
        }
        if !held.is_empty() {
            text.push_str("    });\n");
        }
        text.push_str(
            "    p.build()\n}\n\nfn main() -> ExitCode {\n    towpath_cli::main(App::new(|engine| \
             Ok(engine.steps(stock::steps()).pipelines([pipeline()?]))))\n}\n",
        );
        text
    }

    /// A step, as Rust.
    fn command(&self, step: &Proposed) -> String {
        let line = step.command.replace("NAME", self.name);
        // What a shell would take apart by more than spaces is left to it.
        let is_plain = line.chars().all(|c| c.is_ascii_alphanumeric() || " -_./:=,@+".contains(c));
        let mut text = if is_plain {
            let words: Vec<String> = line.split_whitespace().map(|word| format!("{word:?}")).collect();
            format!("Command::new([{}])", words.join(", "))
        } else {
            format!("Command::shell({line:?})")
        };
        // The command of the user may want to know it as well.
        if line.contains("$COMMIT") || step.role == Role::Deploy {
            text.push_str(".env(\"COMMIT\", &commit)");
        }
        // Of what is not known to be repeatable nothing is said: in doubt, an operator is asked.
        match (step.role, step.is_repeatable) {
            (Role::Test, _) => text.push_str(".no_effect()"),
            (_, true) => text.push_str(".idempotent()"),
            (_, false) => {}
        }
        text
    }

    fn readme(&self) -> String {
        let [start, approve, explain] = commands(self.name);
        format!(
            "# Deploying {name}\n\n\
             `src/main.rs` is the pipeline: read it, and change it. `towpath.db` holds the journals of its runs; keep it.\n\
             From the folder of the repository:\n\n\
             ```sh\n# start a run, and watch it\n{start}\n\n# say yes, from another terminal; RUN is the id that is shown\n\
             {approve}\n\n# why does it not move, and who can move it?\n{explain}\n```\n\n\
             A command of which the pipeline says neither `.no_effect()` nor `.idempotent()` is not repeated when its worker dies\n\
             within it: an operator is asked what became of it. Say `.idempotent()` when repeating it does no harm.\n",
            name = self.name,
        )
    }
}
