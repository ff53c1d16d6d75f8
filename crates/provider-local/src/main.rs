//! `towpath-local`: the supervisor as a program of its own, and a hand for its operators.

use std::{collections::BTreeMap, io::Write, path::Path, process::ExitCode, time::Duration};
use towpath_provider_local::{Local, ServiceState, folder_digest, supervise, supervise_here};

const USAGE: &str = "\
usage:
  towpath-local supervise FOLDER                  supervise in the foreground, for a service manager
  towpath-local status FOLDER                     what runs, and where its traffic goes
  towpath-local weights FOLDER SERVICE V=PERCENT… move traffic by hand; the stable release has the rest
  towpath-local stop FOLDER                       end the supervisor and all instances
  towpath-local digest FOLDER                     the digest of an image `dir:FOLDER`
";

fn main() -> ExitCode {
    supervise_here();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["supervise", folder] => {
            return ExitCode::from(u8::try_from(supervise(Path::new(folder))).unwrap_or(1));
        }
        ["digest", folder] => folder_digest(Path::new(folder)).map_err(|error| format!("{folder}: {error}")),
        ["status", folder] => on(status(Local::at(folder))),
        ["stop", folder] => on(stop(Local::at(folder))),
        ["weights", folder, service, weights @ ..] if !weights.is_empty() => {
            on(move_traffic(Local::at(folder), service, weights))
        }
        _ => {
            let _ = std::io::stderr().write_all(USAGE.as_bytes());
            return ExitCode::from(2);
        }
    };
    let (text, code) = match result {
        Ok(text) => (text, ExitCode::SUCCESS),
        Err(text) => {
            let _ = writeln!(std::io::stderr(), "towpath-local: {text}");
            return ExitCode::FAILURE;
        }
    };
    // Who does not read the answer does not want it.
    let _ = writeln!(std::io::stdout(), "{}", text.trim_end());
    code
}

fn on(work: impl Future<Output = Result<String, String>>) -> Result<String, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| error.to_string())?.block_on(work)
}

async fn status(local: Local) -> Result<String, String> {
    let services = local.services().await.map_err(whole)?;
    Ok(if services.is_empty() {
        "nothing is deployed".to_owned()
    } else {
        services.iter().map(shown).collect()
    })
}

async fn stop(local: Local) -> Result<String, String> {
    local.stop(Duration::from_secs(30)).await.map_err(whole)?;
    Ok("ended".to_owned())
}

async fn move_traffic(local: Local, service: &str, weights: &[&str]) -> Result<String, String> {
    let mut wanted = BTreeMap::new();
    for word in weights {
        let (version, percent) =
            word.split_once('=').ok_or_else(|| format!("{word}: write VERSION=PERCENT"))?;
        let percent: u8 = percent.parse().map_err(|_| format!("{word}: a percentage is 0 to 100"))?;
        if percent > 0 {
            wanted.insert(version.to_owned(), percent);
        }
    }
    let user =
        std::env::var("USER").unwrap_or_else(|_| format!("uid {}", rustix::process::getuid().as_raw()));
    let routes = local.move_by_hand(service, &wanted, &user).await.map_err(whole)?;
    Ok(format!("{service}: {}", percent(&routes.weights)))
}

fn percent(weights: &BTreeMap<String, u8>) -> String {
    weights.iter().map(|(version, weight)| format!("{version} {weight} %")).collect::<Vec<_>>().join(", ")
}

fn shown(state: &ServiceState) -> String {
    let mut text = format!("{} at {}\n", state.service, state.address);
    if let Some(problem) = &state.problem {
        text += &format!("  {problem}\n");
    }
    match &state.routes {
        Some(routes) => {
            text += &format!("  traffic: {}; stable: {}\n", percent(&routes.weights), routes.stable)
        }
        None => text += "  traffic: none yet\n",
    }
    for release in &state.releases {
        text += &format!("  {}: {} of {} healthy\n", release.version, release.healthy(), release.wanted);
        for instance in release.instances.iter().filter(|instance| instance.last_words.is_some()) {
            let words = instance.last_words.as_deref().unwrap_or_default().replace('\n', "\n      ");
            text += &format!("    {} ({:?}): {words}\n", instance.id, instance.health);
        }
    }
    text += &format!("  failed by the proxy itself: {}\n", state.proxy_failures);
    text
}

/// An error with what lies beneath it, in one line.
fn whole(error: towpath_provider::ProviderError) -> String {
    let (mut text, mut cause) = (error.to_string(), std::error::Error::source(&error));
    while let Some(beneath) = cause {
        text = format!("{text}: {beneath}");
        cause = beneath.source();
    }
    text
}
