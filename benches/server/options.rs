//! What the command line says.

use std::path::PathBuf;
use std::time::Duration;

/// The words after `cargo bench --bench server --`.
#[derive(Debug)]
pub struct Options {
    /// Short points, and only some of them.
    pub quick: bool,
    /// Only the section that this names.
    only: Option<String>,
    /// Only cases whose name contains this.
    case: Option<String>,
    /// How long a point is measured, in each round.
    pub point: Duration,
    /// How often each point is measured.
    pub rounds: usize,
    /// Without axum, nginx and the fixed responder: builds of the product beside each other.
    pub alone: bool,
    /// How many connections poll, in place of the usual numbers.
    pub connections: Option<usize>,
    /// The product, and other builds of it: a name and a program.
    pub products: Vec<(String, PathBuf)>,
    /// Be the fixed responder with the bodies of this folder, and nothing else.
    pub respond: Option<PathBuf>,
}

impl Options {
    /// # Errors
    /// What is wrong with them, in words.
    pub fn from_args(args: impl Iterator<Item = String>) -> Result<Self, String> {
        let product = PathBuf::from(env!("CARGO_BIN_EXE_tapewarden"));
        let mut options = Self {
            quick: false,
            only: None,
            case: None,
            point: Duration::from_secs(1),
            rounds: 3,
            alone: false,
            connections: None,
            products: vec![("tapewarden".to_owned(), product)],
            respond: None,
        };
        let mut args = args;
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or(format!("{arg} needs a value"));
            match arg.as_str() {
                // Cargo's own word.
                "--bench" => {}
                "--quick" => {
                    options.quick = true;
                    options.rounds = 1;
                    options.point = Duration::from_millis(300);
                }
                "--alone" => options.alone = true,
                "--only" => {
                    let value = value()?;
                    let (section, case) = value.split_once(':').unwrap_or((&value, ""));
                    options.only = Some(section.to_owned());
                    options.case = Some(case.to_owned());
                }
                "--seconds" => {
                    let seconds: f64 = value()?.parse().map_err(|e| format!("--seconds: {e}"))?;
                    options.point = Duration::try_from_secs_f64(seconds)
                        .map_err(|e| format!("--seconds: {e}"))?;
                }
                "--rounds" => {
                    options.rounds = value()?.parse().map_err(|e| format!("--rounds: {e}"))?;
                    options.rounds = options.rounds.max(1);
                }
                "--connections" => {
                    let value = value()?;
                    let number = value.parse().map_err(|e| format!("--connections: {e}"))?;
                    options.connections = Some(number);
                }
                "--also" => {
                    let value = value()?;
                    let (name, path) = value
                        .split_once('=')
                        .ok_or("--also needs NAME=PATH of another build")?;
                    options.products.push((name.to_owned(), path.into()));
                }
                "--respond" => options.respond = Some(value()?.into()),
                other => {
                    return Err(format!(
                        "unknown word {other:?}; use --quick, --only SECTION[:CASE], --seconds S, --rounds N, --alone, --connections N, --also NAME=PATH"
                    ));
                }
            }
        }
        Ok(options)
    }

    /// Whether this section is asked for.
    pub fn has(&self, section: &str) -> bool {
        self.only.as_ref().is_none_or(|o| section.contains(&**o))
    }

    /// Whether this case of a section is.
    pub fn has_case(&self, name: &str) -> bool {
        self.case.as_ref().is_none_or(|c| name.contains(&**c))
    }

    /// The median of what the rounds give.
    pub fn median(&self, mut of: Vec<f64>) -> f64 {
        of.sort_by(f64::total_cmp);
        of.get(of.len() / 2).copied().unwrap_or(f64::NAN)
    }
}
