//! What is said in a file, in the environment and by flags, and which counts.

use super::*;

fn read(text: &str) -> Result<Givens> {
    read_file(Path::new("shipei.toml"), text)
}

#[test]
fn unknown_key_names_file_line_and_key() {
    let error = read("listen = \"127.0.0.1:1\"\n\nlisten_on = 4\n").unwrap_err().to_string();
    assert!(error.starts_with("file shipei.toml, line 3: there is no setting `listen_on`"), "{error}");
    let error = read("[peers]\nenrollment = \"a:1\"\nenrolment = \"a:1\"\n").unwrap_err().to_string();
    assert!(error.starts_with("file shipei.toml, line 3: `peers.enrolment`"), "{error}");
}

#[test]
fn value_of_another_form_names_its_line_and_not_itself() {
    for (text, words) in [
        ("listen = 7300", "line 1: `listen` takes a text"),
        ("\nmigrate = \"secret\"", "line 2: `migrate` takes true or false"),
        ("pool_connections = \"secret\"", "`pool_connections` takes a whole number"),
        ("database = [\"secret\", 1]", "`database` takes a text, a list"),
        ("data = \"a\"\ndatabase = \"secret\nlisten = 1", "line 2: "),
        ("data = \"a\"\ndata = \"secret\"", "line 2: duplicate key"),
    ] {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }
}

#[test]
fn databases_are_a_text_a_list_or_a_table() {
    for (text, expected) in [
        ("database = \"postgres://h/d\"", vec!["postgres://h/d"]),
        (
            "database = [\"enrollment=sqlite:e\", \"postgres://h/d\"]",
            vec!["enrollment=sqlite:e", "postgres://h/d"],
        ),
        ("[database]\nenrollment = \"sqlite:e\"", vec!["enrollment=sqlite:e"]),
    ] {
        assert_eq!(read(text).unwrap()["database"].values, expected);
    }
}
