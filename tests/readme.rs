//! The README says what the program does.

#[test]
fn the_readme_names_every_setting_with_its_default() {
    let readme = include_str!("../README.md");
    let table = tapewarden::config::settings_markdown();
    assert!(
        readme.contains(&table),
        "replace the README's table of settings by this:\n{table}"
    );
}
