//! What a repository says of the address at which it answers once it is deployed.

use super::{detect::Part, repo::Repo};

const COMPOSE: [&str; 4] = ["compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"];

/// The address, and where it was found.
pub(crate) fn address(repo: &Repo) -> Option<(String, Part)> {
    ingress(repo).or_else(|| compose(repo))
}

/// The host of an Ingress; one of production before another.
fn ingress(repo: &Repo) -> Option<(String, Part)> {
    let is_one = |(_, says): &(&str, &str)| says.lines().any(|line| line.trim_end() == "kind: Ingress");
    let mut found: Vec<(&str, &str)> = repo.iter().filter(is_one).collect();
    found.sort_by_key(|(path, _)| !path.contains("prod"));
    found.into_iter().find_map(|(path, says)| {
        let host = says.lines().find_map(|line| Some(unquoted(field(line, "host")?)))?;
        // A wildcard is no address, and neither is what a template fills in.
        let is_host =
            host.contains('.') && host.chars().all(|c| c.is_ascii_alphanumeric() || ".-".contains(c));
        let scheme = if says.lines().any(|line| line.trim() == "tls:") { "https" } else { "http" };
        let part = Part { what: "an address, of an Ingress", at: path.to_owned() };
        is_host.then(|| (format!("{scheme}://{host}/"), part))
    })
}

/// The first port of a compose file that this machine listens on, with the path by which it is asked whether it is well.
fn compose(repo: &Repo) -> Option<(String, Part)> {
    let (name, says) = COMPOSE.into_iter().find_map(|name| Some((name, repo.root(name)?)))?;
    let port = says.lines().find_map(published)?;
    let path = says.lines().filter_map(|line| asked(line)).next().unwrap_or("/");
    Some((
        format!("http://localhost:{port}{path}"),
        Part { what: "an address, of a published port", at: name.to_owned() },
    ))
}

/// The port of the host in a line such as `- "8080:80"`, `- 127.0.0.1:8080:80` or `published: 8080`.
fn published(line: &str) -> Option<u16> {
    if let Some(port) = field(line, "published") {
        return unquoted(port).parse().ok();
    }
    let entry = unquoted(line.trim().strip_prefix("- ")?);
    let entry = entry.strip_suffix("/tcp").unwrap_or(entry);
    let mut parts = entry.rsplit(':');
    let inside: Option<u16> = parts.next()?.parse().ok();
    inside?;
    let port = parts.next()?.parse().ok()?;
    let address = parts.next().is_none_or(|host| host.split('.').count() == 4);
    address.then_some(port)
}

/// The path of an address of this machine, in a line that holds one.
fn asked(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("http://localhost").or_else(|| line.split_once("http://127.0.0.1"))?;
    let path = rest.trim_start_matches(|c: char| c == ':' || c.is_ascii_digit());
    let end = path.find(|c: char| !(c.is_ascii_alphanumeric() || "/-_.".contains(c))).unwrap_or(path.len());
    let path = &path[..end];
    path.starts_with('/').then_some(path)
}

/// The value of a field in a line of YAML.
fn field<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let line = line.trim().trim_start_matches("- ");
    let value = line.strip_prefix(name)?.strip_prefix(':')?.trim();
    (!value.is_empty()).then_some(value)
}

fn unquoted(text: &str) -> &str {
    text.trim().trim_matches(['"', '\''])
}

#[cfg(test)]
mod tests {
    use super::address;

    fn found<const N: usize>(files: [(&str, &str); N]) -> String {
        address(&files.into()).map(|(url, part)| format!("{url} in {}", part.at)).unwrap_or_default()
    }

    #[test]
    fn an_address_is_found_where_it_is_said() {
        let compose = |says: &str| found([("compose.yaml", says)]);
        let service =
            |ports: &str| compose(&format!("services:\n  shop:\n    image: \"shop:1\"\n    ports:\n{ports}"));
        assert_eq!(
            service("      - \"8080:80\"\n      - 9090:90\n"),
            "http://localhost:8080/ in compose.yaml"
        );
        assert_eq!(service("      - 127.0.0.1:8081:80/tcp\n"), "http://localhost:8081/ in compose.yaml");
        assert_eq!(
            service("      - target: 80\n        published: \"8082\"\n"),
            "http://localhost:8082/ in compose.yaml"
        );
        let check =
            "    healthcheck:\n      test: [\"CMD\", \"curl\", \"-f\", \"http://localhost:80/healthz\"]\n";
        assert_eq!(
            service(&format!("      - 80:80\n{check}")),
            "http://localhost:80/healthz in compose.yaml"
        );
        // A port of the container alone, a volume, and nothing are no addresses.
        assert_eq!(service("      - \"80\"\n    volumes:\n      - ./data:/data\n      - db:/var\n"), "");
        assert_eq!(found([("src/compose.yaml", "ports:\n  - 80:80\n")]), "");

        let ingress = |host: &str| {
            format!("kind: Ingress\nspec:\n  tls:\n    - secretName: s\n  rules:\n    - host: {host}\n")
        };
        let (prod, other) =
            (ingress("shop.example"), ingress("\"staging.shop.example\"").replace("  tls:\n", ""));
        assert_eq!(
            found([("k8s/base/i.yaml", &other), ("k8s/prod/i.yaml", &prod)]),
            "https://shop.example/ in k8s/prod/i.yaml"
        );
        assert_eq!(found([("k8s/i.yaml", &other)]), "http://staging.shop.example/ in k8s/i.yaml");
        assert_eq!(found([("chart/templates/i.yaml", &ingress("{{ .Values.host }}"))]), "");
        assert_eq!(found([("k8s/i.yaml", &ingress("\"*.shop.example\""))]), "");
    }
}
