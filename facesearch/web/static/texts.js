// Every word that the page shows, in English: a section for each page, sentences with what varies in them as functions.
// A name that a user wrote is never put into a sentence with others' words where it can be shown apart (dom.isolated).

const whole = new Intl.NumberFormat("en");
const day = new Intl.DateTimeFormat("en", { year: "numeric", month: "short", day: "numeric", timeZone: "UTC" });
const minute = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short" });

/** A number with its thousands apart. */
export const number = (n) => whole.format(n);

/** "1 face", "2 faces", "1,665 faces". */
export const count = (n, one, many = `${one}s`) => `${number(n)} ${n === 1 ? one : many}`;

/** A photo's date, by its own clock: "4 May 2019" in the reader's order of words. */
export const date = (iso) => (iso ? day.format(new Date(`${iso.slice(0, 10)}T00:00:00Z`)) : "");

/** When something was done. */
export const moment = (iso) => minute.format(new Date(iso));

/** From one date to another. */
export const span = (first, last) => {
  const [a, b] = [date(first), date(last)];
  return !a || a === b ? b : `${a} – ${b}`;
};

/** A name within a sentence that is one text: kept apart by marks that are not seen, whichever way it runs. */
export const apart = (name) => `\u2068${name}\u2069`;

export const errors = {
  lost: "The server cannot be reached; is facesearch web still running?",
  ended: "This session has ended. Run facesearch web again, and open the address that it prints.",
  unknown: (status) => `The server answered ${status}, and no more is known.`,
  page: (reason) => `This page could not be shown: ${reason}`,
};

export const frame = {
  skip: "Skip to the page",
  pages: "Pages",
  people: "People",
  questions: "Questions",
  search: "Search",
  log: "Log",
  gallery: "Gallery",
  home: (gallery) => `facesearch, gallery ${gallery}`,
  title: (heading, gallery) => `${heading} – ${gallery} – facesearch`,
  notices: "Notices",
  close: "Close",
  cancel: "Cancel",
  retry: "Try again",
  undo: "Undo",
  undone: (words) => `Taken back: ${words}`,
  nothingToUndo: "Nothing that was done on this page is left to undo. The log takes back what was done before.",
  toLog: "Open the log",
  alreadySo: "All was so before; nothing was changed.",
  notDone: (words, reason) => `Not done: ${words}. ${reason}`,
  saving: (n) => (n > 1 ? `Saving ${n}` : "Saving"),
  lost: "The server cannot be reached. What you see stays; what you do is sent when it is back.",
  back: "The server is back.",
  help: "Keys and help",
  find: "Find somebody",
  notFound: (q) => `Nobody's name has “${q}” in it.`,
  loading: "Loading",
  noPage: "There is no page at this address.",
  toPeople: "Go to People",
};

export const help = {
  title: "Keys",
  ofPage: "On this page",
  everywhere: "On every page",
  thisHelp: "this help",
  find: "find somebody by name",
  undo: "take the last thing back",
  toPages: "People, Questions, Search, Log, Gallery",
  letters: "Letters are keys",
  lettersWhy: "Switch this off where a voice or an assistive program types letters.",
  buttons: "All that keys do, buttons do too. Nothing is final: the log takes back any change.",
};

// People and Person follow below.

export const naming = {
  list: "Known names",
  likely: "likely",
  taken: (name) => `${apart(name)} is known already. Is this the same person?`,
  same: (faces) => `The same person (${faces})`,
  sameOf: (faces) => `The one with ${faces}`,
  other: (name) => `Another ${apart(name)}`,
  change: "Change the name",
};

export const deciding = {
  taken: (name) => `${apart(name)} is known already`,
  same: "The same person",
  other: "Another person of that name",
  notSame: "You said that these are not the same person",
  anyway: "Join them anyway",
  whichName: "Whose name stays?",
  whichNameWhy: "They become one person; the other name is no longer shown.",
};

export const acts = {
  group: (faces) => `a group of ${faces}`,
  named: (name) => `Named ${name}`,
  added: (name) => `Added to ${name}`,
  joined: (n) => `Joined ${number(n)} into one person`,
  ignored: (who) => `Made a stranger of ${who}`,
  ignoredSome: (n) => `Made strangers of ${number(n)}`,
  hidden: (who, hidden) => (hidden ? `Hid ${who}` : `Showed ${who} again`),
  hiddenSome: (n, hidden) => (hidden ? `Hid ${number(n)} people` : `Showed ${number(n)} people again`),
  notFaces: (n) => (n === 1 ? "Said that it is not a face" : `Said that ${number(n)} are not faces`),
};

export const people = {
  titles: { named: "Named", groups: "Groups", alone: "Faces alone", strangers: "Strangers", hidden: "Hidden" },
  sections: "Parts of this page",
  grid: "People",
  select: "Select",
  unnamed: "Group without a name",
  oneFace: "Face alone",
  unsure: (n) => `${number(n)} unsure`,
  empty: "Nobody is here yet",
  emptyWhy: "People appear here once photos with faces are indexed.",
  toGallery: "Open the gallery's page",
  joinTwo: "Select two or more people to join them: the space bar selects.",
  notFaceAlone: "This is for a single face; open the group and select the faces that are none.",
  arrowKeys: "← ↑ → ↓",
  spaceKey: "Space",
  keys: {
    arrows: "go from one to the next; with Shift select, Home and End go to the ends",
    enter: "name a group; open a person",
    name: "name, or name anew",
    open: "see all their faces",
    ignore: "a stranger: never ask about them",
    join: "join who is selected into one person",
    hide: "hide, or show again",
    notFace: "a face alone that is no face",
    select: "select, or take out of the selection",
  },
};

export const panel = {
  title: "Who this is",
  hint: "Choose a face to see more of it. The arrow keys go from one to the next, Enter names.",
  nameLabel: "Name",
  placeholder: "Who is this?",
  unnamed: "No name yet",
  alone: "A face alone",
  inPhotos: (photos) => `in ${photos}`,
  all: (faces) => `See ${faces}`,
  photo: "Open the photo",
  stranger: "Stranger",
  strangers: "Strangers",
  notFace: "Not a face",
  hide: "Hide",
  show: "Show again",
  selected: (n) => `${number(n)} selected`,
  join: "Join into one person",
  clear: "Clear the selection",
  close: "Close",
};
