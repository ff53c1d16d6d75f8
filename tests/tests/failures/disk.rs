//! Disks without room, and folders that cannot be written. Small disks are mounted in a namespace of their own, that ends with
//! the process in it.

use crate::{
    snapshot,
    world::{CHILD, SERVICE, Said, World, words},
};
use std::{fs, process::Command};

/// A shell with small disks below the folder of a world: `(name, options)` each.
struct Disks<'a> {
    world: &'a World,
    mounts: String,
}

impl<'a> Disks<'a> {
    /// `None`, and a line that says so, where nobody may mount anything.
    fn of(world: &'a World, disks: &[(&str, &str)]) -> Option<Self> {
        let mut mounts = String::new();
        for (name, options) in disks {
            let folder = world.path(name).display().to_string();
            fs::create_dir_all(&folder).unwrap();
            mounts.push_str(&format!("mount -t tmpfs -o {options} tmpfs '{folder}' && "));
        }
        let disks = Disks { world, mounts };
        let can = disks.command("true").output().is_ok_and(|output| output.status.success());
        if !can {
            skipped(
                "a small disk cannot be mounted here: it takes namespaces of users and mounts (`unshare -rm`)",
            );
        }
        can.then_some(disks)
    }

    fn command(&self, script: &str) -> Command {
        let mut command = Command::new("timeout");
        command.args([
            "--kill-after=1",
            "120",
            "unshare",
            "--user",
            "--map-root-user",
            "--mount",
            "sh",
            "-c",
        ]);
        command.arg(format!("{}{{ {script}; }}", self.mounts));
        command.env("CHILD", CHILD).env("SERVICE", SERVICE).env("FOLDER", self.world.folder.path());
        command.env("FAILURE_BUILD", words(&["cp", SERVICE, "orders"]));
        command
    }

    fn run(&self, script: &str) -> Said {
        self.world.ended(&mut self.command(script))
    }
}

fn skipped(why: &str) {
    towpath_tests::skipped(std::thread::current().name().unwrap_or_default(), why);
}

#[test]
fn an_image_for_which_there_is_no_room_is_said_and_nothing_of_it_is_left() {
    let world = World::new();
    let Some(disks) = Disks::of(&world, &[("images", "size=1m")]) else { return };
    let said = disks.run("\"$CHILD\" \"$FOLDER\" 1.0.0; find \"$FOLDER/images\" -type f -size +8k | sort");
    snapshot::check("failures/no-room-for-an-image.txt", &said.text);
}

#[test]
fn a_release_for_which_there_is_no_room_is_undone_and_the_one_before_goes_on() {
    let world = World::new();
    let room = fs::metadata(SERVICE).unwrap().len() + (4 << 20);
    let Some(disks) = Disks::of(&world, &[("releases", &format!("size={room}"))]) else { return };
    // What is behind a program in its file does it no harm.
    let larger = words(&["sh", "-c", "cp \"$SERVICE\" orders; head -c 8388608 /dev/zero >> orders"]);
    let said = disks.run(&format!(
        "\"$CHILD\" \"$FOLDER\" 1.0.0; FAILURE_STOP=1 FAILURE_BUILD='{larger}' \"$CHILD\" \"$FOLDER\" 2.0.0"
    ));
    snapshot::check("failures/no-room-for-a-release.txt", &said.text);
}

/// A build that fills the disk of the journal to its last byte, the first time that it runs.
fn filling(then: &str) -> String {
    let fill = "cat /dev/zero > \"$FOLDER/journal/filler\" 2>/dev/null";
    let once = format!("[ -e filled ] || {{ touch filled; {fill}; {then}; true; }}");
    words(&["sh", "-c", &format!("cp \"$SERVICE\" orders; {once}")])
}

#[test]
fn a_journal_without_room_holds_the_run_until_there_is_some_again() {
    let world = World::new();
    let Some(disks) = Disks::of(&world, &[("journal", "size=2m")]) else { return };
    // In a session of its own before the build ends, or it would end with that.
    let later = "touch away; sleep 3; rm \"$FOLDER/journal/filler\"";
    let freed =
        filling(&format!("setsid sh -c '{later}' >/dev/null 2>&1 & until [ -e away ]; do sleep 0.05; done"));
    let freed = freed.replace('\'', "'\\''");
    let said = disks.run(&format!("FAILURE_STOP=1 FAILURE_BUILD='{freed}' \"$CHILD\" \"$FOLDER\" 1.0.0"));
    assert!(said.text.starts_with("1.0.0 succeeded: 1.0.0 is live\n"), "{}", said.text);
}

#[test]
fn a_journal_that_stays_without_room_is_said_and_loses_nothing() {
    let world = World::new();
    let Some(disks) = Disks::of(&world, &[("journal", "size=2m")]) else { return };
    let fill = filling("true");
    let said = disks.run(&format!(
        "export FAILURE_BUILD='{fill}'; FAILURE_PATIENCE_S=5 \"$CHILD\" \"$FOLDER\" 1.0.0; \
         rm \"$FOLDER/journal/filler\"; FAILURE_STOP=1 \"$CHILD\" \"$FOLDER\" 1.0.0"
    ));
    snapshot::check("failures/no-room-for-the-journal.txt", &said.text);
}

#[test]
fn folders_that_cannot_be_written_are_named() {
    let mut all = String::new();
    for name in ["journal", "images", "releases"] {
        let world = World::new();
        let Some(disks) = Disks::of(&world, &[(name, "ro")]) else { return };
        let said = disks.run("\"$CHILD\" \"$FOLDER\" 1.0.0");
        all.push_str(&format!("── {name}\n{}\n", said.text));
    }
    snapshot::check("failures/read-only.txt", &all);
}

/// What needs no mounting, for every user: a file is where the folder should be.
#[test]
fn files_in_the_place_of_folders_are_named() {
    let mut all = String::new();
    for name in ["journal", "images", "releases"] {
        let world = World::new();
        let _ = fs::remove_dir(world.path(name));
        fs::write(world.path(name), "").unwrap();
        let said = world.ended(&mut world.command("1.0.0"));
        all.push_str(&format!("── {name}\n{}\n", said.text));
    }
    snapshot::check("failures/file-in-the-place.txt", &all);
}
