// SPDX-License-Identifier: Apache-2.0
//! "--name=value", "--name value", "--name".
use std::collections::HashMap;

pub struct Flags(HashMap<String, String>);

impl Flags {
    pub fn read() -> Flags {
        let mut found = HashMap::new();
        let mut rest = std::env::args().skip(1).peekable();
        while let Some(word) = rest.next() {
            let name = word.trim_start_matches("--");
            if let Some((name, value)) = name.split_once('=') {
                found.insert(name.to_string(), value.to_string());
            } else if rest.peek().is_some_and(|next| !next.starts_with("--")) {
                found.insert(name.to_string(), rest.next().unwrap());
            } else {
                found.insert(name.to_string(), "true".to_string());
            }
        }
        Flags(found)
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The contents of the file that this flag names.
    pub fn file(&self, name: &str) -> Option<Vec<u8>> {
        self.get(name).map(|path| std::fs::read(path).unwrap_or_else(|e| panic!("{path}: {e}")))
    }
}
