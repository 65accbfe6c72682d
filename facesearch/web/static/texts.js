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
  undoLast: "Undo the last change",
  undone: (words) => `Taken back: ${words}`,
  nothingToUndo: "Nothing that was done on this page is left to undo. The log takes back what was done before.",
  toLog: "Open the log",
  alreadySo: "All was so before; nothing was changed.",
  notDone: (words, reason, others) => `Not done: ${words}. ${reason}${others ? ` Nor ${count(others, "change")} before it.` : ""}`,
  saving: (n) => (n > 1 ? `Saving ${n}` : "Saving"),
  lost: "The server cannot be reached. What you see stays; what you do is sent when it is back.",
  back: "The server is back.",
  indexing: "indexing",
  indexed: (percent) => `indexing, ${percent} %`,
  help: "Keys and help",
  find: "Find somebody",
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
  letters: "Letters are keys",
  lettersWhy: "Switch this off where a voice or an assistive program types letters.",
  buttons: "All that keys do, buttons do too. Nothing is final: the log takes back any change.",
};

// Questions, Photo, Search, Log and Gallery.

const personOf = (person) => (person.name ? apart(person.name) : "no name yet");

export const questionTexts = {
  title: "The same person?",
  same: "Are these the same person?",
  areBoth: (a, b) => `Are ${apart(a)} and ${apart(b)} the same person?`,
  isIt: (name) => `Is this ${apart(name)}?`,
  isOfGroup: "Is the face on the left the person on the right?",
  isThis: (name) => `Is the face on the left ${apart(name)}?`,
  group: "No name yet",
  skipped: "Skipped",
  before: (words) => `The question before: ${words}.`,
  askedAgain: "Taken back: this question is asked again.",
  alone: "A single face",
  left: "On the left",
  right: "On the right",
  others: "More faces of the same person",
  facts: ({ faces, photos, first, last }) =>
    [`${count(faces, "face")} in ${count(photos, "photo")}`, span(first, last)].filter(Boolean).join(" · "),
  taken: (taken) => (taken ? date(taken) : "In one photo"),
  faceAlt: (file, taken) => `Face in ${apart(file)}${taken ? `, ${date(taken)}` : ""}`,
  answers: "Answers",
  yes: "Yes, the same",
  no: "No",
  skip: "Skip",
  undo: "Undo",
  stranger: "A stranger",
  noFace: "Left is no face",
  progressLabel: "Questions answered",
  progress: (done, skipped, left) =>
    [`${number(done)} answered`, skipped && `${number(skipped)} skipped`, `${number(left)} to go`].filter(Boolean).join(", "),
  spoken: (asked, { person_a: a, person_b: b }) =>
    `${asked} Left: ${a ? `${personOf(a)}, ${count(a.faces, "face")}` : "a single face"}. Right: ${b ? `${personOf(b)}, ${count(b.faces, "face")}` : "a single face"}.`,
  answered: (reply, { kind, person_a: a, person_b: b }) => {
    const who = kind === "stray" ? b : (a?.name ? a : b?.name ? b : null);
    const name = who?.name ? apart(who.name) : null;
    if (reply === "yes") return name ? `Yes, this is ${name}` : "Yes, the same person";
    if (reply === "no") return name && kind === "stray" ? `No, this is not ${name}` : "No, not the same person";
    return reply === "stranger" ? "A stranger; nobody is asked about them again" : "No face";
  },
  whoseName: "Whose name stays?",
  whoseNameWhy: "Both have a name, and they become one person.",
  end: "That was the last question",
  nothing: "Nothing is to be asked",
  endWords: (answered, skipped) =>
    answered || skipped
      ? `You answered ${count(answered, "question")}${skipped ? ` and skipped ${number(skipped)}` : ""}. More come when photos are added.`
      : "All groups are as sure as they can be. More questions come when photos are added.",
  askSkipped: (n) => `Ask the ${number(n)} skipped again`,
  toPeople: "Go to People",
};

