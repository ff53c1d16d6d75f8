//! Who the operating system says we are.

use towpath_model::Actor;

/// The user of the operating system that this process runs as: `os-user:deploy`.
///
/// By the owner of the process and `/etc/passwd` (passwd(5)) where they can be had, since anybody may set a variable;
/// else by `USER`, `LOGNAME` or `USERNAME`; else `os-user:unknown`.
///
/// ```
/// assert!(towpath_engine::os_user().as_str().starts_with("os-user:"));
/// ```
pub fn os_user() -> Actor {
    let variables = ["USER", "LOGNAME", "USERNAME"];
    let said = || variables.iter().filter_map(|v| std::env::var(v).ok()).find(|name| !name.is_empty());
    let name = owner().or_else(said).unwrap_or_else(|| "unknown".to_owned());
    let actor = Actor::new(&format!("os-user:{name}"));
    actor.unwrap_or_else(|_| Actor::new("os-user:unknown").expect("a constant actor keeps the rule"))
}

#[cfg(target_os = "linux")]
fn owner() -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    let uid = std::fs::metadata("/proc/self").ok()?.uid();
    let users = std::fs::read_to_string("/etc/passwd").ok();
    let name = users.as_deref().and_then(|users| name_of(users, uid));
    Some(name.unwrap_or_else(|| uid.to_string()))
}

#[cfg(not(target_os = "linux"))]
fn owner() -> Option<String> {
    None
}

/// The name of a user in the text of `/etc/passwd`.
#[cfg(target_os = "linux")]
fn name_of(users: &str, uid: u32) -> Option<String> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, _, id) = (fields.next()?, fields.next()?, fields.next()?);
        (id.parse() == Ok(uid) && !name.is_empty()).then(|| name.to_owned())
    })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_system() {
        let users = "root:x:0:0:root:/:/bin/sh\nbroken\ndeploy:x:1001:1001::/srv:/bin/sh\n";
        assert_eq!(name_of(users, 0).as_deref(), Some("root"));
        assert_eq!(name_of(users, 1001).as_deref(), Some("deploy"));
        assert_eq!(name_of(users, 7), None);
    }
}
