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