export const photoTexts = {
  alt: (file, names) => (names.length ? `${apart(file)}, with ${names.map(apart).join(", ")}` : apart(file)),
  aside: "About this photo",
  facts: "Facts",
  among: (label) => (label ? `Photos of ${apart(label)}` : "Photos of this group"),
  previous: "Previous",
  next: "Next",
  noMore: (way) => (way === "next" ? "This is the last photo." : "This is the first photo."),
  cannotShow: "This photo cannot be shown.",
  unreadable: (reason) => `This photo could not be read: ${reason}.`,
  loading: "Reading the photo…",
  taken: "Taken",
  noDate: "No date is known",
  dateOf: (taken) => `${date(taken)}${taken.length > 10 ? `, ${taken.slice(11, 16)}` : ""}`,
  size: "Size",
  pixels: (width, height) => `${number(width)} × ${number(height)} pixels`,
  unknown: "Not known",
  path: "File",
  copy: "Copy",
  copyPath: "Copy the file's path",
  copied: "The path was copied.",
  copyByHand: "The path is selected; copy it with the browser's own command.",
  collage: "One person may be here twice",
  collageWhy: "For collages, mirrors and pictures within pictures. Undo takes it back.",
  zoom: "Zoom",
  zoomIn: "Zoom in",
  zoomOut: "Zoom out",
  zoomWhole: "Fit",
  zoomed: (factor) => `${number(Math.round(factor * 100))} %`,
  inPhoto: (n) => (n === 1 ? "1 person here" : `${number(n)} people here`),
  inPhotoList: "In this photo",
  nobodyHere: "No face was found here. You can add a person yourself.",
  nobody: "Nobody yet",
  group: "No name yet",
  unsure: "unsure",
  boxWords: (name, i, n) => `${apart(name)}, face ${i} of ${n}`,
  chosen: (name) => `Chosen: ${apart(name)}`,
  close: "Close",
  whySo: ({ named_by: by, unsure, person }) => {
    if (!person) return "This face is alone: no other is enough like it.";
    if (by === "user") return "You said so.";
    if (by === "xmp") return "A name in the photo's metadata says so.";
    if (by === "folder") return "The name of the folder says so.";
    return unsure ? "Found by likeness, and unsure." : "Found by likeness.";
  },
  nameIt: "Name",
  somebodyElse: "This is somebody else",
  goTo: (name) => (name ? `Go to ${apart(name)}` : "See the group"),
  notThem: (name) => (name ? `Not ${apart(name)}` : "Not of this group"),
  searchIt: "Who looks like this?",
  makeCover: "Make it the cover",
  stranger: "A stranger",
  notAFace: "Not a face",
  isMark: "No face was found here; a name was put on this place.",
  addPerson: "Add a person",
  boxes: "Boxes and names",
  drawTools: "The box",
  drawHelp: "Draw a box around the face with the mouse or a finger. Or use the keys: arrows move the box, Shift and arrows make it larger or smaller, Enter goes on.",
  drawnBox: "Box around the person; arrows move it, Shift and arrows change its size, Enter goes on",
  boxAt: (left, top, width, height) => `${left} % from the left, ${top} % from the top, ${width} % wide, ${height} % high`,
  boxLeft: "Move left",
  boxRight: "Move right",
  boxUp: "Move up",
  boxDown: "Move down",
  boxWider: "Wider",
  boxNarrower: "Narrower",
  boxTaller: "Taller",
  boxLower: "Lower",
  boxDone: "Say who it is",
  cancel: "Cancel",
  takeName: "Save",
  whoIs: "Who is this?",
  whoIsAdded: "Who is in the box?",
  whoElse: (name) => `Not ${apart(name)}: who is it?`,
  keyName: "name the chosen face",
  keyStranger: "the chosen face is a stranger",
  keyNotAFace: "the chosen one is not a face",
  chooseFirst: "Choose a face first.",
  did: {
    named: (name) => `Named ${apart(name)}`,
    added: (name) => `Added ${apart(name)} to this photo`,
    parted: (label) => `Not ${apart(label)}`,
    stranger: "A stranger; nobody is asked about them again",
    cover: (label) => `New cover of ${apart(label)}`,
    notAFace: "Not a face",
    collage: "One person may be here twice",
    joined: "These are one person",
  },
};

