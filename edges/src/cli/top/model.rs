//! What `top` shows and what each command changes in it. Pure: no terminal, no socket, no clock.
//!
//! What is selected is a part, not a line: when the tree is read anew the selection stays on it, and goes to what lies above
//! when it has left.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use ground::Micros;

use super::{
    super::{
        action::Action,
        document::{Event, Node},
        failure::Failure,
        screen::Ink,
        status::Explained,
    },
    keys::Command,
    tree::{Part, Rates, Tree},
};

/// A part with more parts right below it than this is folded until somebody opens it.
const FOLD_OVER: usize = 20;
/// Changes that are kept to be shown.
const EVENTS_KEPT: usize = 200;
/// Letters of a filter.
const FILTER_LIMIT: usize = 100;

/// What the keys mean at the moment, and what is shown for it.
#[derive(Debug)]
pub(crate) enum Mode {
    /// The tree.
    Browse,
    /// The tree, while a filter is typed.
    Filter,
    /// The tree, and a question.
    Ask(Action, String),
    /// A part in prose; `None` until the daemon has answered.
    Explain(String, Option<Box<Explained>>),
    /// The keys.
    Help,
}

/// What a command wants of the world outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Nothing but a new picture.
    Nothing,
    /// The end.
    Quit,
    /// Give the terminal back until we are continued.
    Suspend,
    /// Paint all of the terminal anew.
    Repaint,
    /// Ask for what is to be told of this part.
    Explain(String),
    /// Give this order.
    Act(Action, String),
}

/// Whether the daemon answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// It does.
    Up,
    /// It does not.
    Away {
        /// Since when.
        since: Micros,
        /// Why, in a sentence.
        reason: String,
    },
}

/// A line of the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// The part.
    pub(crate) part: usize,
    /// Bit n: the line of step n goes on below this row.
    pub(crate) rails: u64,
    /// Whether what is below it is shown.
    pub(crate) fold: Fold,
}

/// Whether what is below a part is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fold {
    /// There is nothing.
    Leaf,
    /// It is.
    Open,
    /// It is not.
    Closed,
}

/// All that is shown.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) tree: Tree,
    pub(crate) rows: Vec<Row>,
    /// The selected row.
    pub(crate) selected: usize,
    /// The first row that is shown.
    pub(crate) first: usize,
    pub(crate) filter: String,
    pub(crate) mode: Mode,
    /// The last changes, oldest first.
    pub(crate) events: VecDeque<Event>,
    pub(crate) link: Link,
    pub(crate) version: String,
    pub(crate) uptime: Duration,
    /// An order that has not come to its end.
    pub(crate) under_way: Option<(Action, String)>,
    /// What is to be told about the last order.
    pub(crate) notice: Option<(Ink, String)>,
    /// The first line shown of what is read in prose.
    pub(crate) scroll: usize,
    /// How many lines the prose has, and how many are shown of it.
    prose: (usize, usize),
    /// Rows that are shown at once.
    page: usize,
    folds: HashMap<String, bool>,
    rates: Rates,
}

impl Model {
    /// Nothing read yet.
    pub(crate) fn new() -> Self {
        Self {
            tree: Tree::default(),
            rows: Vec::new(),
            selected: 0,
            first: 0,
            filter: String::new(),
            mode: Mode::Browse,
            events: VecDeque::new(),
            link: Link::Up,
            version: String::new(),
            uptime: Duration::ZERO,
            under_way: None,
            notice: None,
            scroll: 0,
            prose: (0, 0),
            page: 1,
            folds: HashMap::new(),
            rates: Rates::default(),
        }
    }

    /// The tree as it was read at `at` (on a clock that only goes forward).
    pub(crate) fn read(&mut self, root: Node, at: Duration) {
        if self.link != Link::Up {
            self.rates.forget();
            self.link = Link::Up;
        }
        let selected = self.selected_path().map(str::to_owned);
        self.tree = Tree::of(root);
        self.rates.fill(&mut self.tree, at);
        self.arrange(selected.as_deref());
    }

    /// What is running, as it was told with the tree.
    pub(crate) fn about(&mut self, version: String, uptime: Duration) {
        (self.version, self.uptime) = (version, uptime);
    }

    /// The daemon did not answer.
    pub(crate) fn away(&mut self, reason: String, now: Micros) {
        let since = match self.link {
            Link::Up => now,
            Link::Away { since, .. } => since,
        };
        self.link = Link::Away { since, reason };
    }

