//! The page on plans shows what is printed. A mark names a snapshot; what stands behind it is that snapshot.

use std::{fs, path::Path};

/// The page with every block behind a mark as its snapshot says.
fn shown(page: &str, root: &Path) -> (String, usize) {
    let (mut out, mut blocks) = (String::new(), 0);
    let mut rest = page;
    while let Some((before, behind)) = rest.split_once("<!-- shown ") {
        let (path, behind) = behind.split_once(" -->\n\n").expect("a mark stands alone on its line");
        let text = fs::read_to_string(root.join(path)).unwrap();
        out += &format!("{before}<!-- shown {path} -->\n\n```text\n{text}```\n");
        blocks += 1;
        let block = behind.strip_prefix("```text\n").expect("a block stands behind its mark");
        rest = block.split_once("```\n").expect("a block is closed").1;
    }
    (out + rest, blocks)
}

/// `TOWPATH_BLESS=1` writes the blocks.
#[test]
fn the_page_on_plans_shows_what_is_printed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let path = root.join("docs/plans.md");
    let page = fs::read_to_string(&path).unwrap();
    let (want, blocks) = shown(&page, &root);
    if std::env::var_os("TOWPATH_BLESS").is_some() {
        fs::write(&path, &want).unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), want);
    assert_eq!(blocks, page.matches("<!-- shown ").count());
    assert_eq!(blocks, 4);
}