const share = (far) => `1 in ${number(Math.max(1, Math.round(1 / far)))}`;
const tenths = new Intl.NumberFormat("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const few = (n) => (n < 0.05 ? "fewer than 0.1" : `about ${tenths.format(n)}`); // as the command line says it
const value = (n) => n.toFixed(3);

export const searchTexts = {
  title: "Search",
  stays: "The photo never leaves this machine: facesearch looks at it here, keeps it in memory for some minutes, and stores nothing.",
  drop: "Drop a photo here to see who is in it",
  paste: "Or paste one with Ctrl+V.",
  choose: "Choose a photo",
  dropOther: "Drop the second photo here",
  chooseOther: "Choose the second photo",
  chooseAgain: "Another photo",
  compare: "Compare with a second photo",
  stopComparing: "Stop comparing",
  firstSlot: "The photo that is asked about",
  secondSlot: "The photo that it is compared with",
  results: "What was found",
  matches: "Matches, the likeliest first",
  show: "Show",
  byPerson: "By person",
  allPhotos: "All photos",
  onlyFirst: "The first of these photos was taken.",
  notAFile: "What was dropped is no file; drop a photo, or choose one.",
  looking: "Looking for faces…",
  searching: "Comparing with all faces…",
  loads: "The first time the networks are loaded, which takes some seconds.",
  yourPhoto: "Your photo",
  askedFace: "The face that is searched for",
  faceOf: (i, n) => (n === 1 ? "The face" : `Face ${i} of ${n}`),
  facesFound: (n) => (n === 1 ? "1 face." : `${number(n)} faces: choose one by a click.`),
  noFace: "No face was found in this photo. Try one where the face is larger, or less turned away.",
  nobody: "A single face",
  group: "No name yet",
  join: "These are one person",
  nothingHere: "There is nobody to compare with",
  cannotTell: "This face is too small to tell",
  nobodyAlike: "Nobody here is judged to be the same person",
  thisIs: "This is",
  thisIsGroup: "This person is here, and has no name yet",
  thisIsSomebody: "This person is here, and has no name yet",
  photoOf: (who) => `The photo of ${apart(who)}`,
  verdict: (same) => (same === null ? "Too small to tell" : same ? "Same person" : "Not the same"),
  number: value,
  barWords: (judged, threshold) => (threshold === null ? `Judged ${value(judged)}` : `Judged ${value(judged)}; ${value(threshold)} are needed`),
  matchFacts: ({ faces, taken, alike }) =>
    [faces > 1 ? `by ${count(faces, "face")}` : null, taken ? date(taken) : null, alike.length ? `and ${count(alike.length, "copy", "copies")}` : null]
      .filter(Boolean).join(" · "),
  matchWhy: ({ judged, similarity, same }, { threshold, cohort }) => {
    if (threshold === null) return `Similarity ${value(similarity)}; no threshold of this model is known.`;
    const gap = value(Math.abs(judged - threshold));
    const seen = cohort ? ` (similarity ${value(similarity)})` : "";
    if (same === null) return `Judged ${value(judged)}${seen}, but both faces are too small to tell.`;
    return `Judged ${value(judged)}${seen}: ${gap} ${same ? "over" : "under"} the threshold.`;
  },
  bestWhy: (best, { threshold, far, compared }) => {
    if (threshold === null) return "No threshold of this model is known, so nobody can say which similarity means the same person.";
    if (best.same === null) return "Both faces are too small to tell; a larger photo would help.";
    const chance = far && compared ? ` By chance ${few(far * compared)} strangers of the ${count(compared, "face")} here reach that, so look before you believe it.` : "";
    return best.same
      ? `The nearest face is judged ${value(best.judged)}; from ${value(threshold)} on it counts as the same person.${chance}`
      : `The nearest face is judged ${value(best.judged)}; ${value(threshold)} would be needed.`;
  },
  why: "Why?",
  whySentences: ({ threshold, far, learned, compared, cohort }) => [
    threshold === null ? "No threshold of this model is known." : `Two faces count as the same person from a judged value of ${value(threshold)} on${learned ? ", which was learned from this gallery's own photos" : ""}.`,
    far ? `Of pairs of strangers, ${share(far)} reach that by chance.` : null,
    far && compared ? `${count(compared, "face")} were compared, so ${few(far * compared)} of them would reach it though they are strangers'.` : null,
    cohort
      ? `A judged value is the similarity, less what both faces have in common with everybody: that is measured by ${count(cohort, "person", "people")} of this gallery.`
      : "The judged value is the similarity: this gallery has too few people to measure how common a face is.",
  ].filter(Boolean),
  compared: (same) => (same === null ? "These faces are too small to tell" : same ? "The same person" : "Different people"),
  comparedWhy: ({ judged, threshold, same }) =>
    threshold === null
      ? "No threshold of this model is known."
      : `Judged ${value(judged)}, ${value(Math.abs(judged - threshold))} ${judged >= threshold ? "over" : "under"} the threshold of ${value(threshold)}${same === null ? ", but both faces are too small to tell" : ""}.`,
  // Nothing where the server's own sentence says it: for a photo without a face, and one that is no longer kept.
  afterError: (status) =>
    ({ 415: "Choose another file: a JPEG, PNG, WebP, HEIC, AVIF, TIFF or raw photo.", 413: "Choose a smaller copy of it.",
       422: "", 404: "", 503: "People can still be seen and named; only searching waits for that." })[status] ?? "Try it again.",
};

const today = () => new Date().toDateString();
const longDay = new Intl.DateTimeFormat("en", { weekday: "long", year: "numeric", month: "long", day: "numeric" });
const clock = new Intl.DateTimeFormat("en", { hour: "numeric", minute: "2-digit" });
const verbs = {
  name: "", join: "Joined", part: "Took", ignore: "Made a stranger:", hide: "Hid", show: "Showed again", "not-a-face": "Not a face:",
  collage: "One person may be there twice:", cover: "New cover", undo: "Took back change", redo: "Did again change", move: "Moved", mark: "Added", import: "Imported:",
};

const replies = { yes: "The same person:", no: "Not the same person:", stranger: "A stranger:", "not a face": "Not a face:" };

export const logTexts = {
  title: "Log",
  lead: "Everything that was said about people, the newest first. Each change can be taken back, in any order.",
  empty: "Nothing was changed yet. What you say about people is listed here.",
  older: "Show older changes",
  dayOf: (at) => (new Date(at).toDateString() === today() ? "Today" : longDay.format(new Date(at))),
  sentence: ({ verb, words }) => {
    if (verb !== "answer") return `${verbs[verb] ?? `${verb}:`} ${words}`.trim();
    const [reply, ...about] = words.split(": ");
    return `${replies[reply] ?? `Answered ${reply}:`} ${about.join(": ")}`;
  },
  turned: (verb, words) => `${verb === "undo" ? "Taken back" : "Done again"}: ${words}`,
  facts: ({ change, at, made_by: by }) => `${clock.format(new Date(at))} · change ${change}${by === "auto" ? " · computed" : ""}`,
  undone: "Taken back",
  computed: "Computed",
  undo: "Undo",
  again: "Do it again",
  undoOf: (verb, change, words) => `${verb}: change ${change}, ${words}`,
  blocked: (change, words) => `Change ${change}${words ? ` (${words})` : ""} came later and stands in the way. Take that back first.`,
  showIt: "Show that change",
  notListed: (change) => `Change ${change} is not in the log.`,
};

const size = (bytes) => (bytes >= 1e9 ? `${(bytes / 1e9).toFixed(1)} GB` : `${(bytes / 1e6).toFixed(1)} MB`);
const statuses = {
  ok: "with faces", no_face: "without a face", unreadable: "unreadable", unsupported: "of another kind", raw: "raw, waiting for a package",
  skipped: "waiting for a package", paired: "beside their JPEG", too_large: "too large", crashed: "failed", timeout: "timed out",
  forgotten: "forgotten", missing: "missing", excluded: "left out",
};

export const galleryTexts = {
  title: "Gallery",
  titleOf: "Gallery",
  about: "What is indexed",
  photos: (n) => (n === 1 ? "photo" : "photos"),
  faces: (n) => (n === 1 ? "face" : "faces"),
  people: (n) => (n === 1 ? "person with a name" : "people with a name"),
  groups: (n) => (n === 1 ? "group without a name" : "groups without a name"),
  questions: (n) => (n === 1 ? "open question" : "open questions"),
  folders: "Folders",
  addFolder: "Another folder is added on the command line:",
  addCommand: (gallery) => `facesearch index FOLDER${gallery === "default" ? "" : ` --gallery ${gallery}`}`,
  leftOut: "Left out",
  photosBy: "Photos",
  status: (status, n) => `${number(n)} ${statuses[status] ?? status}`,
  none: "None",
  lastRun: "Last run",
  never: "Never",
  model: "Model",
  detector: "Detector",
  detectorFrom: (detector, least) => `${detector}, faces from ${number(least)} pixels on`,
  threshold: "Same person from",
  thresholdIs: ({ similarity, far, learned }) =>
    `${value(similarity)}${far ? `; ${share(far)} pairs of strangers reach it` : ""}${learned ? "; learned from this gallery" : ""}`,
  noThreshold: "Not known for this model",
  cohort: "Own thresholds by",
  cohortOf: (n) => count(n, "person", "people"),
  noCohort: "Nobody yet",
  index: "Search index",
  indexIs: ({ recipe, count: n, recall_at_1: recall }) => `${recipe}, ${count(n, "face")}${recall === null ? ", exact" : `, finds ${(100 * recall).toFixed(1)} % of the nearest`}`,
  setAside: "Set aside",
  onDisk: "On disk",
  bytes: size,
  place: "Kept in",
};

const modes = {
  careful: "Careful: rarely two people in one group",
  balanced: "Balanced",
  eager: "Eager: fewer groups, more mistakes",
};

export const groupingTexts = {
  title: "Group anew",
  words: "Puts all faces into groups again. The names and answers that you gave stay as they are; groups without a name may change.",
  how: "How",
  mode: (mode) => modes[mode] ?? "As before",
  start: "Group all faces",
  running: "Grouping. Until it is done nothing else can be said of people.",
  found: ({ people: named, groups, alone, questions, seconds }) =>
    `${count(named, "person", "people")} whom you know, ${count(groups, "group")} without a name, ${count(alone, "face")} alone, ${count(questions, "question")}; it took ${seconds.toFixed(1)} s.`,
};

const spell = (seconds) => {
  if (seconds < 60) return "less than a minute left";
  if (seconds < 5400) return `about ${count(Math.round(seconds / 60), "minute")} left`;
  return `about ${(seconds / 3600).toFixed(1)} hours left`;
};

const stages = {
  preparing: "Getting ready.", checking: "Looking through the folders.", indexing: "Looking at photos.", finishing: "Putting faces into groups.",
};

export const runTexts = {
  title: "Index again",
  bar: "Photos looked at",
  start: "Look for new photos",
  retryFailed: "Try failed photos again, too",
  stop: "Stop",
  stopping: "Stopping; what was done is kept…",
  words: (run) => {
    if (!run) return "Finds photos that are new or changed in these folders, and puts their faces into groups.";
    if (run.ended?.error) return `The run ended early: ${run.ended.error}`;
    if (run.ended) return run.ended.summary ? runTexts.summary(run.ended.summary, clock.format(new Date(run.started_at))) : "The run was stopped. What was done is kept; the next run goes on from there.";
    if (run.source === "other") return `Another facesearch indexes this gallery since ${clock.format(new Date(run.started_at))}. What it finds is shown as it comes. People can be named when it has ended.`;
    return `${stages[run.stage] ?? stages.indexing} You may leave this page, as long as facesearch web runs; what is done is kept. People can be named when this has ended, or is stopped.`;
  },
  rootFailed: ({ root, reason }) => `${apart(root)} could not be looked at: ${reason}`,
  summary: ({ photos, faces, seconds, failing = {} }, at) => {
    const n = ({ unchanged = 0, ...rest }) => [Object.values(rest).reduce((sum, each) => sum + each, 0), unchanged];
    const [changed, same] = n(photos);
    const took = seconds < 60 ? `${Math.max(1, Math.round(seconds))} s` : `${Math.round(seconds / 60)} min`;
    const unread = Object.values(failing).reduce((sum, each) => sum + each, 0);
    const failed = unread ? ` ${count(unread, "photo")} could not be read; see below.` : "";
    return changed ? `The run of ${at} took ${took}: ${count(changed, "photo")} looked at, ${count(faces, "face")} found; ${number(same)} unchanged.${failed}` : `The run of ${at} took ${took}: nothing is new; ${count(same, "photo")} unchanged.${failed}`;
  },
  figures: ({ done, total, faces, failed, photos_per_second: rate, seconds_left: left }) =>
    done || total ? [
      total ? `${number(done)} of ${count(total, "photo")}` : count(done, "photo"),
      faces !== null && faces !== undefined ? count(faces, "face") : null,
      failed ? `${number(failed)} could not be read` : null,
      rate ? `${rate < 10 ? rate.toFixed(1) : number(Math.round(rate))} photos a second` : null,
      left !== null && left !== undefined ? spell(left) : null,
    ].filter(Boolean).join(" · ") : "",
};

const todo = {
  unsupported: "These are no photos, or of a kind that is not read here. Nothing need be done.",
  unreadable: "These files are damaged or cut short. Put whole copies in their place; they are tried again when they change.",
  file: "Reading these files failed. Saving them anew with another program may help; they are tried again when they change.",
  machine: "The disk, a share, permissions or too little memory were the reason. They are tried again in every run.",
  option: "They are larger than the limit. Run facesearch index with a higher --max-megapixels.",
  package: "A package that reads them is missing. Install it as it is said beside each photo, and index again.",
};

export const failureTexts = {
  title: "What could not be read",
  none: "All photos could be read.",
  total: (n) => `${count(n, "photo")}, by what is to be done.`,
  kind: (status, n) => (status === "unsupported" ? count(n, "file of another kind", "files of other kinds") : `${count(n, "photo")}: ${statuses[status] ?? status}`),
  todo: (status, cause) => (cause === "file" || !cause ? (todo[status] ?? todo.file) : todo[cause]),
  showMore: (n) => `Show ${number(n)} more`,
  more: (n) => `And ${number(n)} more: facesearch info --failures lists them all.`,
  others: "Files of other kinds",
  skipped: ({ kind, files }) => `${count(files, "file")}: ${kind}. `,
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
  name: "Name",
  somebody: "Somebody who has a name",
  take: "Take this name",
  choose: "Choose",
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
  ignoredBelow: (n) => `Made strangers of all without a name who have fewer than ${number(n)} faces`,
  ignoredSome: (n) => `Made strangers of ${number(n)}`,
  hidden: (who, hidden) => (hidden ? `Hid ${who}` : `Showed ${who} again`),
  hiddenSome: (n, hidden) => (hidden ? `Hid ${number(n)} people` : `Showed ${number(n)} people again`),
  thisGroup: "this group",
  joinedWith: (who, name) => `Joined ${who} with ${name}`,
  parted: (faces, who) => `Took ${faces} from ${who}`,
  moved: (faces, name) => `Moved ${faces} to ${name}`,
  covered: (who) => `Chose the face that stands for ${who}`,
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
  small: "Passers-by…",
  smallTitle: "Who was only passing by?",
  smallWhy: "People who were only passing by are seldom in many photos. Choose whom to make strangers: they move to the end of this page, and you are never asked about them. Give a stranger a name, and they are back.",
  fewer: (n, groups) => `Without a name, fewer than ${number(n)} faces${groups === null ? "" : ` (${count(groups, "group")})`}`,
  joinTwo: "Select two or more people to join them: the space bar selects.",
  notFaceAlone: "This is for a single face; open the group and select the faces that are none.",
  arrowKeys: "← ↑ → ↓",
  spaceKey: "Space",
  escapeKey: "Esc",
  face: "Face",
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
  anotherName: "Another name",
  several: "Who are these?",
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

export const person = {
  unnamed: "No name yet",
  views: "What is shown",
  faces: "Faces",
  photos: "Photos",
  unsure: (n) => `${n} unsure`,
  isUnsure: "unsure",
  isHidden: "hidden from lists",
  isStranger: "a stranger, never asked about",
  name: "Name",
  rename: "Rename",
  nameTitle: "Who is this?",
  renameTitle: "Another name",
  join: "Join with…",
  joinTitle: "Who is the same person?",
  ignore: "Stranger",
  hide: "Hide",
  show: "Show again",
  select: "Select",
  withSelected: "With the selected faces",
  selected: (n) => `${number(n)} selected`,
  part: "Not this person",
  partGroup: "Not of this group",
  move: "Move to…",
  moveTo: "Whose faces are these?",
  notFace: "Not a face",
  cover: "Use as cover",
  photo: "Open the photo",
  clear: "Clear",
  chooseFaces: "Choose faces first: the arrow keys go there, the space bar selects.",
  keys: {
    arrows: "go from one face to the next; with Shift select",
    space: "select, or take out of the selection",
    enter: "open the photo",
    o: "open the photo",
    p: "the faces are not this person",
    m: "move the faces to somebody",
    f: "the faces are no faces",
    c: "this face stands for the person",
    n: "name",
    j: "join with somebody",
    i: "a stranger: never ask about them",
    h: "hide, or show again",
    escape: "clear the selection; go back",
  },
};