    /// One more change.
    pub(crate) fn changed(&mut self, event: Event) {
        if self.events.len() == EVENTS_KEPT {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }

    /// What is to be told of `path`, unless somebody has turned away from it.
    pub(crate) fn explained(&mut self, path: &str, answer: Result<Explained, Failure>) {
        let Mode::Explain(wanted, told) = &mut self.mode else {
            return;
        };
        if wanted != path {
            return;
        }
        match answer {
            Ok(explained) => *told = Some(Box::new(explained)),
            Err(failure) => {
                self.mode = Mode::Browse;
                self.notice = Some((Ink::Worst, failure_words(&failure)));
            }
        }
    }

    /// What has come of the order.
    pub(crate) fn acted(&mut self, outcome: Result<String, Failure>) {
        self.under_way = None;
        self.notice = Some(match outcome {
            Ok(words) => (Ink::Good, words),
            Err(failure) => (Ink::Worst, failure_words(&failure)),
        });
    }

    /// Makes what is shown fit: `page` rows of the tree.
    pub(crate) fn fit(&mut self, page: usize) {
        self.page = page.max(1);
        self.selected = self.selected.min(self.rows.len().saturating_sub(1));
        let last_first = self.rows.len().saturating_sub(self.page);
        let least = (self.selected + 1).saturating_sub(self.page);
        self.first = self.first.min(last_first).clamp(least, self.selected);
    }

    /// Makes what is shown fit: `page` of the `lines` lines of the prose.
    pub(crate) fn fit_prose(&mut self, lines: usize, page: usize) {
        self.prose = (lines, page.max(1));
        self.scroll = self.scroll.min(self.last_scroll());
    }

    /// The selected part.
    pub(crate) fn selected(&self) -> Option<&Part> {
        self.tree.get(self.rows.get(self.selected)?.part)
    }

    fn selected_path(&self) -> Option<&str> {
        Some(self.selected()?.node.path.as_str())
    }

    /// Changes what is shown, and tells what is wanted beyond that.
    pub(crate) fn apply(&mut self, command: Command) -> Effect {
        self.notice = None;
        match command {
            Command::Quit => return Effect::Quit,
            Command::Suspend => return Effect::Suspend,
            Command::Repaint => return Effect::Repaint,
            Command::Explain => return self.explain(),
            Command::Order(action) => return self.order(action),
            Command::Yes => return self.answer(),
            Command::Up => self.step(-1),
            Command::Down => self.step(1),
            Command::PageUp => self.step(-self.page_step()),
            Command::PageDown => self.step(self.page_step()),
            Command::Home => self.step(isize::MIN),
            Command::End => self.step(isize::MAX),
            Command::Toggle => self.toggle(),
            Command::Open => self.open(),
            Command::Close => self.close(),
            Command::Filter => self.mode = Mode::Filter,
            Command::Type(letter) => self.change_filter(|filter| filter.push(letter)),
            Command::Erase => self.change_filter(|filter| _ = filter.pop()),
            Command::EraseAll => self.change_filter(String::clear),
            Command::Accept => self.mode = Mode::Browse,
            Command::Cancel => self.cancel(),
            Command::Help => (self.mode, self.scroll) = (Mode::Help, 0),
        }
        Effect::Nothing
    }

    const fn is_prose(&self) -> bool {
        matches!(self.mode, Mode::Explain(..) | Mode::Help)
    }

    const fn last_scroll(&self) -> usize {
        self.prose.0.saturating_sub(self.prose.1)
    }

    fn page_step(&self) -> isize {
        let page = if self.is_prose() {
            self.prose.1
        } else {
            self.page
        };
        isize::try_from(page.saturating_sub(1).max(1)).unwrap_or(isize::MAX)
    }

    /// Goes `by` rows (or lines of prose) down.
    fn step(&mut self, by: isize) {
        if self.is_prose() {
            self.scroll = self
                .scroll
                .saturating_add_signed(by)
                .min(self.last_scroll());
        } else {
            let last = self.rows.len().saturating_sub(1);
            self.selected = self.selected.saturating_add_signed(by).min(last);
        }
    }

    fn fold_selected(&mut self, is_folded: bool) {
        if let Some(path) = self.selected_path().map(str::to_owned) {
            self.folds.insert(path.clone(), is_folded);
            self.arrange(Some(&path));
        }
    }

    fn selected_fold(&self) -> Fold {
        self.rows
            .get(self.selected)
            .map_or(Fold::Leaf, |row| row.fold)
    }

    fn toggle(&mut self) {
        match self.selected_fold() {
            Fold::Leaf => {}
            Fold::Open => self.fold_selected(true),
            Fold::Closed => self.fold_selected(false),
        }
    }

    /// Opens what is folded, else goes to the first part inside.
    fn open(&mut self) {
        match self.selected_fold() {
            Fold::Leaf => {}
            Fold::Open => self.step(1),
            Fold::Closed => self.fold_selected(false),
        }
    }

    /// Folds what is open, else goes to the part above.
    fn close(&mut self) {
        if self.selected_fold() == Fold::Open && self.filter.is_empty() {
            self.fold_selected(true);
        } else if let Some(parent) = self.selected().and_then(|part| part.parent)
            && let Some(row) = self.rows.iter().position(|row| row.part == parent)
        {
            self.selected = row;
        }
    }

    fn explain(&mut self) -> Effect {
        let Some(path) = self.selected_path().map(str::to_owned) else {
            return Effect::Nothing;
        };
        (self.mode, self.scroll) = (Mode::Explain(path.clone(), None), 0);
        Effect::Explain(path)
    }

    /// Asks before what interrupts; a start interrupts nothing.
    fn order(&mut self, action: Action) -> Effect {
        let Some(path) = self.selected_path().map(str::to_owned) else {
            return Effect::Nothing;
        };
        if path == "/" {
            let words = format!(
                "the whole daemon cannot be told to {}; select a part",
                action.word()
            );
            self.notice = Some((Ink::Caution, words));
        } else if let Some((action, path)) = &self.under_way {
            let words = format!("{} of {path} is still under way", action.word());
            self.notice = Some((Ink::Caution, words));
        } else if action == Action::Start {
            return self.begin(action, path);
        } else {
            self.mode = Mode::Ask(action, path);
        }
        Effect::Nothing
    }

    fn answer(&mut self) -> Effect {
        match std::mem::replace(&mut self.mode, Mode::Browse) {
            Mode::Ask(action, path) => self.begin(action, path),
            other => {
                self.mode = other;
                Effect::Nothing
            }
        }
    }

    fn begin(&mut self, action: Action, path: String) -> Effect {
        self.under_way = Some((action, path.clone()));
        Effect::Act(action, path)
    }

    fn cancel(&mut self) {
        let was = std::mem::replace(&mut self.mode, Mode::Browse);
        if matches!(was, Mode::Filter | Mode::Browse) {
            self.change_filter(String::clear);
        }
    }

    fn change_filter(&mut self, change: impl FnOnce(&mut String)) {
        change(&mut self.filter);
        if let Some((end, _)) = self.filter.char_indices().nth(FILTER_LIMIT) {
            self.filter.truncate(end);
        }
        let selected = self.selected_path().map(str::to_owned);
        self.arrange(selected.as_deref());
    }

    /// Lists the rows anew, with `selected` (or what is left above it) selected.
    fn arrange(&mut self, selected: Option<&str>) {
        self.rows = rows(&self.tree, self.shown().as_deref(), |part| {
            self.is_folded(part)
        });
        let Some(mut path) = selected else {
            return;
        };
        loop {
            let at = |row: &Row| {
                self.tree
                    .get(row.part)
                    .is_some_and(|part| part.node.path == path)
            };
            if let Some(row) = self.rows.iter().position(at) {
                self.selected = row;
                return;
            }
            let Some((above, _)) = path.rsplit_once('/') else {
                break;
            };
            path = above;
        }
        self.selected = self.selected.min(self.rows.len().saturating_sub(1));
    }

    fn is_folded(&self, part: &Part) -> bool {
        let by_hand = self.folds.get(&part.node.path);
        by_hand.copied().unwrap_or(part.children > FOLD_OVER)
    }

    /// Which parts the filter lets through, with all that lies above them; `None` without a filter.
    fn shown(&self) -> Option<Vec<bool>> {
        let needle = self.filter.trim().to_lowercase();
        if needle.is_empty() {
            return None;
        }
        let parts = &self.tree.parts;
        let mut shown: Vec<bool> = parts
            .iter()
            .map(|part| is_match(&part.node, &needle))
            .collect();
        // Parents come before their children, so from behind each one hands on what it knows.
        for at in (0..parts.len()).rev() {
            if shown[at]
                && let Some(parent) = parts[at].parent
            {
                shown[parent] = true;
            }
        }
        Some(shown)
    }
}

/// Whether the path, the level or the state has `needle` (in small letters) in it.
fn is_match(node: &Node, needle: &str) -> bool {
    node.path.to_lowercase().contains(needle)
        || node.level.word().to_lowercase().contains(needle)
        || node.state.word().contains(needle)
}

fn failure_words(failure: &Failure) -> String {
    let mut words = failure.message.clone();
    for more in failure.findings.iter().chain(&failure.causes) {
        words.push_str(": ");
        words.push_str(more);
    }
    words
}

/// The lines of the tree: all that `shown` lets through, else all that no folded part hides.
fn rows(tree: &Tree, shown: Option<&[bool]>, is_folded: impl Fn(&Part) -> bool) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut at = 0;
    while let Some(part) = tree.get(at) {
        let is_shown = shown.is_none_or(|shown| shown.get(at) == Some(&true));
        let fold = match (part.children, shown) {
            (0, _) => Fold::Leaf,
            (_, None) if is_folded(part) => Fold::Closed,
            _ => Fold::Open,
        };
        if is_shown {
            rows.push(Row {
                part: at,
                rails: 0,
                fold,
            });
        }
        let hidden = !is_shown || fold == Fold::Closed;
        at += 1 + if hidden { part.below } else { 0 };
    }
    draw_rails(tree, &mut rows);
    rows
}

/// From below: the line of a step goes on where a part at that step comes later, before one nearer to the root.
fn draw_rails(tree: &Tree, rows: &mut [Row]) {
    let mut later = 0_u64;
    for row in rows.iter_mut().rev() {
        let depth = tree.get(row.part).map_or(0, |part| part.depth).min(63);
        let here = 1 << depth;
        let up_to_here = here | (here - 1);
        row.rails = later & up_to_here;
        later = (later | here) & up_to_here;
    }
}

#[cfg(test)]
mod tests;
