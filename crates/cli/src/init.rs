//! `towpath init`: a first pipeline for a repository, made of what is found in it.

mod address;
mod detect;
mod repo;
mod write;

use crate::{
    cx::quoted,
    fault::Fault,
    out::{Out, Tone},
};
use detect::{Part, Role};
use repo::Repo;
use serde::Serialize;
use std::{
    io::{BufRead, IsTerminal},
    path::{Path, PathBuf},
};
use towpath::model::PipelineName;

const HELP: &str = "\
It reads what says how the repository is built and deployed, asks what it cannot know, and writes the folder deploy/: a
command with one pipeline, to be read and changed. It runs nothing and overwrites nothing.";

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Init {
    /// The repository
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// The pipeline's name [default: the folder's]
    #[arg(long)]
    name: Option<PipelineName>,
    /// The command that deploys, as a shell reads it [default: what is found]
    #[arg(long, value_name = "CMD")]
    deploy: Option<String>,
    /// What answers when it is deployed [default: what is found]
    #[arg(long)]
    url: Option<String>,
    /// Ask nothing: take what is given and found
    #[arg(long)]
    yes: bool,
    /// The crates of this library, in a folder instead of a registry
    #[arg(long, value_name = "FOLDER", hide = true)]
    towpath_path: Option<PathBuf>,
}

/// What was written, as JSON.
#[derive(Serialize)]
struct Line<'a> {
    name: &'a str,
    found: &'a [Part],
    missing: &'a [&'static str],
    steps: Vec<&'static str>,
    wrote: &'a [String],
    next: &'a [String],
}

/// Writes a first pipeline.
pub(crate) fn init(out: &mut Out, args: Init) -> Result<(), Fault> {
    let folder = args.folder.canonicalize().map_err(|e| {
        let folder = args.folder.display();
        Fault::usage(format!("{folder} cannot be opened: {e}: give the folder of the repository"))
    })?;
    let target = folder.join("deploy");
    if target.exists() {
        return Err(Fault::failed(format!(
            "{} is there already: nothing was written; move it away, or write the pipeline there by hand",
            target.display()
        )));
    }
    let repo = Repo::read(&folder).map_err(|e| failed("read", &folder, &e))?;
    let mut proposal = detect::detect(&repo);
    let is_asking = !args.yes && std::io::stdin().is_terminal();
    let mut ask = |question: &str, default: &str| -> Result<String, Fault> {
        if !is_asking {
            return Ok(default.to_owned());
        }
        answer(out, question, default)
    };
    let name = match args.name {
        Some(name) => name,
        None => named(&ask("name of the pipeline", &slug(&folder))?)?,
    };
    let found = proposal.command(Role::Deploy).unwrap_or_default().replace("NAME", name.as_str());
    let deploy = match args.deploy {
        Some(command) => command,
        None => ask("command that deploys", &found)?,
    };
    if deploy.is_empty() {
        return Err(Fault::usage(
            "nothing in the repository says how it is deployed: say it with --deploy CMD, such as --deploy ./deploy.sh",
        ));
    }
    proposal.deploy(&deploy, deploy == found);
    let url = match (args.url, address::address(&repo)) {
        (Some(url), _) => url,
        (None, Some((found, part))) => {
            proposal.found.push(part);
            ask("URL that answers once it is deployed", &found)?
        }
        (None, None) => ask("URL that answers once it is deployed; empty for none", "")?,
    };
    if !url.is_empty() && !url.starts_with("https://") && !url.starts_with("http://") {
        return Err(Fault::usage(format!(
            "{url:?} begins neither with https:// nor with http://: give the whole address with --url"
        )));
    }
    let written = write::Deploy {
        name: name.as_str(),
        proposal: &proposal,
        url: &url,
        at: args.towpath_path.as_deref(),
    };
    let wrote = written.write(&target).map_err(|e| failed("write", &target, &e))?;
    say(out, &written, &name, &wrote)
}

fn say(out: &mut Out, of: &write::Deploy<'_>, name: &PipelineName, wrote: &[String]) -> Result<(), Fault> {
    let proposal = of.proposal;
    let missing = proposal.missing();
    let next = write::commands(name.as_str());
    if out.json {
        let steps = of.ids();
        let (name, found) = (name.as_str(), proposal.found.as_slice());
        return Ok(out.value(&Line { name, found, missing: &missing, steps, wrote, next: &next })?);
    }
    for Part { what, at } in &proposal.found {
        out.line(format!("{} {what}: {at}", out.paint.text(Tone::Good, "found")))?;
    }
    for what in missing {
        out.line(format!("{} {what}", out.paint.text(Tone::Dim, "nothing for")))?;
    }
    wrote.iter().try_for_each(|file| out.line(format!("wrote {file}")))?;
    out.line("now, from the folder of the repository:")?;
    next.iter().try_for_each(|command| out.line(format!("  {command}")))?;
    Ok(())
}

/// Asks at the terminal. An empty line takes the default.
fn answer(out: &mut Out, question: &str, default: &str) -> Result<String, Fault> {
    let shown = if default.is_empty() { String::new() } else { format!(" [{}]", quoted(default)) };
    out.aside(&format!("{question}{shown}: "));
    let mut line = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut line)
        .map_err(|e| Fault::failed(format!("read the answer: {e}")))?;
    let line = line.trim();
    Ok(if line.is_empty() { default.to_owned() } else { line.to_owned() })
}

fn named(text: &str) -> Result<PipelineName, Fault> {
    PipelineName::new(text).map_err(|e| Fault::usage(format!("{e}: give one with --name")))
}

/// The folder's name as a name of a pipeline.
fn slug(folder: &Path) -> String {
    let name = folder.file_name().map(|n| n.to_string_lossy().to_lowercase()).unwrap_or_default();
    let slug: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(64).collect();
    let slug = slug.trim_matches('-');
    if slug.is_empty() { "app".into() } else { slug.into() }
}

fn failed(what: &str, path: &Path, error: &std::io::Error) -> Fault {
    Fault::failed(format!("{what} {}: {error}", path.display()))
}

#[cfg(test)]
mod tests;
